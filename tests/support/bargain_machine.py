"""What can happen to a bargain of either protocol, but for the proposals themselves."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from policy.effects import Effect, Finish, Tell
from policy.events import Event
from tests.support import plays
from tests.support.bargains import leave, words
from tests.support.model_machine import BesideAModel

NAMES = ("alice", "bob")
names = st.sampled_from(NAMES)
numbers = st.sampled_from("1112")
ASIDES_MAX = 16
seldom = st.sampled_from([True, False, False, False])
"""Not every other time, or little else would happen."""


class BargainMachine(BesideAModel):
    """Two who think, leave, cancel and are gone."""

    turns_max = 120

    def compare(self, effects: list[Effect], predicted: list[str]) -> None:
        """Compare what was said, in its order; the turns are told beside it."""
        said = [words(effect) for effect in effects if not isinstance(effect, Finish)]
        assert [one.partition(": round")[0] for one in said] == predicted

    def happens(self, event: Event, predicted: list[str]) -> None:
        super().happens(event, predicted)
        if not self.model.is_over:
            assert list(self.state.to_move) == [f"agent://{name}" for name in self.model.movers]
            assert self.state.round == self.model.round

    @rule(name=names, number=numbers, sure=seldom)
    def leave(self, name: str, number: str, sure: bool) -> None:
        if sure:
            said = self.overdue()
            event = leave(name, msg_id=f"{name}-no-{number}")
            self.happens(event, said + self.model.leave(name, event.msg_id))

    @rule(number=numbers, sure=seldom)
    def cancel(self, number: str, sure: bool) -> None:
        if sure:
            said = self.overdue()
            event = plays.cancellation(msg_id=f"stop-{number}")
            self.happens(event, said + self.model.cancel(event.msg_id))

    @rule(name=names, seconds=st.sampled_from([0.5, 3.0, 100.0]), number=numbers)
    def think(self, name: str, seconds: float, number: str) -> None:
        said = self.overdue()
        event = plays.thinking(name, seconds, f"{name}-thinks-{number}")
        self.happens(event, said + self.model.think(self.now, name, seconds, event.msg_id))

    @rule(name=names, sure=seldom)
    def gone(self, name: str, sure: bool) -> None:
        if sure:
            said = self.overdue()
            self.happens(plays.gone(name), said + self.model.gone(name))

    def end_turn(self, ending: str, turn: int) -> None:
        number = f"last-{turn}"
        for name in NAMES:
            if ending == "cancel":
                self.cancel(number, True)
            elif ending == "think":
                for again in range(1 if turn else ASIDES_MAX + 1):
                    self.think(name, 100.0, f"{number}-{again}")
            elif ending == "leave":
                self.leave(name, number, True)

    def check_whole(self, effects: list[Effect]) -> None:
        """Both hear the same outcome, once, and no later than the last round."""
        super().check_whole(effects)
        (outcome,) = [effect.outcome for effect in effects if isinstance(effect, Finish)]
        told: list[Any] = [e for e in effects if isinstance(e, Tell) and "outcome" in e.body]
        assert [tell.recipient for tell in told] == [f"agent://{name}" for name in NAMES]
        assert all(tell.body["outcome"] == outcome for tell in told)
        assert self.state.round <= self.state.terms.rules.max_rounds
