"""What can happen to a negotiation.

An event is a fact, in the past tense, and everything a protocol may know: it carries the
sender and the msg_id of the message that caused it, so that an answer finds its way back.
Times are not in the events; `step` is told the time beside them. A negotiation is a
function of its events and their times, which is what makes a recorded one replay.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class OfferReceived(msgspec.Struct, frozen=True, gc=False):
    """An eligible agent, or one that is not, made an offer."""

    sender: str
    msg_id: str
    value: float
    """Finite."""
    fields: Mapping[str, object] = msgspec.field(default_factory=dict)
    """The whole payload, for the utility expression. Never changed."""
    valid_until: float | None = None
    """Seconds on the gateway's clock; None means until the negotiation ends."""
    revocable: bool = False
    probe: bool = False
    """The exchange made this up to test the market; only a gateway sets it, no payload does."""


class MalformedReceived(msgspec.Struct, frozen=True, gc=False):
    """Something from a party that broke its schema; it was refused before it came here."""

    sender: str
    msg_id: str


class RefusalReceived(msgspec.Struct, frozen=True, gc=False):
    """An agent will not make an offer."""

    sender: str
    msg_id: str
    reason: str = ""


class NotUnderstoodReceived(msgspec.Struct, frozen=True, gc=False):
    """An agent could not read what it was sent."""

    sender: str
    msg_id: str


class AcceptReceived(msgspec.Struct, frozen=True, gc=False):
    """The initiator accepts an offer itself."""

    sender: str
    msg_id: str
    offer_id: str


class RejectReceived(msgspec.Struct, frozen=True, gc=False):
    """The initiator rejects an offer itself; an empty offer_id means all that are left."""

    sender: str
    msg_id: str
    offer_id: str = ""


class ConfirmReceived(msgspec.Struct, frozen=True, gc=False):
    """A winner stands by its offer."""

    sender: str
    msg_id: str
    offer_id: str


class CancelReceived(msgspec.Struct, frozen=True, gc=False):
    """The initiator ends the negotiation, or a contractor withdraws its offer."""

    sender: str
    msg_id: str
    reason: str = ""


class ReportReceived(msgspec.Struct, frozen=True, gc=False):
    """An agent reported the end of its work, or answered a cancel."""

    sender: str
    msg_id: str
    succeeded: bool


class CounterReceived(msgspec.Struct, frozen=True, gc=False):
    """A counter-offer, which a contract net does not know."""

    sender: str
    msg_id: str


class ThinkingReceived(msgspec.Struct, frozen=True, gc=False):
    """A party that owes an answer asks to be waited for."""

    sender: str
    msg_id: str
    seconds: float
    """How long, from now; above 0."""


class AgentGone(msgspec.Struct, frozen=True, gc=False):
    """The exchange gave up on reaching an agent."""

    sender: str
    msg_id: str = ""


class DeadlinePassed(msgspec.Struct, frozen=True, gc=False):
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
    | ThinkingReceived
    | AgentGone
    | DeadlinePassed
)
