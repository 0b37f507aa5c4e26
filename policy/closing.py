"""From the close of a round to its end: decide, ask to confirm, commit, or end without award.

    close -> no_award
          -> CLOSED (the initiator decides) -> decide -> as the engine's decision
          -> CONFIRMING -> confirm or drop, then the next best -> commit, or no_award
          -> commit

These are the branches of `contract_net.step` after OPEN; each returns the next state with all
effects of the step. Every agent that offered hears its last word once: accept, reject, or the
cancellation; `Course.out` remembers who has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from msgspec.structs import replace

from policy.auction import price, rank
from policy.effects import Effect, Finish, Tell, Turn
from policy.events import OfferReceived
from policy.outcome import outcome, ranking
from policy.settling import shown
from policy.staking import ask_store, last_word, let_go
from policy.states import Award, Course, Phase, State

Step = tuple[State, list[Effect]]
_Placed = tuple[int, OfferReceived]


class Script:
    """What a step says, in order, with the numbers of its messages."""

    __slots__ = ("_negotiation_id", "effects", "told")

    def __init__(self, state: State, *effects: Effect) -> None:
        self._negotiation_id = state.terms.call.negotiation_id
        self.told = state.told
        self.effects: list[Effect] = list(effects)

    def tell(
        self,
        recipient: str,
        act: str,
        in_reply_to: str,
        body: Mapping[str, object],
        turn: Turn | None = None,
    ) -> None:
        """Add a message of the exchange's own."""
        self.told += 1
        msg_id = f"{self._negotiation_id}:{self.told}"
        self.effects.append(Tell(recipient, act, msg_id, in_reply_to, body, turn))

    def reject(self, agent: str, offer_id: str, reason: str) -> None:
        """Add the rejection of an offer."""
        # As `tell` does, without the call: most of what a decision says is this.
        self.told += 1
        msg_id = f"{self._negotiation_id}:{self.told}"
        body = {"offer_id": offer_id, "decision": "rejected", "reason": reason}
        self.effects.append(Tell(agent, "reject", msg_id, offer_id, body))


def close(state: State, by: str, now: float, at: float, script: Script) -> Step:
    """Close the round and decide it, or let the initiator decide.

    `at` is when the round was to close; offers that were good until then are good, though
    the timer that says so comes a moment later, at `now`.
    """
    if state.terms.pauses:
        return _moved(state, Phase.CLOSED, now, Course(now, by), script)
    course = Course(now, by, rank(state.terms, state.offers, at))
    return judge(state, course, now, at, script)


def judge(state: State, course: Course, now: float, at: float, script: Script) -> Step:
    """Decide a closed round, whose offers are ranked, or let the initiator decide."""
    reason = shortage(state, course) or _nobody_can_win(state, course)
    if reason:
        return no_award(state, course, reason, now, script)
    if state.terms.call.decider == "initiator":
        return _ask_initiator(state, course, now, script)
    return award_next(state, course, now, at, script)


def shortage(state: State, course: Course) -> str:
    """Return why a closed round has too few offers to be decided, or an empty text."""
    acceptance, offers = state.terms.call.acceptance, len(state.offers)
    expired = course.closed_by == "deadline" and not state.aside.met
    if not offers:
        return "no_offers"
    if expired and acceptance.on_expiry == "no_award":
        return "quorum_not_met"
    if expired and acceptance.on_expiry == "decide_if" and offers < acceptance.min_offers:
        return "too_few_offers"
    return ""


def _nobody_can_win(state: State, course: Course) -> str:
    if state.terms.call.decider == "engine" and course.ranking[0][2]:
        return "no_acceptable_offer"
    if all(unable == "expired" for _, _, unable in course.ranking):
        return "offers_expired"
    return ""


def _ask_initiator(state: State, course: Course, now: float, script: Script) -> Step:
    """Show the initiator the ranked offers and wait for its choice."""
    call = state.terms.call
    course = replace(course, asked_at=now)
    due = now + call.decide_within
    shown = {
        "ranking": ranking(course.ranking, course.out, frozenset(), ""),
        "decide_before": due,
        "decide_within": call.decide_within,
        "max_awards": call.max_awards,
        "closed_by": course.closed_by,
    }
    body = {"result": shown, "done": False}
    script.tell(call.initiator, "inform", call.msg_id, body)
    return _moved(state, Phase.CLOSED, due, course, script)


