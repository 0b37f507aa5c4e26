"""Answers to the call: offers, refusals, and what comes too late or broken.

Each function returns the next state with all effects of the step. `offer` is the hot path:
most of what a gateway does with negotiations is to run it.
"""

from __future__ import annotations

from msgspec.structs import replace

from policy.auction import stands_still
from policy.call import Terms
from policy.closing import Script, Step, close
from policy.effects import Effect
from policy.events import (
    AgentGone,
    Event,
    MalformedReceived,
    NotUnderstoodReceived,
    OfferReceived,
    RefusalReceived,
)
from policy.issues import fault
from policy.refusals import refuse
from policy.states import State
from policy.thinking import awake, round_ends


def offer(state: State, event: OfferReceived, now: float) -> Step:
    terms = state.terms
    sender = event.sender
    if event.probe:
        return state, []  # the record of the negotiation keeps it; nobody else ever knows
    answered = state.answers.get(sender)
    if answered:
        return state, _answered_twice(event, answered)
    if sender not in terms.eligible:
        return state, refuse(event, "NOT_A_PARTY", "the call was not sent to you")
    until, round_ = event.valid_until, event.fields.get("round", terms.round)
    if round_ != terms.round or (until is not None and until < now):
        return state, why_unfit(terms, event, now)
    if terms.issues:
        wrong = fault(terms.issues, event.fields.get("terms"))
        if wrong is not None:
            refusal = refuse(event, "TERMS_INVALID", wrong.reason, wrong.remedy)
            state, after = malformed(state, MalformedReceived(sender, event.msg_id), now)
            return state, refusal + after
    if terms.call.fairness is not None and (why := stands_still(terms, event)) is not None:
        return state, refuse(event, "MUST_CONCEDE", *why)
    answers = {**state.answers, sender: event.msg_id}
    offers = (*state.offers, event)
    state = State(terms, state.phase, state.due, answers, offers, state.told, state.aside, None)
    effects: list[Effect] = [] if terms.sealed else [terms.relay]
    if (
        len(offers) < terms.quorum
        and len(answers) < terms.size
        and not terms.counts_any
        and not state.aside.thinking
    ):
        return state, effects
    return _after_answer(state, now, effects)


def why_unfit(terms: Terms, event: OfferReceived, now: float) -> list[Effect]:
    """Refuse an offer that has ended already, or is for another round."""
    if event.valid_until is not None and event.valid_until < now:
        return refuse(event, "OFFER_EXPIRED", "the offer has ended before it came")
    if event.fields.get("round", terms.round) != terms.round:
        return refuse(
            event, "WRONG_STATE", "the offer is for another round", f"use round {terms.round}"
        )
    return []


def _answered_twice(event: OfferReceived, answered: str) -> list[Effect]:
    if answered == event.msg_id:
        return []
    return refuse(event, "ALREADY_ANSWERED", "you have answered this call")


def _after_answer(state: State, now: float, effects: list[Effect]) -> Step:
    """Close the round if this answer was the last that it waits for, or let it settle."""
    terms = state.terms
    aside = awake(state) if state.aside.thinking else state.aside
    if not aside.met and _counted(state) >= terms.quorum:
        settled_at = min(terms.call.closes_at, now + terms.call.acceptance.settle)
        aside = replace(aside, met=True, settled_at=settled_at)
    due = round_ends(terms, aside)
    if aside is not state.aside:
        state = replace(state, due=due, aside=aside)
    if len(state.answers) >= terms.size or (due <= now and aside.met):
        by = "quorum" if aside.met else "all_answered"
        return close(state, by, now, now, Script(state, *effects))
    if due < now:  # the window is over, and nobody thinks any more
        return close(state, "deadline", now, now, Script(state, *effects))
    return state, effects


def _counted(state: State) -> int:
    """Return how many answers count towards the quorum."""
    if not state.terms.counts_any:
        return len(state.offers)
    answered = {agent for agent, msg_id in state.answers.items() if msg_id}
    return len(answered | state.aside.malformed)


def late_offer(state: State, event: OfferReceived) -> Step:
    terms, late = state.terms, state.aside.late
    sender = event.sender
    if event.probe:
        return state, []
    answered = state.answers.get(sender) or late.get(sender)
    if answered:
        return state, _answered_twice(event, answered)
    if sender not in terms.eligible:
        return state, refuse(event, "NOT_A_PARTY", "the call was not sent to you")
    acceptance = terms.call.acceptance
    record = acceptance.late == "record"
    script = Script(state, *([terms.relay] if record else []))
    if not record or acceptance.final == "required":
        script.reject(sender, event.msg_id, "late")
    aside = replace(state.aside, late={**late, sender: event.msg_id})
    late_state = State(
        terms,
        state.phase,
        state.due,
        state.answers,
        state.offers,
        script.told,
        aside,
        state.course,
    )
    return late_state, script.effects


def malformed(state: State, event: MalformedReceived, now: float) -> Step:
    """Count an offer that was refused before it came here; its sender may still mend it."""
    sender, aside = event.sender, state.aside
    if sender not in state.terms.eligible or sender in aside.malformed:
        return state, []
    if state.answers.get(sender):
        return state, []
    state = replace(state, aside=replace(aside, malformed=aside.malformed | {sender}))
    return _after_answer(state, now, [])


def no_offer(
    state: State, event: RefusalReceived | NotUnderstoodReceived | AgentGone, now: float
) -> Step:
    """Expect no offer of this agent; one that could not be reached may still come back."""
    terms, sender = state.terms, event.sender
    gone = isinstance(event, AgentGone)
    if sender not in terms.eligible or state.answers.get(sender):
        return state, [] if gone else _answer_no_offer(state, event)
    state = replace(state, answers={**state.answers, sender: "" if gone else event.msg_id})
    if gone:
        return _after_answer(state, now, [])
    declined = state.aside.declined | {sender}
    state = replace(state, aside=replace(state.aside, declined=declined))
    return _after_answer(state, now, [] if terms.sealed else [terms.relay])


def _answer_no_offer(state: State, event: Event) -> list[Effect]:
    if event.sender in state.terms.eligible:
        return refuse(
            event,
            "ALREADY_ANSWERED",
            "you have answered this call",
            "cancel to withdraw an offer that is revocable",
        )
    if event.sender == state.terms.initiator:
        return refuse(
            event, "WRONG_STATE", "your own call is open", "cancel to end the negotiation"
        )
    return refuse(event, "NOT_A_PARTY", "the call was not sent to you")
