"""What the demo has heard of each round, and whether all of it is as the rules promise.

Pure: events of the processes go in, a `Round` can be asked at any time. The events are those
of `llmx agent --json` and `llmx call --json`; they come from several processes, so that of a
round the first may be anybody's.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

FINAL_STATES = ("committed", "no_award", "cancelled")


@dataclass(slots=True)
class Bid:
    """One contractor in one round."""

    agent: str
    called: bool = False
    value: object = None
    """What it offered last; words when it was careless."""
    beside: Mapping[str, Any] = field(default_factory=dict)
    """Conditions and terms."""
    offered_at: float | None = None
    heard_ms: float | None = None
    """How long after the call the initiator heard the offer."""
    heard_at: float | None = None
    declined: str | None = None
    refusals: list[Mapping[str, Any]] = field(default_factory=list)
    gave_up: bool = False
    verdicts: list[Mapping[str, Any]] = field(default_factory=list)
    is_ranked: bool = False
    """Did its offer come in time, so that the outcome speaks of it?"""

    @property
    def exchange_ms(self) -> float | None:
        """Return how long the offer took from the contractor to the initiator."""
        if self.heard_at is None or self.offered_at is None:
            return None
        return max((self.heard_at - self.offered_at) * 1000, 0.0)

    @property
    def won(self) -> bool:
        """Did it hear that it won?"""
        return any(verdict.get("won") for verdict in self.verdicts)

    @property
    def late(self) -> bool:
        """Did its offer come after the close?"""
        return any(verdict.get("reason") == "late" for verdict in self.verdicts)

    @property
    def is_bidding(self) -> bool:
        """Did it make an offer that a verdict must follow? One in words is still to be mended."""
        has_value = self.offered_at is not None and not isinstance(self.value, str)
        return has_value and not self.gave_up

    @property
    def has_answered(self) -> bool:
        """Has it done what it will do with the call?"""
        return self.is_bidding or self.gave_up or self.declined is not None


@dataclass(slots=True)
class Round:
    """One negotiation, as its parties told it."""

    negotiation_id: str = ""
    policy: str = ""
    eligible: tuple[str, ...] = ()
    bids: dict[str, Bid] = field(default_factory=dict)
    called_at: float | None = None
    first_offer_ms: float | None = None
    outcome: Mapping[str, Any] | None = None
    outcome_at: float | None = None
    outcome_ms: float | None = None
    """How long after the call the initiator heard the outcome."""
    refused: Mapping[str, Any] | None = None
    """Why the gateway did not take the call at all."""
    repeated: list[str] = field(default_factory=list)
    """Contractors that heard a second verdict."""
    everybody_hears: bool = True
    """Does the policy promise every bidder a verdict?"""

    def bid(self, agent: str) -> Bid:
        """Return what is known of a contractor in this round."""
        return self.bids.setdefault(agent, Bid(agent))

    def absorb(self, other: Round) -> None:
        """Take over what was told of this negotiation under another id."""
        self.repeated += other.repeated
        for theirs in other.bids.values():
            bid = self.bid(theirs.agent)
            bid.called |= theirs.called
            bid.refusals += theirs.refusals
            bid.verdicts += theirs.verdicts
            bid.gave_up |= theirs.gave_up
            if theirs.declined is not None:
                bid.declined = theirs.declined
            if theirs.offered_at is not None:
                bid.offered_at, bid.value, bid.beside = (
                    theirs.offered_at,
                    theirs.value,
                    theirs.beside,
                )

    @property
    def state(self) -> str:
        """Return the state of the outcome, or an empty text."""
        return str(self.outcome.get("state", "")) if self.outcome else ""

    @property
    def winners(self) -> list[Mapping[str, Any]]:
        """Return the winners of the outcome."""
        return list(self.outcome.get("winners", ())) if self.outcome else []

    @property
    def offers_heard(self) -> int:
        """Return how many offers the initiator heard."""
        return sum(bid.heard_ms is not None for bid in self.bids.values())

    @property
    def decision_ms(self) -> float | None:
        """Return how long it took from the last offer that counted, as its contractor made it,
        to the outcome, as the initiator heard it.
        """
        made = [
            bid.offered_at
            for bid in self.bids.values()
            if bid.offered_at is not None and bid.is_ranked
        ]
        if self.outcome_at is None or not made:
            return None
        return max((self.outcome_at - max(made)) * 1000, 0.0)

    @property
    def is_settled(self) -> bool:
        """Is the outcome known, and has everybody answered and heard what is due?"""
        if self.refused is not None:
            return True
        if self.outcome is None:
            return False
        won = {winner.get("agent") for winner in self.winners}
        return all(
            bid.has_answered
            and (bool(bid.verdicts) or not bid.is_bidding or not self._is_told(bid.agent, won))
            for bid in map(self.bid, self.eligible)
        )

    def _is_told(self, agent: str, won: Container[object]) -> bool:
        return self.everybody_hears or agent in won

    def faults(self) -> list[str]:
        """Return what is not as the rules promise, as sentences; nothing when all is well."""
        if self.refused is not None:
            refusal = self.refused
            words = "; ".join(filter(None, (refusal.get("reason"), refusal.get("remedy"))))
            where = f"{refusal.get('code')} at {refusal.get('pointer')}"
            return [f"the call was refused: {where}: {words}"]
        if self.state not in FINAL_STATES:
            return ["no outcome was heard"]
        found = [f"{agent} heard a second verdict" for agent in self.repeated]
        for bid in self.bids.values():
            count = len(bid.verdicts)
            if count > 1 and bid.agent not in self.repeated:
                found.append(f"{bid.agent} heard {count} verdicts")
            if not count and bid.is_bidding and self.everybody_hears:
                found.append(f"{bid.agent} offered and heard neither accept nor reject")
            if count and not bid.is_bidding:
                found.append(f"{bid.agent} heard a verdict without an offer")
        told = {bid.agent for bid in self.bids.values() if bid.won}
        won = {str(winner.get("agent")) for winner in self.winners}
        found += [f"{agent} won and was not told so" for agent in sorted(won - told)]
        found += [f"{agent} was told that it won and has not" for agent in sorted(told - won)]
        return found

    def summary(self) -> dict[str, Any]:
        """Return the round as plain values."""
        outcome = self.outcome or {}
        winner = self.winners[0] if self.winners else {}
        return {
            "policy": outcome.get("policy") or self.policy,
            "negotiation": self.negotiation_id,
            "state": self.state or "unknown",
            "reason": outcome.get("reason", ""),
            "closed_by": outcome.get("closed_by", ""),
            "eligible": len(self.eligible),
            "offers": outcome.get("offers", 0),
            "offers_heard": self.offers_heard,
            "late": sum(bid.late for bid in self.bids.values()),
            "declined": sum(bid.declined is not None for bid in self.bids.values()),
            "refused": sum(len(bid.refusals) for bid in self.bids.values()),
            "winner": winner.get("agent"),
            "price": winner.get("price"),
            "winners": [winner.get("agent") for winner in self.winners],
            "first_offer_ms": self.first_offer_ms,
            "outcome_ms": self.outcome_ms,
            "decision_ms": self.decision_ms,
            "faults": self.faults(),
        }


class Board:
    """The rounds of a demo."""

    def __init__(self) -> None:
        """Start empty."""
        self.rounds: dict[str, Round] = {}
        self.notes: list[str] = []
        self.current: Round | None = None
        """The round that was begun last, as soon as somebody speaks of it."""
        self._next = ("", True)

    def begin(self, policy: str, *, everybody_hears: bool) -> None:
        """Remember what the next round to be opened is played under."""
        self._next = (policy, everybody_hears)
        self.current = None

    def hear(self, event: Mapping[str, Any]) -> Round | None:
        """Take an event of one of the processes; returns the round that it belongs to."""
        kind = event.get("event")
        if kind == "note":
            self.notes.append(str(event.get("text", "")))
            return None
        negotiation = event.get("negotiation")
        if kind == "refused" and "negotiation" not in event:
            round_ = self.current = Round(refused=event)
            round_.policy, round_.everybody_hears = self._next
            self.rounds[f"refused {len(self.rounds)}"] = round_
            return round_
        if kind in ("refusal", "withdrawn", "thinking", "ranked", "report"):
            return self.current  # told by the contractors too
        if not isinstance(negotiation, str):
            return None
        round_ = self._round(negotiation)
        if kind in ("opened", "outcome") or (kind == "offer" and "offer_id" in event):
            _initiator_told(round_, event)
        else:
            _contractor_told(round_, round_.bid(str(event.get("agent"))), event)
        return round_

    def _round(self, negotiation: str) -> Round:
        round_ = self.rounds.get(negotiation)
        if round_ is None:
            round_ = self.rounds[negotiation] = self.current = Round(negotiation)
            round_.policy, round_.everybody_hears = self._next
        return round_


def _initiator_told(round_: Round, event: Mapping[str, Any]) -> None:
    at, ms = float(event["at"]), float(event["ms"])
    match event["event"]:
        case "opened":
            round_.eligible = tuple(event["eligible"])
            round_.policy = event["policy"]
            round_.called_at = at - ms / 1000
            for agent in round_.eligible:
                round_.bid(agent)
        case "offer":
            bid = round_.bid(event["agent"])
            bid.heard_at, bid.heard_ms = at, ms
            bid.value = event["value"]
            bid.beside = {**event.get("conditions", {}), **event.get("terms", {})}
            if round_.first_offer_ms is None:
                round_.first_offer_ms = ms
        case "outcome":
            round_.outcome = event["outcome"]
            round_.outcome_at, round_.outcome_ms = at, ms
            for ranked in round_.outcome.get("ranking", ()):
                round_.bid(str(ranked.get("agent"))).is_ranked = True


def _contractor_told(round_: Round, bid: Bid, event: Mapping[str, Any]) -> None:
    at = float(event["at"])
    match event["event"]:
        case "call":
            bid.called = True
        case "offer":
            bid.offered_at = at
            bid.value = event["value"]
            bid.beside = {**(event.get("conditions") or {}), **(event.get("terms") or {})}
        case "declined":
            bid.declined = str(event.get("reason", ""))
        case "refused":
            bid.refusals.append(event)
            bid.gave_up = not event.get("mended", False)
        case "verdict":
            bid.verdicts.append(event)
        case "verdict_again":
            round_.repeated.append(bid.agent)
