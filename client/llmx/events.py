"""What an initiator sees of its negotiation.

The events come in this order: `Opened`, then any number of `OfferMade`, `OfferRefused`, `Thought`
and `OfferWithdrawn`, perhaps one `Ranked`, and last the `Outcome`. A second `Opened` says that
the gateway was lost and the call was opened anew: the offers before it do not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmx.messages import Message, number_in, object_in, text_in
from llmx.stakes import Lock, Payment, locks_in, payment_in
from llmx.turns import Turn
from llmx.v1.negotiation_pb2 import NegotiationOpened


@dataclass(frozen=True, slots=True)
class Opened:
    """The gateway took the call."""

    negotiation_id: str
    eligible: tuple[str, ...]
    """The agents that may answer."""
    closes_at: float
    """When the last answer is taken, in seconds since 1970 by the gateway's clock."""
    policy: str
    """The profile and its revision, "flow/high@1"."""
    missing: tuple[str, ...] = ()
    """Where the call was opened anew: who could answer before and cannot now."""


@dataclass(frozen=True, slots=True)
class OfferMade:
    """A contractor made an offer."""

    agent: str
    offer_id: str
    value: float
    conditions: Mapping[str, Any]
    terms: Mapping[str, Any]
    text: str
    negotiation_id: str
    body: Mapping[str, Any] = field(repr=False, default_factory=dict)
    """The whole payload."""
    turn: Turn | None = field(repr=False, default=None)
    """Where this agent decides: how long it has, and the best offer so far."""


@dataclass(frozen=True, slots=True)
class OfferRefused:
    """A contractor will not make an offer."""

    agent: str
    reason: str
    understood: bool = True
    """False when the contractor could not read the call."""


@dataclass(frozen=True, slots=True)
class Thought:
    """A contractor needs longer for its answer, or a winner for its confirmation."""

    agent: str
    seconds: float | None
    """How long it has asked for; None when it did not say. What it got is `granted`."""
    turn: Turn | None = field(repr=False, default=None)
    """Until when the agent is waited for."""

    @property
    def granted(self) -> float | None:
        """Return the seconds for which it is waited for; None where the gateway does not tell."""
        return None if self.turn is None else self.turn.answer_in


@dataclass(frozen=True, slots=True)
class OfferWithdrawn:
    """A contractor took its revocable offer back."""

    agent: str
    reason: str


@dataclass(frozen=True, slots=True)
class RankedOffer:
    """An offer as the gateway sees it after the close."""

    agent: str
    offer_id: str
    value: float | None
    rank: int | None = None
    """From 1; None when the offer cannot win."""
    score: float | None = None
    """What the utility expression came to."""
    price: float | None = None
    """What is paid; only for winners."""
    reason: str = ""
    locks: tuple[Lock, ...] = ()
    """The units that the award has locked; only for winners."""
    payment: Payment | None = None
    """The credit that is held or paid for it; only for winners."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """The round is closed and the initiator decides: accept one of these, or reject."""

    offers: tuple[RankedOffer, ...]
    """The best first."""
    body: Mapping[str, Any] = field(repr=False, default_factory=dict)
    turn: Turn | None = field(repr=False, default=None)
    """How long there is to decide."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """The proposal that two parties have agreed on."""

    by: str
    """Who proposed it."""
    offer_id: str
    terms: Mapping[str, Any]
    value: float | None
    terms_sha256: str
    """The SHA-256 of the terms in canonical JSON; both parties are told the same."""
    body: Mapping[str, Any] = field(repr=False, compare=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the negotiation ended."""

    negotiation_id: str
    state: str
    """ "committed", "no_award" or "cancelled"."""
    reason: str
    winners: tuple[RankedOffer, ...] = ()
    ranking: tuple[RankedOffer, ...] = ()
    """Everybody who offered, the best first."""
    closed_by: str = ""
    """What ended the round: "quorum", "all_answered", "deadline" or "cancel"."""
    policy: str = ""
    complete: bool = True
    """Did every eligible agent answer?"""
    body: Mapping[str, Any] = field(repr=False, default_factory=dict)
    """Everything that the gateway said: counts, times, the round."""

    @property
    def winner(self) -> RankedOffer | None:
        """Return the first winner, or None when there is none."""
        return self.winners[0] if self.winners else None

    @property
    def agreement(self) -> Agreement | None:
        """Return what two parties have agreed on, or None; only a bargain has one."""
        told = object_in(self.body, "agreement")
        if not told:
            return None
        return Agreement(
            text_in(told, "by"),
            text_in(told, "offer_id"),
            object_in(told, "terms"),
            number_in(told, "value"),
            text_in(told, "terms_sha256"),
            told,
        )

    @property
    def ended_by(self) -> str:
        """Return what ended a bargain: "agreement", "end", "rounds", "deadline", for example."""
        return text_in(self.body, "ended_by")


@dataclass(frozen=True, slots=True)
class Report:
    """What a winner said about its work."""

    agent: str
    succeeded: bool
    result: Any = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SlowConsumer:
    """A gateway's warning: this agent acknowledges more slowly than messages come."""

    waiting: int
    """Messages that wait for this agent."""
    waiting_max: int
    """At how many the gateway ends the stream; the agent comes back, more slowly each time."""


Event = Opened | OfferMade | OfferRefused | Thought | OfferWithdrawn | Ranked | Outcome


def opened_of(opened: NegotiationOpened) -> Opened:
    """Read the gateway's answer to a call."""
    return Opened(
        opened.negotiation_id,
        tuple(opened.eligible),
        opened.closes_at.ToNanoseconds() / 1e9,
        opened.policy,
    )


def offer_of(message: Message) -> OfferMade:
    """Read an offer. Raises ValueError when the payload is none."""
    body = message.body
    value = number_in(body, "value")
    if value is None:
        raise ValueError("an offer without a value")
    return OfferMade(
        message.sender,
        message.msg_id,
        value,
        object_in(body, "conditions"),
        object_in(body, "terms"),
        text_in(body, "text"),
        message.negotiation_id,
        body,
        message.turn,
    )


def ranked_offers(entries: object) -> tuple[RankedOffer, ...]:
    """Read a list of ranked offers; what is no offer is left out."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        return ()
    return tuple(_ranked(entry) for entry in entries if isinstance(entry, dict))


def outcome_of(message: Message) -> Outcome:
    """Read the outcome in a gateway's inform."""
    body = object_in(message.body, "outcome")
    return Outcome(
        text_in(body, "negotiation_id") or message.negotiation_id,
        text_in(body, "state"),
        text_in(body, "reason"),
        ranked_offers(body.get("winners")),
        ranked_offers(body.get("ranking")),
        text_in(body, "closed_by"),
        text_in(body, "policy"),
        body.get("complete") is not False,
        body,
    )


def _ranked(entry: Mapping[str, Any]) -> RankedOffer:
    rank = number_in(entry, "rank")
    return RankedOffer(
        text_in(entry, "agent"),
        text_in(entry, "offer_id"),
        number_in(entry, "value"),
        int(rank) if rank is not None else None,
        number_in(entry, "score"),
        number_in(entry, "price"),
        text_in(entry, "reason"),
        locks_in(entry),
        payment_in(entry),
    )
