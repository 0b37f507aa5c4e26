"""One negotiation that chance drives, from its call until it could be forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from loadtest.soak.chance import leap
from loadtest.soak.drawer import Drawer
from loadtest.soak.invariants import Broken, Watch, check_replay, check_value, check_view
from policy.call import Call
from policy.effects import Effect
from policy.events import DeadlinePassed, Event
from policy.protocols import Protocol
from policy.states import Negotiation
from policy.table import Record

EVENTS = (4, 12, 30, 30, 90)
"""How many events chance has; then only time passes."""
LATE_EVENTS = 4
DEADLINES_MAX = 1_500
"""How often time alone may move a negotiation on before it is over; bargains have many turns."""
VALUE_SHARE = 1 / 32
VIEW_SHARE = 1 / 64
REPLAY_SHARE = 1 / 4
CALLS_MAX = 1_000


@dataclass(slots=True)
class Played:
    """One negotiation, as far as it went."""

    call: Call
    events: list[tuple[float, Event]] = field(default_factory=list)
    effects: list[tuple[Effect, ...]] = field(default_factory=list)
    phase: str = ""

    @property
    def steps(self) -> int:
        """Return how many steps it took."""
        return len(self.effects)


class Found(Exception):
    """An invariant is broken; names the negotiation."""

    def __init__(self, reason: str, played: Played | None) -> None:
        """Say what is broken, and in which negotiation."""
        super().__init__(reason)
        self.reason = reason
        self.played = played


def play(protocol: Protocol, drawer: Drawer, seed: str, number: int) -> Played:
    """Play one negotiation and check everything. Raises Found."""
    chance = Random(seed)
    played: Played | None = None
    try:
        played = Played(_drawn_call(protocol, drawer, chance, number))
        _drive(protocol, drawer, chance, played)
    except Broken as error:
        raise Found(str(error), played) from error
    except Exception as error:
        raise Found(f"{type(error).__name__}: {error}", played) from error
    return played


def _drawn_call(protocol: Protocol, drawer: Drawer, chance: Random, number: int) -> Call:
    for _ in range(CALLS_MAX):
        call = drawer.call(chance, number)
        if protocol.objection(call) is None:
            return call
    raise Broken("the protocol objects to every call that is drawn")


def _drive(protocol: Protocol, drawer: Drawer, chance: Random, played: Played) -> None:
    now = 0.0
    watch = Watch(played.call)
    state, effects = protocol.open_call(played.call, now)
    played.effects.append(tuple(effects))
    watch.opening(state, effects)

    def happen(event: Event) -> Negotiation:
        played.events.append((now, event))
        after, effects = protocol.step(state, event, now)
        played.effects.append(tuple(effects))
        watch.step(state, event, now, after, effects)
        drawn = chance.random()
        if drawn < VALUE_SHARE:
            after = check_value(after) if after is not state else after
        elif drawn < VALUE_SHARE + VIEW_SHARE:
            check_view(after, played.call)
        return after

    for _ in range(chance.choice(EVENTS)):
        if state.is_final:
            break
        now = leap(chance, state, now)
        state = happen(drawer.event(chance, state, now))
    for _ in range(DEADLINES_MAX):
        if state.is_final:
            break
        now = max(now, state.due)
        state = happen(DeadlinePassed())
    else:
        raise Broken(f"time has passed {DEADLINES_MAX} times, and it is not over")
    for _ in range(chance.randrange(LATE_EVENTS)):
        now = min(leap(chance, state, now), state.due)
        state = happen(drawer.event(chance, state, now))
    played.phase = state.phase.value
    if watch.finished != 1:
        raise Broken(f"it is over, and the outcome was told {watch.finished} times")
    if chance.random() < REPLAY_SHARE:
        events, effects_ = tuple(played.events), tuple(played.effects)
        check_replay(Record(played.call, 0.0, events, effects_), protocol)