def _moved(state: State, phase: Phase, due: float, course: Course, script: Script) -> Step:
    moved = State(
        state.terms, phase, due, state.answers, state.offers, script.told, state.aside, course
    )
    return moved, script.effects


def standing(state: State, course: Course, at: float) -> Iterator[_Placed]:
    """Yield the offers that can still be awarded at the time `at`, with their places."""
    initiator_decides = state.terms.call.decider == "initiator"
    out = course.out
    for place, (offer, _, unable) in enumerate(course.ranking, 1):
        if unable and (unable == "expired" or not initiator_decides):
            continue
        if offer.sender in out or (offer.valid_until is not None and offer.valid_until < at):
            continue
        yield place, offer


def decide(state: State, course: Course, now: float, script: Script) -> Step:
    """Award what the initiator has chosen, in the order in which it did."""
    placed = {offer.sender: (place, offer) for place, (offer, _, _) in enumerate(course.ranking, 1)}
    winners = [placed[agent] for agent in course.chosen]
    return _award(state, replace(course, chosen=()), winners, None, now, script)


def award_next(state: State, course: Course, now: float, at: float, script: Script) -> Step:
    """Award the units that nobody holds to the best offers that stand at the time `at`."""
    held = {award.agent for award in (*course.pending, *course.awards)}
    units = state.terms.call.max_awards - len(held)
    free = (placed for placed in standing(state, course, at) if placed[1].sender not in held)
    winners = list(islice(free, units))
    _, lost = next(free, (0, None))
    return _award(state, course, winners, None if lost is None else lost.value, now, script)


def _award(
    state: State,
    course: Course,
    winners: Iterable[_Placed],
    best_lost: float | None,
    now: float,
    script: Script,
) -> Step:
    """Tell winners that they have won; they hold the award at once, or once they confirm."""
    terms = state.terms
    call = terms.call
    made = tuple(
        [
            Award(
                offer.sender,
                offer.msg_id,
                offer.value,
                price(terms, offer.value, best_lost),
                place,
                now,
                now + call.confirm_within,
            )
            for place, offer in winners
        ]
    )
    if made and call.stakes is not None:
        settlement, effect = ask_store(state, course, made, call.stakes, now)
        script.effects.append(effect)
        course = replace(course, settling=made, settlement=settlement)
        return go_on(state, course, now, script)
    return tell_awards(state, course, made, now, script)


def tell_awards(
    state: State, course: Course, made: tuple[Award, ...], now: float, script: Script
) -> Step:
    """Tell winners that they have won, of awards that nothing stands in the way of."""
    call = state.terms.call
    confirm = call.acceptance.confirm
    for award in made:
        details: dict[str, object] = {"rank": award.rank, "round": call.round}
        if confirm:
            details["confirm_within"] = call.confirm_within
        if call.report_within is not None:
            details["report_within"] = call.report_within
        if course.settlement is not None:
            details |= shown(course.settlement, award.agent)
        body = {
            "offer_id": award.offer_id,
            "decision": "accepted",
            "price": award.price,
            "award": details,
        }
        script.tell(award.agent, "accept", award.offer_id, body)
    if confirm or not made:
        return go_on(state, replace(course, pending=(*course.pending, *made)), now, script)
    return _commit(state, course, (*course.awards, *made), now, script)


def go_on(state: State, course: Course, now: float, script: Script) -> Step:
    """Wait for the next confirmation, or commit, or ask the initiator again, or give up."""
    if course.settling:
        assert course.settlement is not None, "it knows what the store is asked for"
        waits = [award.confirm_by for award in course.pending]
        due = min([course.settlement.answer_by, *waits])
        return _moved(state, Phase.SETTLING, due, course, script)
    if course.pending:
        due = min(award.confirm_by for award in course.pending)
        return _moved(state, Phase.CONFIRMING, due, course, script)
    if course.awards:
        return _commit(state, course, course.awards, now, script)
    if state.terms.call.decider == "initiator" and any(standing(state, course, now)):
        return _ask_initiator(state, course, now, script)
    settlement = course.settlement
    refused = "" if settlement is None else settlement.refused
    return no_award(state, course, refused or "not_confirmed", now, script)


