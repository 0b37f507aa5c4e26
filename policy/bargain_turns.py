"""Turns of a bargain: who is to move until when, and what may be said without moving.

A turn lasts `turn_within` seconds where the call says so, and never beyond the deadline. A party
that thinks makes its turn longer, to twice its length at most: the other waits meanwhile, and
could read so much in the call. A remark is passed on and changes nobody's turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard, get_args

from msgspec.structs import replace

from policy.bargain_endings import Step, last_said
from policy.bargain_states import State
from policy.effects import Effect, Relay, Turn
from policy.events import (
    AcceptReceived,
    AgentGone,
    CancelReceived,
    CounterReceived,
    DeadlinePassed,
    Event,
    MalformedReceived,
    NotUnderstoodReceived,
    OfferReceived,
    RefusalReceived,
    RejectReceived,
    ReportReceived,
    ThinkingReceived,
)
from policy.refusals import refuse
from policy.states import Phase
from policy.thinking import SPANS_MAX

Heard = (
    OfferReceived
    | CounterReceived
    | AcceptReceived
    | RejectReceived
    | RefusalReceived
    | NotUnderstoodReceived
    | CancelReceived
    | ReportReceived
    | ThinkingReceived
    | AgentGone
    | DeadlinePassed
)
"""What a party can do, and what can happen to it."""

HEARD: Mapping[Phase, tuple[type, ...]] = {
    Phase.OPEN: get_args(Heard),
    Phase.COMMITTED: (),
    Phase.NO_AWARD: (),
    Phase.CANCELLED: (),
}
"""Which events mean something in which phase. Others change nothing; `unheard` answers them."""

ASIDES_MAX = 16
"""How often a party may ask for time, or say something without moving, in one bargain."""


def is_heard(event: Event, state: State) -> TypeGuard[Heard]:
    """Tell whether an event means something here."""
    if not isinstance(event, HEARD[state.phase]):
        return False
    if isinstance(event, DeadlinePassed):
        return True
    probe = isinstance(event, OfferReceived) and event.probe
    return state.terms.is_party(event.sender) and not probe


def is_repeated(state: State, event: Event) -> bool:
    """Tell whether this very act has counted already."""
    return (event.sender, event.msg_id) in state.heard


def hear(state: State, event: Event) -> State:
    """Return the state that knows an act which counted when it comes again."""
    return replace(
        state,
        heard=state.heard | {(event.sender, event.msg_id)},
        last={**state.last, event.sender: event.msg_id},
    )


def turn_ends(state: State, since: float) -> float:
    """Return when a turn ends that begins at `since`."""
    within = state.terms.rules.turn_within
    return state.terms.deadline if within is None else min(state.terms.deadline, since + within)


def turn_of(state: State, agent: str) -> Turn | None:
    """Return what a party is told that is to move now; None for one that is not."""
    if agent not in state.to_move:
        return None
    standing = state.standing or state.deals.get(state.terms.other(agent))
    return Turn(
        round=state.round,
        rounds_left=state.terms.rules.max_rounds - state.round,
        answer_by=state.due,
        deadline=state.terms.deadline,
        own_last_msg_id=_own_last(state, agent),
        offer_id="" if standing is None else standing.offer_id,
        offer_sender="" if standing is None else standing.sender,
        offer_value=None if standing is None else standing.value,
    )


def _own_last(state: State, agent: str) -> str:
    """Return the last act of a party's own; the call is the initiator's first."""
    return last_said(state, agent) if agent == state.terms.initiator else state.last.get(agent, "")


def think(state: State, event: ThinkingReceived, now: float) -> Step:
    """Wait longer for a party that is to move."""
    refused = _too_many_asides(state, event)
    if refused:
        return state, refused
    within = state.terms.rules.turn_within
    longest = state.terms.deadline if within is None else state.since + SPANS_MAX * within
    until = min(state.terms.deadline, longest, now + event.seconds)
    return _aside(state, event, max(state.due, until))


def remark(state: State, event: ReportReceived) -> Step:
    """Pass on what a party says that is to move and does not yet."""
    refused = _too_many_asides(state, event)
    return (state, refused) if refused else _aside(state, event, state.due)


def _aside(state: State, event: Event, due: float) -> Step:
    asides = {**state.asides, event.sender: state.asides.get(event.sender, 0) + 1}
    state = replace(hear(state, event), asides=asides, due=due)
    return state, [Relay(state.terms.other(event.sender))]


def _too_many_asides(state: State, event: Event) -> list[Effect]:
    if state.asides.get(event.sender, 0) < ASIDES_MAX:
        return []
    return refuse(
        event,
        "WRONG_STATE",
        f"you have asked for time or said something without moving {ASIDES_MAX} times",
        "propose, accept or end",
    )


def not_your_turn(state: State, event: Event) -> list[Effect]:
    """Answer an act of a party that is not to move."""
    return refuse(
        event,
        "NOT_YOUR_TURN",
        f"{', '.join(state.to_move)} is to move",
        "wait for its answer",
    )


def unheard(state: State, event: Event) -> list[Effect]:
    """Answer an event that means nothing where the bargain stands, if anybody waits for it."""
    match event:
        case DeadlinePassed() | AgentGone() | MalformedReceived():
            return []
        case OfferReceived(probe=True):
            return []
        case _ if not event.sender:
            return []  # an event of the exchange's own, for another protocol
        case _ if not state.terms.is_party(event.sender):
            return refuse(event, "NOT_A_PARTY", "this is between two others")
        case OfferReceived() | CounterReceived() if state.is_final:
            return refuse(event, "LATE", "it is over", "propose before the deadline of the next")
        case CancelReceived():
            return refuse(event, "WRONG_STATE", "the negotiation is over")
        case _:
            phase = "over" if state.phase is not Phase.OPEN else "open"
            return refuse(event, "WRONG_STATE", f"this is not possible while it is {phase}")
