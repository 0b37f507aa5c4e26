"""A protocol beside a model, driven by chance; then every ending from wherever it led.

A machine is derived from `BesideAModel` for each protocol: it makes a call and a model of it, and
has a rule for everything that can happen. Whatever happens is predicted by the model first.
"""

from __future__ import annotations

import pickle
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from policy.call import Call
from policy.effects import Effect, Finish, Refuse, Tell
from policy.events import Event
from policy.protocols import PROTOCOLS
from policy.table import Record, trace
from tests.support import plays


class BesideAModel(RuleBasedStateMachine):
    """Everything may happen at any time, twice, out of turn, and too late."""

    endings: tuple[str, ...]
    """Words for `end_turn`: ways to go on until it is over."""
    turns_max: int
    """After so many turns of any ending it has to be over."""
    model: Any
    """Has `phase`, `due`, `is_over`, and `time`: what is said when a deadline passes."""
    record_call: Call

    def begin(self) -> None:
        """Open the call, of whichever protocol."""
        self.now = 0.0
        self.protocol = PROTOCOLS[self.record_call.protocol]
        self.state: Any
        self.state, effects = self.protocol.open_call(self.record_call, 0.0)
        self.events: list[tuple[float, Event]] = []
        self.history = [effects]

    def happens(self, event: Event, predicted: list[str]) -> None:
        before = self.state
        state, effects = self.protocol.step(before, event, self.now)
        self.compare(effects, predicted)
        if state is before:
            assert all(isinstance(effect, Refuse) for effect in effects)
        self.state = pickle.loads(pickle.dumps(state))
        assert self.state == state
        self.events.append((self.now, event))
        self.history.append(effects)
        assert self.state.phase.value == self.model.phase
        if not self.model.is_over:
            assert self.state.due == self.model.due

    def overdue(self) -> list[str]:
        """Predict what an act finds that comes after a timer which nobody has heard yet."""
        said: list[str] = []
        while self.now > self.model.due and not self.model.is_over:
            said += self.model.time(self.now)
        return said

    @rule(later=st.sampled_from([0.0, 0.5]), heard=st.booleans())
    def time_is_up(self, later: float, heard: bool) -> None:
        """Jump to the next deadline; its timer may ring, or an act may come before it does."""
        if self.model.is_over:
            return
        self.now = max(self.now, self.model.due + later)
        if heard:
            self.happens(plays.TIME_UP, self.model.time(self.now))

    @rule()
    def time_passes(self) -> None:
        """Stop half-way to the next deadline, where a window may be over and extended."""
        if not self.model.is_over and self.now < self.model.due:
            self.now = (self.now + self.model.due) / 2

    @rule()
    def timer_of_before(self) -> None:
        if self.now < self.model.due:
            self.happens(plays.TIME_UP, [])

    def teardown(self) -> None:
        """Try every ending from here, predicted like all else, and replay each."""
        if not hasattr(self, "state"):
            return
        here = self.state, self.now, self.events, self.history, self.model
        for ending in self.endings:
            self.state, self.now, events, history, model = here
            self.events, self.history, self.model = list(events), list(history), deepcopy(model)
            self.end(ending)
            record = Record(self.record_call, 0.0, tuple(self.events))
            assert [effects for _, effects in trace(record)] == self.history
            self.check_whole([effect for effects in self.history for effect in effects])

    def end(self, ending: str) -> None:
        for turn in range(self.turns_max):
            if self.model.is_over:
                break
            self.end_turn(ending, turn)
            self.time_is_up(0.0, True)
        assert self.state.is_final, "whoever waits has a deadline"

    def compare(self, effects: list[Effect], predicted: list[str]) -> None:
        """Check what was said against the words of the model."""
        raise AssertionError("each protocol has its own words")

    def end_turn(self, ending: str, turn: int) -> None:
        """Do what brings this ending nearer, before the next deadline passes."""
        raise AssertionError("each protocol has its own endings")

    def check_whole(self, effects: list[Effect]) -> None:
        """Check what must hold of a whole negotiation, however it went."""
        assert sum(isinstance(effect, Finish) for effect in effects) == 1
        tells = [effect for effect in effects if isinstance(effect, Tell)]
        assert [t.msg_id for t in tells] == [f"g.0.n:{n}" for n in range(1, len(tells) + 1)]


def driven(machine: type[BesideAModel], examples: int) -> Any:
    """Return the test that lets chance drive a machine so often."""
    machine.TestCase.settings = settings(
        max_examples=examples,
        stateful_step_count=16,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    return pytest.mark.slow(machine.TestCase)
