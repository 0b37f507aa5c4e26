"""What can happen to a negotiation.

An event is a fact, in the past tense, and everything a protocol may know: it carries the
sender and the msg_id of the message that caused it, so that an answer finds its way back.
Times are not in the events; `step` is told the time beside them. A negotiation is a
function of its events and their times, which is what makes a recorded one replay.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from policy.stakes import Lock


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
    hold: bool = False
    """Hold the call's units for this offer while it is valid, so that it cannot fail for them."""
    valid_from: float | None = None
    """From when it may be accepted, between two parties; None: at once."""


class CommitmentReceived(msgspec.Struct, frozen=True, gc=False):
    """A bidder sealed its bid: it can be opened later, and not be changed."""

    sender: str
    msg_id: str
    commitment: str
    """64 hexadecimal digits, see `auction.commitment`."""


class RevisedCallReceived(msgspec.Struct, frozen=True, gc=False):
    """The initiator calls some of those that offered to another round."""

    sender: str
    msg_id: str
    round: int
    """The round that it says it opens; 0: it does not say, and means the next one."""
    invited: tuple[str, ...]
    """Whom it was sent to."""
    closes_at: float
    """When the last answer of the new round is taken, if its window does not end before."""
    deadline: float
    """Until when an agent that thinks is waited for at most."""
    fields: Mapping[str, object] = msgspec.field(default_factory=dict)
    """The whole payload. Never changed."""


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
    """A proposal of one of two parties, which a contract net does not know."""

    sender: str
    msg_id: str
    terms: Mapping[str, object] = msgspec.field(default_factory=dict)
    """What is proposed, by issue; may be empty when there is a value. Never changed."""
    value: float | None = None
    """The worth of the terms as one number, finite; None when the proposal does not say."""
    valid_from: float | None = None
    """From when it may be accepted, seconds on the gateway's clock; None: at once."""
    valid_until: float | None = None
    """Until when it may be accepted; None: until it is answered."""
    offer_id: str = ""
    """The msg_id of the proposal that it answers; "": it does not say."""
    round: int | None = None
    """The round that it says it is of; None: it does not say."""
    conditions: tuple[Mapping[str, object], ...] = ()
    """What must hold for it to be accepted, as comparisons {field, operator, value}."""


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


class Settled(msgspec.Struct, frozen=True, gc=False):
    """The store has written an award: units are locked, and credit is held."""

    sender: str = ""
    msg_id: str = ""
    number: int = 0
    """Which `effects.Settle` of the negotiation this answers."""
    locks: Mapping[str, tuple[Lock, ...]] = msgspec.field(default_factory=dict)
    """What is locked for each stake, by its key, with fencing numbers."""


class NotSettled(msgspec.Struct, frozen=True, gc=False):
    """The store has refused an award, all of it: nothing is locked, nothing is held."""

    sender: str = ""
    msg_id: str = ""
    number: int = 0
    reason: str = ""
    """ "RESOURCE_GONE", "BUDGET_EXHAUSTED", "STORE_UNAVAILABLE", or "SUPERSEDED": the call has
    another award."""
    agents: tuple[str, ...] = ()
    """The winners whose stakes cannot be; empty means that none can."""
    retry_at: float | None = None
    """When it may be different, on the gateway's clock: a budget begins anew."""
    detail: str = ""
    """What exactly the store has refused, "BUDGET_UNKNOWN: project:vision"; for the initiator."""


class HoldRefused(msgspec.Struct, frozen=True, gc=False):
    """The units that an offer was to hold are not to be had."""

    sender: str = ""
    msg_id: str = ""
    agent: str = ""
    offer_id: str = ""
    reason: str = ""


class DeadlinePassed(msgspec.Struct, frozen=True, gc=False):
    """The time that the state was waiting for has come."""

    sender: str = ""
    msg_id: str = ""


Event = (
    OfferReceived
    | CommitmentReceived
    | RevisedCallReceived
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
    | Settled
    | NotSettled
    | HoldRefused
    | DeadlinePassed
)
