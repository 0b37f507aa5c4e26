"""What another acceptance profile would have decided, on negotiations that were recorded.

A rehearsal plays a recorded call again with another profile. What agents did of their own accord
happens at its recorded time; timers ring when the other profile lets them; what was an answer to
the exchange is given when the exchange asks: a winner confirms, an initiator accepts, the store
writes, each after as long as it took then. Where nobody knows what somebody would have done, the
rehearsal assumes that they agree at once, and says so.

It cannot know the offers that were never made because a round had closed: `unheard` says how many
agents had not answered when a round would have gone on. And it rehearses one round: negotiations
between two are not decided by a profile, and further rounds would have been other ones.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec.structs import replace

from policy.acceptance import Acceptance
from policy.call import Call
from policy.effects import Effect, Finish, Settle, Tell
from policy.events import (
    AcceptReceived,
    CommitmentReceived,
    ConfirmReceived,
    DeadlinePassed,
    Event,
    NotSettled,
    OfferReceived,
    RejectReceived,
    ReportReceived,
    Settled,
)
from policy.protocols import PROTOCOLS
from policy.states import Negotiation, Phase
from policy.table import Record, trace

REHEARSED = ("contract-net", "sealed-bid")
STEPS_MAX = 100_000
ANSWERS = (
    AcceptReceived,
    RejectReceived,
    ConfirmReceived,
    ReportReceived,
    Settled,
    NotSettled,
    DeadlinePassed,
)
"""What happened because the exchange had asked, or because time was over."""


class Decision(msgspec.Struct, frozen=True):
    """How a negotiation was decided."""

    policy: str
    state: str
    reason: str
    winners: tuple[str, ...]
    price: float | None
    """What all winners are paid together; None without one."""
    seconds: float
    """From the call to the decision."""
    closed_after: float
    """Seconds from the call until no more offers could win."""


class Rehearsed(msgspec.Struct, frozen=True):
    """One recorded negotiation, and what would have become of it."""

    negotiation_id: str
    then: Decision | None = None
    now: Decision | None = None
    reason: str = ""
    """Why there is nothing to compare; "" if there is."""
    unheard: int = 0
    """How many agents had not answered when it was closed, and would have had longer."""
    assumed: tuple[str, ...] = ()
    """What nobody knows, and was taken for granted, a sentence each."""

    @property
    def is_same(self) -> bool:
        """Tell whether the same agents win at the same price."""
        then, now = self.then, self.now
        if then is None or now is None:
            return False
        return (then.winners, then.price) == (now.winners, now.price)


@dataclass(slots=True)
class Comparison:
    """What many rehearsals say together."""

    negotiations: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    """Why nothing could be compared, with how often."""
    same: int = 0
    other_winner: int = 0
    other_price: int = 0
    """The same winner at another price."""
    gained: int = 0
    """Awarded now, and not then."""
    lost: int = 0
    """Awarded then, and not now."""
    prices: list[tuple[float, float]] = field(default_factory=list)
    seconds: list[tuple[float, float]] = field(default_factory=list)
    uncertain: int = 0
    """Of how many something was assumed, or not heard."""

    def count(self, one: Rehearsed) -> None:
        """Count one rehearsal."""
        self.negotiations += 1
        then, now = one.then, one.now
        if then is None or now is None:
            self.skipped[one.reason] = self.skipped.get(one.reason, 0) + 1
            return
        self.uncertain += bool(one.assumed or one.unheard)
        self.seconds.append((then.seconds, now.seconds))
        if then.price is not None and now.price is not None:
            self.prices.append((then.price, now.price))
        if one.is_same:
            self.same += 1
        elif then.winners == now.winners:
            self.other_price += 1
        elif not then.winners:
            self.gained += 1
        elif not now.winners:
            self.lost += 1
        else:
            self.other_winner += 1

    def told(self) -> dict[str, Any]:
        """Return it as plain values, with means instead of lists."""
        return {
            "negotiations": self.negotiations,
            "compared": len(self.seconds),
            "same": self.same,
            "other_winner": self.other_winner,
            "other_price": self.other_price,
            "gained": self.gained,
            "lost": self.lost,
            "uncertain": self.uncertain,
            "skipped": self.skipped,
            "mean_price": _means(self.prices),
            "mean_seconds": _means(self.seconds),
        }


def _means(pairs: list[tuple[float, float]]) -> dict[str, float] | None:
    if not pairs:
        return None
    then, now = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    return {"then": round(then, 6), "now": round(now, 6)}


def rehearse(record: Record, profile: Acceptance) -> Rehearsed:
    """Return what a profile would have decided on a recorded negotiation."""
    call = record.call
    reason = _hindrance(call)
    if reason:
        return Rehearsed(call.negotiation_id, reason=reason)
    then = _Then(record)
    if then.decision is None:
        return Rehearsed(call.negotiation_id, reason="it was not decided while it was recorded")
    deadline = call.closes_at if call.deadline is None else call.deadline
    window = profile.window
    closes_at = deadline if window is None else min(deadline, record.opened_at + window)
    other = replace(call, acceptance=profile, closes_at=closes_at, deadline=deadline)
    refusal = PROTOCOLS[call.protocol].objection(other)
    if refusal is not None:
        reason = f"the call would be refused: {refusal.reason}"
        return Rehearsed(call.negotiation_id, then.decision, reason=reason)
    stage = _Stage(then, other)
    now = stage.decided()
    if now is None:
        reason = "it would not be decided by what was recorded"
        return Rehearsed(call.negotiation_id, then.decision, reason=reason)
    heard = {event.sender for _, event in record.events}
    is_longer = now.closed_after > then.decision.closed_after
    unheard = sum(agent not in heard for agent in call.eligible) if is_longer else 0
    assumed = tuple(dict.fromkeys(stage.assumed))
    return Rehearsed(call.negotiation_id, then.decision, now, "", unheard, assumed)


def _hindrance(call: Call) -> str:
    if call.protocol not in REHEARSED:
        return f"{call.protocol} is not decided by a profile in one round"
    if call.options.get("commit"):
        return "bids that are revealed after the close would be revealed at another time"
    return ""


def _decision(call: Call, effects: list[Effect]) -> Decision | None:
    for effect in effects:
        if isinstance(effect, Finish):
            outcome: Mapping[str, Any] = effect.outcome
            winners = outcome["winners"]
            return Decision(
                call.acceptance.label,
                outcome["state"],
                outcome["reason"],
                tuple(won["agent"] for won in winners),
                sum(won["price"] for won in winners) if winners else None,
                round(outcome["decided_at"] - outcome["opened_at"], 6),
                round(outcome["closed_at"] - outcome["opened_at"], 6),
            )
    return None


class _Then:
    """A negotiation as it was, with how long each answer took."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.decision: Decision | None = None
        self.confirmed: dict[str, float] = {}
        """How long each winner took to confirm."""
        self.asked: dict[str, float] = {}
        """When each winner was told that it had won, and for some, asked to confirm."""
        self.accepted: list[tuple[float, str]] = []
        """What the initiator accepted, and how long after it was asked."""
        self.rejected: float | None = None
        """How long the initiator took to reject all that were left."""
        self.settling = 0.0
        self.gone: dict[str, str] = {}
        """Whose stakes could not be, and why."""
        self._follow()

    def _follow(self) -> None:
        closed_at = settle_at = self.record.opened_at
        moments = [self.record.opened_at, *(at for at, _ in self.record.events)]
        happened: list[Event | None] = [None, *(event for _, event in self.record.events)]
        before: Negotiation | None = None
        for at, event, (state, effects) in zip(moments, happened, trace(self.record), strict=True):
            counted = state is not before
            match event:
                case ConfirmReceived(sender) if counted:
                    self.confirmed[sender] = at - self.asked.get(sender, at)
                case AcceptReceived(_, _, offer_id) if counted:
                    self.accepted.append((at - closed_at, offer_id))
                case RejectReceived(_, _, "") if counted:
                    self.rejected = at - closed_at
                case Settled() | NotSettled() if counted:
                    self.settling = at - settle_at
                    if isinstance(event, NotSettled):
                        self.gone |= dict.fromkeys(event.agents, event.reason)
            if state.phase is Phase.CLOSED and (before is None or before.phase is Phase.OPEN):
                closed_at = at
            for effect in effects:
                if isinstance(effect, Tell) and effect.act == "accept":
                    self.asked[effect.recipient] = at
                elif isinstance(effect, Settle):
                    settle_at = at
            self.decision = self.decision or _decision(self.record.call, list(effects))
            before = state


