"""Answers to acts that did not count, with a code and what would have been right."""

from __future__ import annotations

from policy.closing import course_of
from policy.effects import Effect, Refuse
from policy.events import (
    AcceptReceived,
    AgentGone,
    CancelReceived,
    ConfirmReceived,
    CounterReceived,
    DeadlinePassed,
    Event,
    HoldRefused,
    MalformedReceived,
    NotSettled,
    NotUnderstoodReceived,
    RefusalReceived,
    RejectReceived,
    ReportReceived,
    Settled,
    ThinkingReceived,
)
from policy.states import Phase, State

_REMEDIES = {
    "NOT_A_PARTY": "only the agents that the call was sent to, and its initiator, may do this",
    "ALREADY_ANSWERED": "the first one stands; repeat its msg_id to repeat it",
    "WRONG_STATE": "wait for the outcome",
    "LATE": "answer before the deadline of the next call",
    "UNKNOWN_OFFER": "name the msg_id of an offer that stands",
    "OFFER_EXPIRED": "make valid_for longer, or leave it out",
    "OFFER_BINDING": "offer with revocable true to be able to withdraw",
}


def refuse(event: Event, code: str, reason: str, remedy: str = "") -> list[Effect]:
    """Return the one answer to an act that did not count."""
    return [Refuse(event.sender, event.msg_id, code, reason, remedy or _REMEDIES[code])]


def answer(state: State, event: Event) -> list[Effect]:
    """Return the answer to an event that means nothing where the negotiation stands.

    What nobody waits for an answer to is passed over: timers of an earlier phase, what the store
    says too late, agents that are gone and owe nothing, a not-understood that ends a
    conversation which is over.
    """
    terms, phase, sender = state.terms, state.phase, event.sender
    is_initiator = sender == terms.initiator
    match event:
        case DeadlinePassed() | AgentGone() | MalformedReceived():
            return []
        case Settled() | NotSettled() | HoldRefused():
            return []
        case _ if not is_initiator and sender not in terms.eligible:
            return refuse(event, "NOT_A_PARTY", "you are not a party of this negotiation")
        case NotUnderstoodReceived():
            return []
        case AcceptReceived() | RejectReceived() if not is_initiator:
            return refuse(event, "NOT_A_PARTY", "only the initiator accepts and rejects")
        case AcceptReceived() | RejectReceived() if terms.call.decider == "engine":
            return refuse(
                event,
                "WRONG_STATE",
                "the exchange decides this negotiation",
                'call with decider "initiator" to decide yourself',
            )
        case ThinkingReceived():
            return _answer_thinking(state, event)
        case RefusalReceived() | ConfirmReceived() | ReportReceived() if (
            sender not in terms.eligible
        ):
            return refuse(event, "NOT_A_PARTY", "only an agent that was called does this")
        case RefusalReceived() if state.answers.get(sender):
            return refuse(event, "ALREADY_ANSWERED", "you have answered this call")
        case RefusalReceived():
            return refuse(event, "LATE", "the round is closed")
        case ConfirmReceived() if phase is not Phase.OPEN:
            return _answer_confirm(state, event)
        case ReportReceived() if phase not in (Phase.OPEN, Phase.CLOSED, Phase.CONFIRMING):
            return _answer_report(state, event)
        case CancelReceived() if is_initiator:
            return refuse(event, "WRONG_STATE", "the negotiation is over")
        case CounterReceived(terms=said, value=None) if said and not is_initiator:
            return refuse(
                event,
                "WRONG_STATE",
                "offers are compared by their value here",
                "answer the call with an offer that has a value",
            )
        case _:
            return refuse(event, "WRONG_STATE", f"this is not possible while it is {phase.value}")


def _answer_confirm(state: State, event: ConfirmReceived) -> list[Effect]:
    course = course_of(state)
    if any(award.agent == event.sender for award in course.awards):
        return refuse(event, "ALREADY_ANSWERED", "your award stands")
    if course.out.get(event.sender) == "not_confirmed":
        return refuse(event, "LATE", "the award went on", "confirm within the time of the accept")
    return refuse(event, "WRONG_STATE", "you have no award to confirm")


def _answer_thinking(state: State, event: ThinkingReceived) -> list[Effect]:
    """Say why the sender owes no answer that it could think about."""
    sender, course = event.sender, state.course
    if sender not in state.terms.eligible:
        return refuse(event, "WRONG_STATE", "nobody waits for an answer of yours")
    if course is not None and course.out.get(sender) == "not_confirmed":
        return refuse(event, "LATE", "the award went on", "think before your time is over")
    if state.answers.get(sender):
        return refuse(event, "ALREADY_ANSWERED", "you have answered, and nothing else is asked")
    return refuse(event, "LATE", "the round is closed", "think before the round is closed")


def _answer_report(state: State, event: ReportReceived) -> list[Effect]:
    course = course_of(state)
    if event.sender in course.owing:
        return refuse(event, "LATE", "the report came too late", "report within report_within")
    if any(award.agent == event.sender for award in course.awards):
        return refuse(event, "ALREADY_ANSWERED", "you have reported")
    return refuse(event, "WRONG_STATE", "you owe no report")
