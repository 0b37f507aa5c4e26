"""The contract net beside a model, driven by chance; then every ending from wherever it led."""

from __future__ import annotations

import pickle
from collections import Counter
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from policy.acceptance import Quorum
from policy.contract_net import Phase, State, open_call, step
from policy.effects import Effect, Finish, Refuse, Tell
from policy.events import Event
from policy.table import Record, trace
from tests.support import plays
from tests.support.contract_model import Model
from tests.support.contract_rules import INFINITE, Bid, Rules

AGENTS = ("bob", "carol", "dave")
names = st.sampled_from(AGENTS)
values = st.sampled_from([1, 2, 2, 3])
numbers = st.sampled_from(["1", "1", "2"])
ENDINGS = ("wait", "cancel", "confirm", "refuse", "accept", "think")


def _plain(effects: list[Effect]) -> Counter[str]:
    """Return what was said, without order and reasons, in the words of the model."""
    said = []
    for effect in effects:
        words = plays.words(effect)
        if words.startswith(("reject", "cancel", "outcome")):
            words = words.partition(":")[0]
        elif words.startswith("show"):
            words = "show alice"
        if not isinstance(effect, Finish):
            said.append(words)
    return Counter(said)


class ContractNet(RuleBasedStateMachine):
    """Everything may happen at any time, twice, and too late."""

    @initialize(
        quorum=st.sampled_from([None, 1, 2, 3]),
        settle=st.sampled_from([0.0, 2.0]),
        select=st.sampled_from(["first", "best", "best", "vickrey"]),
        on_expiry=st.sampled_from(["decide", "decide", "no_award", "decide_if"]),
        flags=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
        units=st.sampled_from([1, 1, 2]),
        report_within=st.sampled_from([None, 5.0]),
        reserve=st.sampled_from([None, 2.0]),
        window=st.sampled_from([None, 4.0]),
    )
    def call(
        self,
        quorum: int | None,
        settle: float,
        select: str,
        on_expiry: str,
        flags: tuple[bool, bool, bool, bool],
        units: int,
        report_within: float | None,
        reserve: float | None,
        window: float | None,
    ) -> None:
        final, confirm, record, decides = flags
        decides = decides and select != "vickrey"
        self.model = Model(
            Rules(
                AGENTS,
                quorum,
                settle,
                select,
                on_expiry,
                final,
                confirm,
                record,
                decides,
                units,
                report_within,
                reserve,
                plays.DEADLINE if window is None else window,
                plays.DEADLINE,
            )
        )
        self.record_call = plays.make_call(
            policy={
                "quorum": Quorum(count=quorum or 0),
                "settle": settle,
                "select": select,
                "on_expiry": on_expiry,
                "min_offers": 2,
                "final": "required" if final else "optional",
                "confirm": confirm,
                "late": "record" if record else "reject",
                "window": window,
            },
            deadline=None if window is None else plays.DEADLINE,
            decider="initiator" if decides else "engine",
            max_awards=units,
            report_within=report_within,
            reserve=reserve,
        )
        self.now = 0.0
        self.state, effects = open_call(self.record_call, 0.0)
        self.events: list[tuple[float, Event]] = []
        self.history = [effects]

    def _happens(self, event: Event, predicted: list[str]) -> None:
        before = self.state
        state, effects = step(before, event, self.now)
        assert _plain(effects) == Counter(predicted)
        if state is before:
            assert all(isinstance(effect, Refuse) for effect in effects)
        self.state = pickle.loads(pickle.dumps(state))
        assert self.state == state
        self.events.append((self.now, event))
        self.history.append(effects)
        assert self.state.phase.value == self.model.phase
        if not self.model.is_over:
            assert self.state.due == self.model.due

    def _overdue(self) -> list[str]:
        """Predict what an act finds that comes after a timer which nobody has heard yet."""
        said: list[str] = []
        while self.now > self.model.due and not self.model.is_over:
            said += self.model.time(self.now)
        return said

    @rule(
        name=names,
        value=values,
        number=numbers,
        until=st.sampled_from([INFINITE, INFINITE, 1.0, 12.0]),
        revocable=st.booleans(),
    )
    def offer(self, name: str, value: int, number: str, until: float, revocable: bool) -> None:
        event = plays.offer(
            name,
            value,
            f"{name}-offer" if number == "1" else f"{name}-offer-2",
            valid_until=None if until == INFINITE else until,
            revocable=revocable,
        )
        said = self._overdue()
        bid = Bid(name, value, until, revocable)
        self._happens(event, said + self.model.offer(self.now, bid, event.msg_id))

    @rule(name=names, number=numbers)
    def refuse(self, name: str, number: str) -> None:
        event = plays.refusal(name, f"{name}-no-{number}")
        said = self._overdue()
        self._happens(event, said + self.model.refuse(self.now, name, event.msg_id))

    @rule(
        name=st.sampled_from([*AGENTS, *AGENTS, "alice"]),
        seconds=st.sampled_from([0.5, 3.0, 3.0, 100.0]),
        number=numbers,
    )
    def think(self, name: str, seconds: float, number: str) -> None:
        event = plays.thinking(name, seconds, f"{name}-thinks-{number}")
        said = self._overdue()
        self._happens(event, said + self.model.think(self.now, name, seconds, event.msg_id))

    @rule(name=names)
    def gone(self, name: str) -> None:
        said = self._overdue()
        self._happens(plays.gone(name), said + self.model.gone(self.now, name))

    @rule(name=names, number=numbers)
    def accept(self, name: str, number: str) -> None:
        said = self._overdue()
        bid = self.model.said.get(name) or self.model.late.get(name)
        event = plays.accept(name, msg_id=f"accept-{name}-{number}")
        if bid not in (None, event.offer_id):
            event = type(event)(event.sender, event.msg_id, str(bid))
        self._happens(event, said + self.model.accept(self.now, name, event.msg_id))

    @rule(number=numbers)
    def reject_all(self, number: str) -> None:
        event = plays.reject("", msg_id=f"reject-{number}")
        said = self._overdue()
        self._happens(event, said + self.model.reject_all(self.now, event.msg_id))

    @rule(name=names, number=numbers)
    def confirm(self, name: str, number: str) -> None:
        said = self._overdue()
        event = plays.confirmation(name, self.model.said.get(name) or "", f"{name}-yes-{number}")
        self._happens(event, said + self.model.confirm(self.now, name, event.msg_id))

    @rule(name=names, number=numbers)
    def withdraw(self, name: str, number: str) -> None:
        event = plays.cancellation(name, msg_id=f"{name}-back-{number}")
        said = self._overdue()
        self._happens(event, said + self.model.withdraw(self.now, name, event.msg_id))

    @rule(number=numbers, sure=st.sampled_from([True, False, False, False]))
    def cancel(self, number: str, sure: bool) -> None:
        if sure:  # not every other time, or little else would happen
            event = plays.cancellation(msg_id=f"stop-{number}")
            said = self._overdue()
            self._happens(event, said + self.model.cancel(self.now, event.msg_id))

    @rule(name=names, number=numbers, succeeded=st.booleans())
    def report(self, name: str, number: str, succeeded: bool) -> None:
        event = plays.report(name, succeeded, f"{name}-report-{number}")
        said = self._overdue()
        self._happens(event, said + self.model.report(name, event.msg_id, succeeded))

    @rule(later=st.sampled_from([0.0, 0.5]), heard=st.booleans())
    def time_is_up(self, later: float, heard: bool) -> None:
        """Jump to the next deadline; its timer may ring, or an act may come before it does."""
        if self.model.is_over:
            return
        self.now = max(self.now, self.model.due + later)
        if heard:
            self._happens(plays.TIME_UP, self.model.time(self.now))

    @rule()
    def time_passes(self) -> None:
        """Stop half-way to the next deadline, where a window may be over and extended."""
        if not self.model.is_over and self.now < self.model.due:
            self.now = (self.now + self.model.due) / 2

    @rule()
    def timer_of_an_earlier_phase(self) -> None:
        if self.now < self.model.due:
            self._happens(plays.TIME_UP, [])

    @rule(worth=st.permutations([1, 2, 3]), count=st.sampled_from([2, 3, 3]))
    def several_offer(self, worth: list[int], count: int) -> None:
        """Chance alone seldom fills a round."""
        for name, value in list(zip(AGENTS, worth, strict=True))[:count]:
            self.offer(name, value, "1", INFINITE, revocable=False)

    def teardown(self) -> None:
        """Try every ending from here, predicted like all else, and replay each."""
        if not hasattr(self, "state"):
            return
        here = self.state, self.now, self.events, self.history, self.model
        for ending in ENDINGS:
            self.state, self.now, events, history, model = here
            self.events, self.history, self.model = list(events), list(history), deepcopy(model)
            self._end(ending)
            record = Record(self.record_call, 0.0, tuple(self.events))
            assert [effects for _, effects in trace(record)] == self.history
            whole = [effect for effects in self.history for effect in effects]
            _check_whole(self.model.rules, self.state, whole)

    def _end(self, ending: str) -> None:
        for turn in range(12):
            if self.model.is_over:
                break
            if ending == "cancel":
                self.cancel("last", True)
            for name in AGENTS:
                number = f"last-{turn}"
                if ending == "confirm":
                    self.confirm(name, number)
                elif ending == "refuse":
                    self.refuse(name, number)
                elif ending == "accept":
                    self.accept(name, number)
                    self.confirm(name, number)
                    self.report(name, number, turn % 2 == 0)
                elif ending == "think":
                    self.think(name, 100.0, number)
                    self.think("alice", 100.0, number)
            self.time_is_up(0.0, True)
        assert self.state.is_final, "whoever waits has a deadline"