class _Stage:
    """The same negotiation with another profile."""

    def __init__(self, then: _Then, call: Call) -> None:
        self._then = then
        self._call = call
        self._step = PROTOCOLS[call.protocol].step
        self._due: list[tuple[float, int, Event]] = []
        self._count = 0
        self._asked: set[tuple[str, str]] = set()
        self.assumed: list[str] = []

    def decided(self) -> Decision | None:
        """Play until it is decided; None if it never is."""
        opened_at = self._then.record.opened_at
        state: Negotiation
        state, effects = PROTOCOLS[self._call.protocol].open_call(self._call, opened_at)
        rang_at = opened_at - 1
        for at, event in self._then.record.events:
            if isinstance(event, DeadlinePassed):
                rang_at = at
            elif not isinstance(event, ANSWERS):
                # What came in the instant after a timer comes after it again.
                self._plan(math.nextafter(at, math.inf) if at == rang_at else at, event)
        now = opened_at
        for _ in range(STEPS_MAX):
            decision = _decision(self._call, effects)
            if decision is not None or state.is_final:
                return decision
            for at, event in self._answers(state, effects, now):
                self._plan(at, event)
            if self._due and self._due[0][0] <= state.due:
                now, _, event = heapq.heappop(self._due)
            else:
                now, event = max(now, state.due), DeadlinePassed()
            if isinstance(event, OfferReceived | CommitmentReceived) and state.phase is Phase.OPEN:
                self._note_slight(event)
            state, effects = self._step(state, event, now)
        return None

    def _plan(self, at: float, event: Event) -> None:
        self._count += 1
        heapq.heappush(self._due, (at, self._count, event))

    def _note_slight(self, event: Event) -> None:
        """Say so when an offer counts now of which only its value was recorded."""
        needs = self._call.utility or self._call.issues
        if needs and isinstance(event, OfferReceived) and len(event.fields) < 2:
            self.assumed.append(f"{event.sender} offered nothing but its value")

    def _answers(
        self, state: Negotiation, effects: list[Effect], now: float
    ) -> Iterator[tuple[float, Event]]:
        """Yield what the exchange has asked for, with when it comes."""
        net: Any = getattr(state, "net", state)
        if state.phase is Phase.CONFIRMING:
            for award in net.course.pending:
                if self._is_new("confirm", award.offer_id):
                    yield from self._confirmation(award.agent, award.offer_id, now)
        elif state.phase is Phase.CLOSED and self._is_new("decide", ""):
            yield from self._choice(net, now)
        for effect in effects:
            if isinstance(effect, Settle):
                yield now + self._then.settling, self._settlement(effect)

    def _is_new(self, what: str, about: str) -> bool:
        known = (what, about) in self._asked
        self._asked.add((what, about))
        return not known

    def _confirmation(self, agent: str, offer_id: str, now: float) -> Iterator[tuple[float, Event]]:
        after = self._then.confirmed.get(agent)
        if after is None:
            was_asked = self._then.record.call.acceptance.confirm and agent in self._then.asked
            if was_asked:
                return  # and it did not
            self.assumed.append(f"{agent} confirms at once")
        yield now + (after or 0.0), ConfirmReceived(agent, f"confirm-{agent}", offer_id)

    def _choice(self, net: Any, now: float) -> Iterator[tuple[float, Event]]:
        """Let the initiator choose what it chose, or the best when that is not there."""
        then, initiator = self._then, self._call.initiator
        there = [ranked[0].msg_id for ranked in net.course.ranking]
        for number, (after, offer_id) in enumerate(then.accepted):
            if offer_id not in there and there:
                self.assumed.append("the initiator accepts the best")
                offer_id = there[0]
            msg_id = f"accept-{number}"
            yield now + after, AcceptReceived(initiator, msg_id, offer_id)
        if then.rejected is not None:
            yield now + then.rejected, RejectReceived(initiator, "reject")

    def _settlement(self, asked: Settle) -> Event:
        gone = self._then.gone
        agents = tuple(stake.agent for stake in asked.stakes if stake.agent in gone)
        if agents:
            return NotSettled(number=asked.number, reason=gone[agents[0]], agents=agents)
        self.assumed.append("the store takes the award")
        locks = {
            stake.key: tuple(replace(lock, fence=1) for lock in stake.locks)
            for stake in asked.stakes
        }
        return Settled(number=asked.number, locks=locks)
