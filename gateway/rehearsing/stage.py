"""A recorded negotiation, played again with another profile.

A round begins when the other profile lets it, and so does what agents did in it. Whoever is asked
answers after as long as it took then.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator

from msgspec.structs import replace

from gateway.rehearsing.decisions import Decision, decision_in
from gateway.rehearsing.past import Past, Round, course_of, net_in, round_of
from policy.call import Call
from policy.effects import Effect, Settle
from policy.events import (
    AcceptReceived,
    CommitmentReceived,
    ConfirmReceived,
    DeadlinePassed,
    Event,
    NotSettled,
    OfferReceived,
    RejectReceived,
    RevisedCallReceived,
    Settled,
)
from policy.protocols import PROTOCOLS
from policy.states import Negotiation, Phase

STEPS_MAX = 100_000


class Stage:
    """The same negotiation with another profile."""

    def __init__(self, past: Past, call: Call) -> None:
        """Play `past` as `call` says."""
        self._past = past
        self._call = call
        self._step = PROTOCOLS[call.protocol].step
        self._due: list[tuple[float, int, Event]] = []
        self._count = 0
        self._asked: set[tuple[str, str]] = set()
        self.assumed: list[str] = []
        """What nobody knows, and is taken for granted, a sentence each."""

    def decided(self) -> Decision | None:
        """Play until it is decided; None if it never is."""
        now = self._past.record.opened_at
        state: Negotiation
        state, effects = PROTOCOLS[self._call.protocol].open_call(self._call, now)
        for _ in range(STEPS_MAX):
            decision = decision_in(self._call, effects)
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
        """Yield what happens in a round that was opened, and what the exchange has asked for."""
        number = round_of(state)
        then = self._past.rounds.get(number)
        if self._is_new("open", str(number)):
            yield from self._in_round(then, now)
        if state.phase is Phase.CONFIRMING:
            for award in course_of(state).pending:
                if self._is_new("confirm", award.offer_id):
                    yield from self._confirmation(award.agent, award.offer_id, now)
        elif state.phase is Phase.CLOSED and self._is_new("close", str(number)):
            if self._call.options.get("commit"):
                yield from self._reveals(state, then, now)
            else:
                yield from self._choice(state, then, now)
        for effect in effects:
            if isinstance(effect, Settle):
                yield now + self._past.settling, self._settlement(effect)

    def _is_new(self, what: str, about: str) -> bool:
        known = (what, about) in self._asked
        self._asked.add((what, about))
        return not known

    def _in_round(self, then: Round | None, now: float) -> Iterator[tuple[float, Event]]:
        for after, event, rang in [] if then is None else then.happened:
            # What came in the instant after a timer comes after it again.
            yield math.nextafter(now + after, math.inf) if rang else now + after, event

    def _reveals(
        self, state: Negotiation, then: Round | None, now: float
    ) -> Iterator[tuple[float, Event]]:
        """Let bidders reveal what they revealed; what nobody revealed is known to nobody."""
        assert then is not None, "a sealed auction has one round"
        known = {event.sender for _, event in then.revealed}
        for offer in net_in(state).offers:
            if offer.sender not in known:
                self.assumed.append(f"{offer.sender} does not reveal its bid, which nobody knows")
        for after, event in then.revealed:
            yield now + after, event

    def _confirmation(self, agent: str, offer_id: str, now: float) -> Iterator[tuple[float, Event]]:
        after = self._past.confirmed.get(agent)
        if after is None:
            was_asked = self._past.record.call.acceptance.confirm and agent in self._past.asked
            if was_asked:
                return  # and it did not
            self.assumed.append(f"{agent} confirms at once")
        yield now + (after or 0.0), ConfirmReceived(agent, f"confirm-{agent}", offer_id)

    def _choice(
        self, state: Negotiation, then: Round | None, now: float
    ) -> Iterator[tuple[float, Event]]:
        """Let the initiator do what it did after the round; what it cannot do it does nearly."""
        initiator = self._call.initiator
        there = [ranked[0] for ranked in course_of(state).ranking]
        if then is not None and then.revised is not None:
            after, revised = then.revised
            known = {event.sender for _, event, _ in then.happened}
            senders = {one.sender for one in there}
            invited = tuple(agent for agent in revised.invited if agent in senders)
            self._note_strangers(there, then, known)
            if invited:
                if invited != revised.invited:
                    self.assumed.append("the initiator calls again whom it can of those it called")
                yield now + after, self._shifted(revised, invited, now + after, then)
                return
        if then is None or then.closed_at is None or then.revised is not None:
            self.assumed.append("the initiator accepts the best")
            if there:
                yield now, AcceptReceived(initiator, "accept-best", there[0].msg_id)
            return
        ids = [one.msg_id for one in there]
        for number, (after, offer_id) in enumerate(then.accepted):
            if offer_id not in ids and ids:
                self.assumed.append("the initiator accepts the best")
                offer_id = ids[0]
            yield now + after, AcceptReceived(initiator, f"accept-{number}", offer_id)
        if then.rejected is not None:
            yield now + then.rejected, RejectReceived(initiator, "reject")

    def _note_strangers(self, there: list[OfferReceived], then: Round, known: set[str]) -> None:
        """Say whose offers the initiator has not seen before it called again."""
        closed = math.inf if then.closed_at is None else then.closed_at - then.opened_at
        seen = {event.sender for after, event, _ in then.happened if after <= closed}
        for offer in there:
            if offer.sender in known - seen:
                self.assumed.append(f"{offer.sender} would not have been called again")

    def _shifted(
        self, revised: RevisedCallReceived, invited: tuple[str, ...], now: float, then: Round
    ) -> RevisedCallReceived:
        """Return a revised call that lasts as long from now as it lasted then."""
        assert then.revised is not None and then.closed_at is not None, "it was called again"
        later = now - (then.closed_at + then.revised[0])
        return replace(
            revised,
            invited=invited,
            closes_at=revised.closes_at + later,
            deadline=revised.deadline + later,
        )

    def _settlement(self, asked: Settle) -> Event:
        gone = self._past.gone
        agents = tuple(stake.agent for stake in asked.stakes if stake.agent in gone)
        if agents:
            return NotSettled(number=asked.number, reason=gone[agents[0]], agents=agents)
        self.assumed.append("the store takes the award")
        locks = {
            stake.key: tuple(replace(lock, fence=1) for lock in stake.locks)
            for stake in asked.stakes
        }
        return Settled(number=asked.number, locks=locks)
