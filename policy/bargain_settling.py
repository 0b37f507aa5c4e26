"""A deal that holds something waits until the store has written it; then both hear of it.

    OPEN --agreement--> SETTLING --Settled--> COMMITTED
                            +----NotSettled, the deadline--> NO_AWARD: the deal cannot be had
                            +----the initiator cancels--> CANCELLED, and what was written is undone

There is no next best between two: what cannot be paid or served is a conflict. Both protocols
between two hand over to `step` while their state is SETTLING, and what the store says later.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from policy import settling
from policy.bargain_endings import Script, Step, agree, cancel, give_up
from policy.bargain_states import State
from policy.bargain_turns import hear, is_repeated, unheard
from policy.effects import Effect, Relay
from policy.events import CancelReceived, DeadlinePassed, Event, NotSettled, Settled
from policy.states import Phase


def concerns(state: State, event: Event) -> bool:
    """Tell whether an event is for `step` here."""
    return state.phase is Phase.SETTLING or isinstance(event, Settled | NotSettled)


def step(state: State, event: Event, now: float) -> Step:
    """Apply what happens while a deal is written, and what is heard of it later."""
    overdue: list[Effect] = []
    if state.phase is Phase.SETTLING and (
        now > state.due or (isinstance(event, DeadlinePassed) and now >= state.due)
    ):
        state, overdue = _unanswered(state, now)
    state, effects = _heard(state, event, now)
    return state, overdue + effects


def _heard(state: State, event: Event, now: float) -> Step:
    pending = state.settling
    settlement = None if pending is None else pending.settlement
    match event:
        case Settled() | NotSettled():
            if pending is None or not settling.is_current(settlement, event):
                return state, settling.undo(settlement, event)
            return _answered(state, event, now)
        case DeadlinePassed():
            return state, []
        case _ if is_repeated(state, event):
            return state, []
        case CancelReceived() if (
            state.phase is Phase.SETTLING and event.sender == state.terms.initiator
        ):
            return _cancelled(state, event, now)
        case _:
            return state, unheard(state, event)


def _answered(state: State, event: Settled | NotSettled, now: float) -> Step:
    pending = state.settling
    assert pending is not None, "its answer has come"
    match event:
        case Settled():
            written = settling.settled(pending.settlement, event)
            paid, effects = settling.capture(written, unlock=False)
            state = replace(state, settling=replace(pending, settlement=paid))
            state, told = agree(state, pending.deal, now, Script(state), pending.toss)
            return state, told + effects
        case NotSettled():
            refused = settling.not_settled(pending.settlement, event)
            state = replace(state, settling=replace(pending, settlement=refused))
            return give_up(state, "conflict", now, Script(state), event.reason)
        case _:  # pragma: no cover - the type checker proves that no event is left
            assert_never(event)


def _unanswered(state: State, now: float) -> Step:
    """End without the deal, and have undone what may have been written of it."""
    pending = state.settling
    assert pending is not None, "the store was asked"
    settlement, effects = settling.give_up(pending.settlement)
    state = replace(state, settling=replace(pending, settlement=settlement))
    state, told = give_up(state, "conflict", now, Script(state), settling.UNANSWERED)
    return state, effects + told


def _cancelled(state: State, event: CancelReceived, now: float) -> Step:
    pending = state.settling
    assert pending is not None, "the store was asked"
    settlement, effects = settling.release(pending.settlement, "cancelled")
    state = hear(replace(state, settling=replace(pending, settlement=settlement)), event)
    script = Script(state, Relay(state.terms.responder))
    state, told = cancel(state, event.reason, now, script)
    return state, told + effects
