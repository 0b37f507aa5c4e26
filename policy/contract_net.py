"""The contract net: one call, many offers, awards (FIPA SC00029H with additions of our own).

    OPEN --close--> CLOSED --accept--> CONFIRMING --confirm--> COMMITTED --report--> DONE, FAILED
      |               (the initiator decides)  (the profile asks for it)
      +--> CANCELLED, from wherever it is not over; NO_AWARD, when nobody wins

An award that holds units or credit passes SETTLING before its winner hears of it.

`step` is the whole protocol: a function of state, event and time. Believe while reading:

- The first answer of an agent to the call is its only one; offers are binding unless revocable.
- Time is judged by `now` alone. An act that comes after its deadline finds the deadline passed,
  though no timer has said so yet.
- An act that does not count leaves the very same state object and is answered by a Refuse; a
  repetition of an act that counted (same sender, same msg_id) is answered by nothing.
- What is told to whom is settled in `closing`; who ranks how, in `auction`.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from policy.call import Call, Terms
from policy.closing import (
    Script,
    Step,
    cancel,
    close,
    confirm,
    course_of,
    decide,
    drop,
    no_award,
    standing,
)
from policy.effects import Effect
from policy.events import (
    AcceptReceived,
    AgentGone,
    CancelReceived,
    CommitmentReceived,
    ConfirmReceived,
    CounterReceived,
    DeadlinePassed,
    Event,
    HoldRefused,
    MalformedReceived,
    NotSettled,
    NotUnderstoodReceived,
    OfferReceived,
    RefusalReceived,
    RejectReceived,
    ReportReceived,
    RevisedCallReceived,
    Settled,
    ThinkingReceived,
)
from policy.offers import late_offer, malformed, no_offer, offer
from policy.refusals import answer, refuse
from policy.settled import answered, freed, held_softly, hold_refused, overdue
from policy.staking import let_go, pay
from policy.states import NOTHING_ASIDE, Award, Phase, State
from policy.thinking import think

__all__ = ["HEARD", "Call", "Phase", "State", "open_call", "step"]

OPEN = Phase.OPEN
ASKED = (Phase.CONFIRMING, Phase.SETTLING)
"""Where winners may have been asked to confirm."""

# Which events mean something in which phase. Others change nothing; `_unheard` answers them.
HEARD = {
    Phase.OPEN: (
        OfferReceived,
        MalformedReceived,
        RefusalReceived,
        NotUnderstoodReceived,
        CancelReceived,
        ThinkingReceived,
        AgentGone,
        DeadlinePassed,
    ),
    Phase.CLOSED: (
        OfferReceived,
        AcceptReceived,
        RejectReceived,
        CancelReceived,
        ThinkingReceived,
        DeadlinePassed,
    ),
    Phase.CONFIRMING: (
        OfferReceived,
        ConfirmReceived,
        ThinkingReceived,
        RefusalReceived,
        NotUnderstoodReceived,
        CancelReceived,
        AgentGone,
        DeadlinePassed,
    ),
    Phase.SETTLING: (
        OfferReceived,
        ConfirmReceived,
        RefusalReceived,
        NotUnderstoodReceived,
        CancelReceived,
        AgentGone,
        DeadlinePassed,
    ),
    Phase.COMMITTED: (
        OfferReceived,
        ReportReceived,
        NotUnderstoodReceived,
        CancelReceived,
        AgentGone,
        DeadlinePassed,
    ),
    Phase.CANCELLED: (OfferReceived, ReportReceived, NotUnderstoodReceived),
    Phase.DONE: (OfferReceived,),
    Phase.FAILED: (OfferReceived,),
    Phase.NO_AWARD: (OfferReceived,),
}


def open_call(call: Call, now: float) -> tuple[State, list[Effect]]:
    """Return a new negotiation; one that nobody may answer is over at once.

    The call is one that `call.objection` does not object to.
    """
    return open_round(Terms.of(call), now, 0)


def open_round(terms: Terms, now: float, told: int) -> tuple[State, list[Effect]]:
    """Return a new round; `told` messages of the exchange's own were sent before."""
    closes_at = terms.call.closes_at
    state = State(terms, OPEN, closes_at, {}, (), told, NOTHING_ASIDE, None)
    if not terms.size:
        return close(state, "all_answered", now, now, Script(state))
    return state, []


