"""A party that owes an answer asks to be waited for.

    OPEN        an eligible agent that has not answered: the window waits for it
    CLOSED      the initiator that decides: `decide_within` is longer
    CONFIRMING  a winner that was asked: its `confirm_within` is longer

Each asks until some time from now, and its last word counts. Nobody is waited for beyond a
bound that everybody could read in the call, because others are bound meanwhile by what they
offered. A round is open until the call's deadline at most; a decision or a confirmation takes at
most twice the time that the call gave for it, counted from the question. A quorum that is met
closes the round whoever thinks: thinking extends the window, and nothing else.

Whose time is over is silent, as if it had never asked; nothing is invented in its place.
"""

from __future__ import annotations

from msgspec.structs import replace

from policy.call import Terms
from policy.closing import Step, course_of
from policy.events import ThinkingReceived
from policy.refusals import answer, refuse
from policy.states import Aside, Award, Phase, State

THOUGHTS_MAX = 16
"""How often an agent may ask for more time in one negotiation."""
SPANS_MAX = 2
"""How often the time to decide, or to confirm, fits into the longest that it may take."""


def round_ends(terms: Terms, aside: Aside) -> float:
    """Return when an open round ends if nobody answers any more."""
    if aside.met:
        return aside.settled_at
    call, thinking = terms.call, aside.thinking
    if not thinking:
        return call.closes_at
    return max(call.closes_at, min(terms.deadline, max(thinking.values())))


def awake(state: State) -> Aside:
    """Return what is aside without the thoughts of agents that have answered."""
    aside, answers = state.aside, state.answers
    thinking = {agent: until for agent, until in aside.thinking.items() if agent not in answers}
    return replace(aside, thinking=thinking)


def think(state: State, event: ThinkingReceived, now: float) -> Step:
    """Wait longer for the sender, if it owes an answer and may ask for more time."""
    if not _owes(state, event.sender):
        return state, answer(state, event)
    thoughts = state.aside.thoughts.get(event.sender, 0)
    if thoughts >= THOUGHTS_MAX:
        return state, refuse(
            event,
            "WRONG_STATE",
            f"you have asked for more time {THOUGHTS_MAX} times",
            "answer with what you have, or refuse; ask for more seconds at once next time",
        )
    aside = state.aside
    aside = replace(
        aside,
        thoughts={**aside.thoughts, event.sender: thoughts + 1},
        heard=aside.heard | {(event.sender, event.msg_id)},
    )
    state = replace(state, aside=aside)
    until = now + event.seconds
    if state.phase is Phase.OPEN:
        return _answer_later(state, event.sender, until), [state.terms.relay]
    if state.phase is Phase.CLOSED:
        return _decide_later(state, until), []
    return _confirm_later(state, event.sender, until), [state.terms.relay]


def _owes(state: State, agent: str) -> bool:
    """Tell whether the negotiation waits for an answer of this agent."""
    terms = state.terms
    if state.phase is Phase.OPEN:
        return agent in terms.eligible and not state.answers.get(agent)
    if state.phase is Phase.CLOSED:
        return agent == terms.initiator
    return any(award.agent == agent for award in course_of(state).pending)


def _answer_later(state: State, agent: str, until: float) -> State:
    """Wait for an answer to the call; an agent that was gone is back, and waited for again."""
    aside = replace(state.aside, thinking={**state.aside.thinking, agent: until})
    answers = {other: msg_id for other, msg_id in state.answers.items() if other != agent}
    return replace(state, answers=answers, aside=aside, due=round_ends(state.terms, aside))


def _decide_later(state: State, until: float) -> State:
    asked_at, within = course_of(state).asked_at, state.terms.call.decide_within
    return replace(state, due=_extended(asked_at, within, until))


def _confirm_later(state: State, agent: str, until: float) -> State:
    course, within = course_of(state), state.terms.call.confirm_within

    def longer(award: Award) -> Award:
        if award.agent != agent:
            return award
        return replace(award, confirm_by=_extended(award.asked_at, within, until))

    pending = tuple(map(longer, course.pending))
    due = min(award.confirm_by for award in pending)
    return replace(state, due=due, course=replace(course, pending=pending))


def _extended(asked_at: float, within: float, until: float) -> float:
    """Return until when to wait for what was asked: not less than promised, not too long."""
    return max(asked_at + within, min(asked_at + SPANS_MAX * within, until))
