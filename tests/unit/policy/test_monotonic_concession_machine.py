"""Monotonic concession beside a model, driven by chance; then every ending from there."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from policy.effects import Effect, Refuse
from policy.events import AcceptReceived, CounterReceived, Event
from policy.monotonic_concession import State
from tests.support.bargain_machine import NAMES, BargainMachine, names, numbers
from tests.support.bargain_model import INFINITE, ConcessionModel, Proposal
from tests.support.bargains import CONCESSION, make_bargain, propose, take, words
from tests.support.model_machine import driven

prices = st.sampled_from([1.0, 2.0, 3.0, 5.0, 5.0, 7.0, 8.0, 9.0])
ENDINGS = ("wait", "cancel", "accept", "reach", "still", "concede", "think", "leave")
UTILITIES = {"initiator": "10 - value", "responder": "value"}


class MonotonicConcession(BargainMachine):
    """What can happen to any bargain, and proposals."""

    endings = ENDINGS

    @initialize(
        max_rounds=st.sampled_from([2, 3, 6, 100]),
        turn_within=st.sampled_from([None, 2.0, 4.0]),
        repeats=st.booleans(),
        concession=st.sampled_from(["both", "either", "either", "zeuthen"]),
        step_min=st.sampled_from([0.0, 2.0]),
    )
    def call(
        self,
        max_rounds: int,
        turn_within: float | None,
        repeats: bool,
        concession: str,
        step_min: float,
    ) -> None:
        self.model = ConcessionModel(
            max_rounds,
            INFINITE if turn_within is None else turn_within,
            repeats,
            movers=["alice", "bob"],
            concession=concession,
            step_min=step_min,
        )
        options: dict[str, Any] = {} if turn_within is None else {"turn_within": turn_within}
        self.record_call = make_bargain(
            CONCESSION,
            max_rounds=max_rounds,
            on_timeout="repeat" if repeats else "end",
            concession=concession,
            step_min=step_min,
            utilities=UTILITIES,
            **options,
        )
        self.begin()

    @rule(name=names, price=prices, number=numbers)
    def propose(self, name: str, price: float, number: str) -> None:
        msg_id = f"{name}-{price:g}-{number}"
        said = self.overdue()
        offer = Proposal(name, price, msg_id)
        self.happens(propose(name, price, msg_id), said + self.model.propose(self.now, offer))

    @rule(
        by=st.lists(st.sampled_from([0.0, 1.0, 1.0, 2.0]), min_size=1, max_size=6), number=numbers
    )
    def bargain(self, by: list[float], number: str) -> None:
        """Chance alone seldom finds deals that may be tabled."""
        for turn, less in enumerate(by):
            for name in list(self.model.movers):
                own = self.model.last.get(name)
                start = 1.0 if name == "alice" else 8.0
                price = start if own is None else own.price + (less if name == "alice" else -less)
                self.propose(name, price, f"{number}-{turn}")

    @rule(number=numbers)
    def reach(self, number: str) -> None:
        """Let alice give way by 2, and at last by as little as there is; bob stands still."""
        own, theirs = (self.model.last.get(name) for name in ("alice", "bob"))
        if own is not None and theirs is not None:
            self.propose("alice", min(own.price + 2.0, theirs.price), f"{number}-reach")
            self.propose("bob", theirs.price, f"{number}-reach")

    @rule(name=names, stale=st.booleans(), number=numbers)
    def accept(self, name: str, stale: bool, number: str) -> None:
        said = self.overdue()
        theirs = self.model.last.get("bob" if name == "alice" else "alice")
        offer_id = "nothing" if theirs is None or stale else theirs.msg_id
        event = take(name, offer_id, f"{name}-yes-{number}")
        self.happens(event, said + self.model.accept(self.now, name, offer_id, event.msg_id))

    def end_turn(self, ending: str, turn: int) -> None:
        super().end_turn(ending, turn)
        number = f"last-{turn}"
        for name in NAMES:
            if ending == "accept":
                self.accept(name, False, number)
        if ending in ("still", "concede", "reach"):
            self.bargain([2.0 if ending == "concede" else 0.0], number)
        for nearer in range(5 if ending == "reach" else 0):
            self.reach(f"{number}-{nearer}")

    def check_whole(self, effects: list[Effect]) -> None:
        """Nobody takes back what it gave, and nothing is shown too early."""
        super().check_whole(effects)
        _check_monotone(self.state, self.events, self.history)
        _check_sealed(self.events, self.history)


def _check_monotone(
    state: State, events: list[tuple[float, Event]], history: list[list[Effect]]
) -> None:
    """N-4.2: never worse for the other: U2(x') ≥ U2(x), on the trace, by the declared price."""
    tabled: dict[str, list[float]] = {"agent://alice": [], "agent://bob": []}
    known: set[str] = set()
    for (_, event), effects in zip(events, history[1:], strict=True):
        refused = any(isinstance(effect, Refuse) for effect in effects)
        if not isinstance(event, CounterReceived) or refused or event.msg_id in known:
            continue
        known.add(event.msg_id)
        if (event.sender, event.msg_id) in state.heard:
            tabled[event.sender].append(event.value or 0.0)
    assert tabled["agent://alice"] == sorted(tabled["agent://alice"])
    assert tabled["agent://bob"] == sorted(tabled["agent://bob"], reverse=True)


def _check_sealed(events: list[tuple[float, Event]], history: list[list[Effect]]) -> None:
    """Nothing is passed on that names a deal before its step is over."""
    for (_, event), effects in zip(events, history[1:], strict=True):
        if isinstance(event, CounterReceived | AcceptReceived):
            assert not any(words(effect).startswith("relay") for effect in effects)


TestMonotonicConcessionDoesWhatItsModelPredicts = driven(MonotonicConcession, 200)