def step(state: State, event: Event, now: float) -> tuple[State, list[Effect]]:
    """Apply one event and return the next state with the effects it caused."""
    if type(event) is OfferReceived and state.phase is OPEN and now <= state.due:
        if event.hold:
            return held_softly(state, event, offer(state, event, now), now)
        return offer(state, event, now)  # nearly every event is one
    if now > state.due and not isinstance(event, DeadlinePassed) and not state.is_final:
        state, before = _deadline(state, now)
        state, after = step(state, event, now)
        return state, before + after
    phase = state.phase
    match event:
        case OfferReceived():
            return late_offer(state, event)
        case Settled() | NotSettled():
            return answered(state, event, now)
        case HoldRefused():
            return hold_refused(state, event)
        case _ if is_repeated(state, event):
            return state, []
        case CounterReceived() | CommitmentReceived() | RevisedCallReceived():
            return state, answer(state, event)
        case _ if not isinstance(event, HEARD[phase]):
            return state, answer(state, event)
        case MalformedReceived():
            return malformed(state, event, now)
        case RefusalReceived() | NotUnderstoodReceived() | AgentGone() if phase is Phase.OPEN:
            return no_offer(state, event, now)
        case RefusalReceived() | NotUnderstoodReceived() | AgentGone() if phase in ASKED:
            return _not_confirmed(state, event, now)
        case ReportReceived() | RefusalReceived() | NotUnderstoodReceived() | AgentGone():
            return _report(state, event, now)
        case ThinkingReceived():
            return think(state, event, now)
        case AcceptReceived():
            return _accept(state, event, now)
        case RejectReceived():
            return _reject(state, event, now)
        case ConfirmReceived():
            return _confirm(state, event, now)
        case CancelReceived() if event.sender == state.terms.initiator:
            return cancel(_heard(state, event), event.reason or "cancelled", now, Script(state))
        case CancelReceived():
            return _withdraw(state, event, now)
        case DeadlinePassed():
            return _deadline(state, now) if now >= state.due else (state, [])
        case _:  # pragma: no cover - the type checker proves that no event is left
            assert_never(event)


def is_repeated(state: State, event: Event) -> bool:
    """Tell whether this very act has counted already."""
    sender, msg_id = event.sender, event.msg_id
    return (
        state.answers.get(sender) == msg_id
        or (sender, msg_id) in state.aside.heard
        or state.aside.late.get(sender) == msg_id
    )


def _heard(state: State, event: Event) -> State:
    """Return the state that knows the act when it comes again."""
    heard = state.aside.heard | {(event.sender, event.msg_id)}
    return replace(state, aside=replace(state.aside, heard=heard))


def _accept(state: State, event: AcceptReceived, now: float) -> Step:
    course = course_of(state)
    offer = _named_offer(state, event.offer_id)
    if event.sender != state.terms.initiator:
        return state, answer(state, event)
    if offer is None:
        return state, refuse(event, "UNKNOWN_OFFER", "no such offer stands")
    if offer.sender in course.out:
        return state, refuse(event, "WRONG_STATE", "the offer has had its last word")
    if offer.sender in course.chosen:
        return state, refuse(event, "ALREADY_ANSWERED", "you have accepted this offer")
    if offer.valid_until is not None and offer.valid_until < now:
        return state, refuse(event, "OFFER_EXPIRED", "the offer's validity has ended")
    course = replace(course, chosen=(*course.chosen, offer.sender))
    return _after_choice(
        replace(_heard(state, event), course=course), "rejected", now, Script(state)
    )


def _reject(state: State, event: RejectReceived, now: float) -> Step:
    course = course_of(state)
    if event.sender != state.terms.initiator:
        return state, answer(state, event)
    if not event.offer_id:
        return _decide(_heard(state, event), "rejected", now, Script(state))
    offer = _named_offer(state, event.offer_id)
    if offer is None:
        return state, refuse(event, "UNKNOWN_OFFER", "no such offer stands")
    if offer.sender in course.out or offer.sender in course.chosen:
        return state, refuse(event, "WRONG_STATE", "you have decided about this offer")
    script = Script(state)
    script.reject(offer.sender, offer.msg_id, "rejected")
    course = replace(course, out={**course.out, offer.sender: "rejected"})
    state = replace(_heard(state, event), told=script.told, course=course)
    return _after_choice(state, "rejected", now, script)


def _named_offer(state: State, offer_id: str) -> OfferReceived | None:
    """Return the earliest offer of this id."""
    return next((offer for offer in state.offers if offer.msg_id == offer_id), None)


def _after_choice(state: State, otherwise: str, now: float, script: Script) -> Step:
    """Let the initiator choose on, or decide when nothing is left to choose."""
    course = course_of(state)
    left = [offer for _, offer in standing(state, course, now) if offer.sender not in course.chosen]
    if left and len(course.chosen) < state.terms.call.max_awards:
        return state, script.effects
    return _decide(state, otherwise, now, script)


def _decide(state: State, otherwise: str, now: float, script: Script) -> Step:
    course = course_of(state)
    if course.chosen:
        return decide(state, course, now, script)
    return no_award(state, course, otherwise, now, script)


def _confirm(state: State, event: ConfirmReceived, now: float) -> Step:
    award = _pending(state, event.sender)
    if award is None:
        return state, answer(state, event)
    if award.offer_id != event.offer_id:
        return state, refuse(event, "UNKNOWN_OFFER", "this is not the offer that has won")
    state = _heard(state, event)
    return confirm(state, event.sender, now, Script(state, state.terms.relay))