def drop(state: State, lapsed: Mapping[str, str], now: float, at: float, script: Script) -> Step:
    """Let pending winners go, with reasons, and award their units to the next best."""
    course = course_of(state)
    course = replace(
        course,
        pending=tuple(award for award in course.pending if award.agent not in lapsed),
        out={**course.out, **lapsed},
    )
    if course.settlement is not None:
        course = let_go(course, "not_confirmed", script.effects, lapsed)
    if course.settling or state.terms.call.decider == "initiator":
        return go_on(state, course, now, script)
    return award_next(state, course, now, at, script)


def confirm(state: State, agent: str, now: float, script: Script) -> Step:
    """Let a pending winner hold its award."""
    course = course_of(state)
    held = tuple(award for award in course.pending if award.agent == agent)
    course = replace(
        course,
        pending=tuple(award for award in course.pending if award.agent != agent),
        awards=(*course.awards, *held),
    )
    return go_on(state, course, now, script)


def _commit(
    state: State, course: Course, awards: tuple[Award, ...], now: float, script: Script
) -> Step:
    """Make the award final: everybody who lost hears why, the initiator hears the outcome."""
    terms = state.terms
    call = terms.call
    won = frozenset([award.agent for award in awards])
    if call.acceptance.final == "required":
        out, lost = course.out, terms.lost
        for offer, _, unable in course.ranking:
            agent = offer.sender
            if agent not in won and agent not in out:
                script.reject(agent, offer.msg_id, unable or lost)
    awaited = call.linger if call.report_within is None else call.report_within
    due = now + awaited
    return _finish(state, course, awards, won, Phase.COMMITTED, "awarded", now, due, script)


def no_award(state: State, course: Course, reason: str, now: float, script: Script) -> Step:
    """End without a winner; everybody who offered hears it."""
    if state.terms.call.acceptance.final == "required":
        for offer, _, unable in course.ranking:
            if offer.sender not in course.out:
                script.reject(offer.sender, offer.msg_id, unable or reason)
    due = now + state.terms.call.linger
    return _finish(state, course, (), frozenset(), Phase.NO_AWARD, reason, now, due, script)


def cancel(state: State, reason: str, now: float, script: Script) -> Step:
    """End on the initiator's word; agents that are at work hear it and owe an answer."""
    call = state.terms.call
    live = _live(state)
    for agent in live:
        offer_id = state.answers.get(agent)
        script.tell(agent, "cancel", offer_id or call.msg_id, {"reason": reason})
    course = state.course or Course(now, "cancel")
    owing, due = frozenset(live), now + call.linger
    if course.outcome is None:
        return _finish(state, course, (), owing, Phase.CANCELLED, reason, now, due, script)
    body = {**course.outcome, "state": Phase.CANCELLED.value, "reason": reason}
    script.tell(call.initiator, "inform", call.msg_id, {"outcome": body})
    course = replace(course, owing=owing, outcome=body)
    if course.settlement is not None:
        course = let_go(course, "cancelled", script.effects)
    return _moved(state, Phase.CANCELLED, due, course, script)


def _live(state: State) -> list[str]:
    """Return who may be working for the negotiation, or may believe to have won."""
    course, aside = state.course, state.aside
    if course is None:
        idle = aside.declined | aside.withdrawn
        return [
            agent
            for agent in dict.fromkeys(state.terms.call.eligible)
            if agent not in idle and state.answers.get(agent) != ""
        ]
    if course.outcome is None:
        return [offer.sender for offer in state.offers if offer.sender not in course.out]
    return [award.agent for award in course.awards if award.agent in course.owing]


def _finish(
    state: State,
    course: Course,
    awards: tuple[Award, ...],
    owing: frozenset[str],
    phase: Phase,
    reason: str,
    now: float,
    due: float,
    script: Script,
) -> Step:
    """Tell the outcome and forget the payloads."""
    call = state.terms.call
    body = outcome(state, course, awards, phase.value, reason, now)
    script.tell(call.initiator, "inform", call.msg_id, {"outcome": body})
    script.effects.append(Finish(body))
    settlement = course.settlement
    if call.stakes is not None:
        settlement = last_word(state, settlement, phase, script.effects)
    ended = Course(
        course.closed_at,
        course.closed_by,
        out=course.out,
        awards=awards,
        owing=owing,
        outcome={**body, "ranking": []},  # told now, and by far the largest part of it
        settlement=settlement,
    )
    return (
        State(state.terms, phase, due, state.answers, (), script.told, state.aside, ended),
        script.effects,
    )


def course_of(state: State) -> Course:
    """Return what has happened since the close, which there must have been."""
    assert state.course is not None, "only a closed round has a course"
    return state.course
