"""What an event means in a bargain, in the same order for every protocol between two.

First what the store is asked, then time that is over already, then what came before, then who is
heard, then whose turn it is. What a proposal, an acceptance, an ending and silence lead to is of
each protocol: its `Moves`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from policy.bargain_endings import Script, Step, cancel, give_up
from policy.bargain_settling import concerns
from policy.bargain_settling import step as settling_step
from policy.bargain_states import State
from policy.bargain_turns import (
    hear,
    is_heard,
    is_repeated,
    not_your_turn,
    remark,
    think,
    unheard,
)
from policy.effects import Relay
from policy.events import (
    AcceptReceived,
    AgentGone,
    CancelReceived,
    CounterReceived,
    DeadlinePassed,
    Event,
    NotUnderstoodReceived,
    OfferReceived,
    RefusalReceived,
    RejectReceived,
    ReportReceived,
    ThinkingReceived,
)


@dataclass(frozen=True, slots=True)
class Moves:
    """What the party that is to move can do, and what follows when it does nothing."""

    propose: Callable[[State, OfferReceived | CounterReceived, float], Step]
    accept: Callable[[State, AcceptReceived, float], Step]
    leave: Callable[[State, Event, str, float], Step]
    """With the reason that it gives, or ""."""
    time_up: Callable[[State, float], Step]
    """The time of a turn, or of all, is over."""


def step(moves: Moves, state: State, event: Event, now: float) -> Step:
    """Apply one event and return the next state with the effects it caused."""
    if concerns(state, event):
        return settling_step(state, event, now)
    if now > state.due and not isinstance(event, DeadlinePassed) and not state.is_final:
        state, before = moves.time_up(state, now)
        state, after = step(moves, state, event, now)
        return state, before + after
    if is_repeated(state, event):
        return state, []
    if not is_heard(event, state):
        return state, unheard(state, event)
    mover = event.sender in state.to_move
    match event:
        case DeadlinePassed():
            return moves.time_up(state, now) if now >= state.due else (state, [])
        case CancelReceived() if event.sender == state.terms.initiator:
            script = Script(state, Relay(state.terms.responder))
            return cancel(hear(state, event), event.reason, now, script)
        case AgentGone():
            if not mover:
                return state, []
            return give_up(state, "end", now, Script(state), "unreachable")
        case _ if not mover:
            return state, not_your_turn(state, event)
        case OfferReceived() | CounterReceived():
            return moves.propose(state, event, now)
        case AcceptReceived():
            return moves.accept(state, event, now)
        case RejectReceived():
            return moves.leave(state, event, "", now)
        case RefusalReceived() | CancelReceived():
            return moves.leave(state, event, event.reason, now)
        case NotUnderstoodReceived():
            return moves.leave(state, event, "not_understood", now)
        case ReportReceived():
            return remark(state, event)
        case ThinkingReceived():
            return think(state, event, now)
        case _:  # pragma: no cover - the type checker proves that no event is left
            assert_never(event)


def leave(state: State, event: Event, reason: str, now: float) -> Step:
    """End on the word of a party that is to move."""
    script = Script(state, Relay(state.terms.other(event.sender)))
    return give_up(hear(state, event), "end", now, script, reason)