def _check_whole(rules: Rules, state: State, effects: list[Effect]) -> None:
    """Check what must hold of a whole negotiation, however it went."""
    assert sum(isinstance(e, Finish) for e in effects) == 1
    tells = [e for e in effects if isinstance(e, Tell)]
    assert [t.msg_id for t in tells] == [f"g.0.n:{n}" for n in range(1, len(tells) + 1)]
    verdicts = Counter(t.recipient for t in tells if t.act in ("accept", "reject"))
    assert all(count == 1 for count in verdicts.values()), "one verdict each"
    cancelled = [n for n, t in enumerate(tells) if t.body.get("reason") == "cancelled"]
    assert not any(t.act == "accept" for t in tells[min(cancelled, default=len(tells)) :])
    assert state.course is not None and state.course.outcome is not None
    assert len(state.course.awards) <= rules.units
    offered = {f"agent://{name}" for name in AGENTS if state.answers.get(f"agent://{name}")}
    offered -= state.aside.declined | state.aside.withdrawn
    if rules.final and state.phase is not Phase.CANCELLED:
        assert offered <= set(verdicts), "who offered heard accept or reject"


ContractNet.TestCase.settings = settings(
    max_examples=1_000,
    stateful_step_count=16,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestAContractNetDoesWhatItsModelPredicts = pytest.mark.slow(ContractNet.TestCase)
