"""What can happen to a negotiation.

An event is a fact, in the past tense, and everything a protocol may know: it carries the
sender and the msg_id of the message that caused it, so that an answer finds its way back.
Times are not in the events; `step` is told the time beside them. A negotiation is a
function of its events and their times, which is what makes a recorded one replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class OfferReceived:
    """An eligible agent, or one that is not, made an offer."""

    sender: str
    msg_id: str
    value: float
    """Finite."""
    fields: Mapping[str, object] = field(default_factory=dict)
    """The whole payload, for the utility expression. Never changed."""
    valid_until: float | None = None
    """Seconds on the gateway's clock; None means until the negotiation ends."""
    revocable: bool = False
    probe: bool = False
    """The exchange made this up to test the market; only a gateway sets it, no payload does."""


@dataclass(frozen=True, slots=True)
class MalformedReceived:
    """Something from a party that broke its schema; it was refused before it came here."""

    sender: str
    msg_id: str


@dataclass(frozen=True, slots=True)
class RefusalReceived:
    """An agent will not make an offer."""

    sender: str
    msg_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NotUnderstoodReceived:
    """An agent could not read what it was sent."""

    sender: str
    msg_id: str


@dataclass(frozen=True, slots=True)
class AcceptReceived:
    """The initiator accepts an offer itself."""

    sender: str
    msg_id: str
    offer_id: str


@dataclass(frozen=True, slots=True)
class RejectReceived:
    """The initiator rejects an offer itself; an empty offer_id means all that are left."""

    sender: str
    msg_id: str
    offer_id: str = ""


@dataclass(frozen=True, slots=True)
class ConfirmReceived:
    """A winner stands by its offer."""

    sender: str
    msg_id: str
    offer_id: str


@dataclass(frozen=True, slots=True)
class CancelReceived:
    """The initiator ends the negotiation, or a contractor withdraws its offer."""

    sender: str
    msg_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReportReceived:
    """An agent reported the end of its work, or answered a cancel."""

    sender: str
    msg_id: str
    succeeded: bool


@dataclass(frozen=True, slots=True)
class CounterReceived:
    """A counter-offer, which a contract net does not know."""

    sender: str
    msg_id: str


@dataclass(frozen=True, slots=True)
class AgentGone:
    """The exchange gave up on reaching an agent."""

    sender: str
    msg_id: str = ""


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """The time that the state was waiting for has come."""

    sender: str = ""
    msg_id: str = ""


Event = (
    OfferReceived
    | MalformedReceived
    | RefusalReceived
    | NotUnderstoodReceived
    | AcceptReceived
    | RejectReceived
    | ConfirmReceived
    | CancelReceived
    | ReportReceived
    | CounterReceived
    | AgentGone
    | DeadlinePassed
)
