"""What follows when the store has answered, in a contract net whose call has stakes.

    SETTLING --Settled--> the winners hear of it: CONFIRMING, or COMMITTED
             --NotSettled--> who cannot be paid or served hears why; the next best is asked for
             --the deadline--> NO_AWARD, unless other awards stand

These are branches of `contract_net.step`, as those in `closing` are.
"""

from __future__ import annotations

from msgspec.structs import replace

from policy.closing import (
    Script,
    Step,
    award_next,
    course_of,
    decide,
    drop,
    go_on,
    no_award,
    standing,
    tell_awards,
)
from policy.effects import Release
from policy.events import HoldRefused, NotSettled, OfferReceived, Settled
from policy.settling import UNANSWERED, give_up, hold_key_of, is_current, not_settled, settled, undo
from policy.staking import hold_units
from policy.states import Award, Course, Phase, State

FOR_ALL = ("SUPERSEDED", "STORE_UNAVAILABLE")
"""Refusals after which no other offer can do better."""


def answered(state: State, event: Settled | NotSettled, now: float) -> Step:
    """Go on with what the store has written, or without; undo what nobody waits for."""
    course = state.course
    settlement = None if course is None else course.settlement
    if course is None or settlement is None or not is_current(settlement, event):
        return state, undo(settlement, event)
    made = course.settling
    if isinstance(event, NotSettled):
        course = replace(course, settling=(), settlement=not_settled(settlement, event))
        return _refused(state, course, made, event, now)
    course = replace(course, settling=(), settlement=settled(settlement, event))
    call = state.terms.call
    script = Script(state)
    told = tuple(
        replace(award, asked_at=now, confirm_by=now + call.confirm_within) for award in made
    )
    state, effects = tell_awards(state, course, told, now, script)
    if state.phase is Phase.CONFIRMING and call.decider == "engine":
        # Somebody may have let go of an award while the store was asked.
        return award_next(state, course_of(state), now, now, script)
    return state, effects


def _refused(
    state: State, course: Course, made: tuple[Award, ...], event: NotSettled, now: float
) -> Step:
    """Tell those that cannot have the award, and try the next best with the others."""
    script = Script(state)
    failing = {award.agent for award in made if not event.agents or award.agent in event.agents}
    course = _out(course, [award for award in made if award.agent in failing], event, script)
    if event.reason in FOR_ALL:
        if course.pending or course.awards:
            return go_on(state, course, now, script)
        return no_award(state, course, event.reason, now, script)
    if state.terms.call.decider == "initiator":
        left = tuple(award.agent for award in made if award.agent not in failing)
        return decide(state, replace(course, chosen=left), now, script)
    if event.reason == "BUDGET_EXHAUSTED" and _initiator_pays(state):
        dearest = min(award.price for award in made if award.agent in failing)
        for _, offer in list(standing(state, course, now)):
            if offer.value >= dearest and offer.sender not in {award.agent for award in made}:
                script.reject(offer.sender, offer.msg_id, event.reason)
                course = replace(course, out={**course.out, offer.sender: event.reason})
    return award_next(state, course, now, now, script)


def _out(course: Course, failing: list[Award], event: NotSettled, script: Script) -> Course:
    for award in failing:
        if event.retry_at is None:
            script.reject(award.agent, award.offer_id, event.reason)
            continue
        body = {
            "offer_id": award.offer_id,
            "decision": "rejected",
            "reason": event.reason,
            "retry_at": event.retry_at,
        }
        script.tell(award.agent, "reject", award.offer_id, body)
    reasons = dict.fromkeys((award.agent for award in failing), event.reason)
    return replace(course, out={**course.out, **reasons})


def _initiator_pays(state: State) -> bool:
    stakes = state.terms.call.stakes
    return stakes is not None and stakes.credit is not None and stakes.credit.payer == "initiator"


def overdue(state: State, now: float, script: Script) -> Step:
    """Go on without an answer of the store, or without confirmations that did not come."""
    course = course_of(state)
    lapsed = [award for award in course.pending if award.confirm_by <= now]
    for award in lapsed:
        script.tell(award.agent, "cancel", award.offer_id, {"reason": "not_confirmed"})
    reasons = dict.fromkeys((award.agent for award in lapsed), "not_confirmed")
    assert course.settlement is not None, "the store was asked"
    if now < course.settlement.answer_by:
        return drop(state, reasons, now, now, script)
    settlement, effects = give_up(course.settlement)
    script.effects += effects
    for award in course.settling:
        script.reject(award.agent, award.offer_id, UNANSWERED)
    out = {**course.out, **dict.fromkeys((one.agent for one in course.settling), UNANSWERED)}
    course = replace(course, settling=(), settlement=settlement, out=out)
    if lapsed:
        state, _ = drop(replace(state, course=course), reasons, now, now, script)
        return state, script.effects
    if course.pending or course.awards:
        return go_on(state, course, now, script)
    return no_award(state, course, UNANSWERED, now, script)


def held_softly(state: State, event: OfferReceived, step: Step, now: float) -> Step:
    """Have units held for an offer that counted just now."""
    stakes = state.terms.call.stakes
    after, effects = step
    counts = after is not state and after.answers.get(event.sender) == event.msg_id
    if stakes is None or not stakes.needs or not counts:
        return step
    return after, [hold_units(state, event, stakes, now), *effects]


def hold_refused(state: State, event: HoldRefused) -> Step:
    """Let an offer go whose units somebody else has, while it could still be chosen."""
    offer = next((one for one in state.offers if one.msg_id == event.offer_id), None)
    if offer is None or offer.sender != event.agent:
        return state, []
    script = Script(state)
    if state.phase is Phase.OPEN:
        script.reject(offer.sender, offer.msg_id, event.reason)
        offers = tuple(other for other in state.offers if other is not offer)
        aside = replace(state.aside, withdrawn=state.aside.withdrawn | {offer.sender})
        return replace(state, offers=offers, aside=aside, told=script.told), script.effects
    course = course_of(state)
    if state.phase is not Phase.CLOSED or offer.sender in (*course.out, *course.chosen):
        return state, []
    script.reject(offer.sender, offer.msg_id, event.reason)
    course = replace(course, out={**course.out, offer.sender: event.reason})
    return replace(state, course=course, told=script.told), script.effects


def freed(state: State, offer: OfferReceived) -> list[Release]:
    """Return what gives back the units that an offer held which is withdrawn."""
    call = state.terms.call
    if not offer.hold or call.stakes is None:
        return []
    return [Release((hold_key_of(call.negotiation_id, call.round, offer.sender),), "withdrawn")]