def _pending(state: State, agent: str) -> Award | None:
    return next((award for award in course_of(state).pending if award.agent == agent), None)


def _not_confirmed(state: State, event: Event, now: float) -> Step:
    """Let a winner go that will not or cannot confirm."""
    if _pending(state, event.sender) is None:
        return state, answer(state, event)
    if isinstance(event, AgentGone):
        return drop(state, {event.sender: "unreachable"}, now, now, Script(state))
    state = _heard(state, event)
    script = Script(state, state.terms.relay)
    return drop(state, {event.sender: "declined"}, now, now, script)


def _withdraw(state: State, event: CancelReceived, now: float) -> Step:
    """Take back an offer that nobody has accepted yet, if it may be taken back."""
    sender, course = event.sender, state.course
    if sender not in state.terms.eligible:
        return state, answer(state, event)
    if state.phase is Phase.COMMITTED:
        remedy = "report failure if you cannot do the work"
        return state, refuse(event, "WRONG_STATE", "the award is made", remedy)
    offer = next((offer for offer in state.offers if offer.sender == sender), None)
    if offer is None or (course is not None and sender in course.out):
        return state, refuse(event, "UNKNOWN_OFFER", "you have no offer that stands")
    has_ended = offer.valid_until is not None and offer.valid_until < now
    if _is_accepted(state, sender) or not (offer.revocable or has_ended):
        return state, refuse(event, "OFFER_BINDING", "the offer is binding")
    state = _heard(state, event)
    aside = replace(state.aside, withdrawn=state.aside.withdrawn | {sender})
    offers = tuple(other for other in state.offers if other is not offer)
    state = replace(state, aside=aside, offers=offers)
    effects: list[Effect] = [*freed(state, offer)]
    if course is None:
        return state, effects if state.terms.sealed else [*effects, state.terms.relay]
    ranking = tuple(ranked for ranked in course.ranking if ranked[0] is not offer)
    state = replace(state, course=replace(course, ranking=ranking))
    script = Script(state, *effects, state.terms.relay)
    if state.phase is Phase.CLOSED:
        return _after_choice(state, "no_offers", now, script)
    return state, script.effects


def _is_accepted(state: State, agent: str) -> bool:
    course = state.course
    return course is not None and (
        agent in course.chosen
        or any(
            award.agent == agent for award in (*course.settling, *course.pending, *course.awards)
        )
    )


def _report(state: State, event: Event, now: float) -> Step:
    """Hear how the work of a winner ended, or what became of a cancellation."""
    course, sender = course_of(state), event.sender
    if sender not in course.owing:
        return state, answer(state, event)
    script = Script(state)
    if isinstance(event, AgentGone):
        _tell_failure(state, "unreachable", [sender], script)
    else:
        state = _heard(state, event)
        script.effects.append(state.terms.relay)
    succeeded = isinstance(event, ReportReceived) and event.succeeded
    if course.settlement is not None and succeeded:
        course = pay(course, sender, script.effects)
    elif course.settlement is not None:
        course = let_go(course, "failed", script.effects, (sender,))
    course = replace(course, owing=course.owing - {sender}, failed=course.failed or not succeeded)
    state = replace(state, told=script.told, course=course)
    if state.phase is Phase.COMMITTED and not course.owing:
        ended = Phase.FAILED if course.failed else Phase.DONE
        state = replace(state, phase=ended, due=now + state.terms.call.linger)
    return state, script.effects


def _tell_failure(state: State, reason: str, agents: list[str], script: Script) -> None:
    call = state.terms.call
    body = {"reason": reason, "detail": ", ".join(agents)}
    script.tell(call.initiator, "failure", call.msg_id, body)


def _deadline(state: State, now: float) -> Step:
    """Go on without what did not come in time."""
    script = Script(state)
    match state.phase:
        case Phase.OPEN:
            by = "quorum" if state.aside.met else "deadline"
            return close(state, by, now, state.due, script)
        case Phase.CLOSED:
            return _decide(state, "not_decided", now, script)
        case Phase.CONFIRMING:
            lapsed = [award for award in course_of(state).pending if award.confirm_by <= now]
            for award in lapsed:
                script.tell(award.agent, "cancel", award.offer_id, {"reason": "not_confirmed"})
            reasons = dict.fromkeys((award.agent for award in lapsed), "not_confirmed")
            return drop(state, reasons, now, state.due, script)
        case Phase.SETTLING:
            return overdue(state, now, script)
        case Phase.COMMITTED if not state.is_final:
            course = course_of(state)
            owing = [award.agent for award in course.awards if award.agent in course.owing]
            _tell_failure(state, "not_reported", owing, script)
            if course.settlement is not None:
                course = let_go(course, "not_reported", script.effects, owing)
            due = now + state.terms.call.linger
            state = replace(state, phase=Phase.FAILED, due=due, told=script.told, course=course)
            return state, script.effects
        case _:
            return state, []
