"""Random books beside a model too simple to be wrong: a sum for each agent and a list of holds.

The model knows no gateways, no places, no chunks and no shares. It predicts every answer by its
code; after every step the journal is added up again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from policy import ledger
from policy.judging import Writer
from policy.ledger import Balance
from policy.memory_store import Memory, MemoryStore
from policy.store import (
    Burn,
    Capture,
    Change,
    Commit,
    Committed,
    GiveBack,
    HoldCredit,
    Mint,
    Refund,
    Release,
    SetBudget,
)

AGENTS = st.sampled_from(["ann", "ben"])
GATEWAYS = st.sampled_from(["g1", "g2", ""])
MICROS = st.integers(1, 8)
HOLDS = st.integers(0, 5)
WINDOW = 10.0


@dataclass
class SimpleHold:
    """A hold, open or captured, as a line in a list."""

    name: str
    agent: str
    micros: int
    expires_at: float
    windows: dict[str, int]
    project: str
    key: str = ""
    paid: int | None = None
    returned: int = 0
    is_forgotten: bool = False
    """What paid it was carried forward."""
    paid_at: float = 0.0


@dataclass
class Model:
    """What should be."""

    available: Counter[str] = field(default_factory=Counter)
    open: dict[str, SimpleHold] = field(default_factory=dict)
    paid: list[SimpleHold] = field(default_factory=list)
    grants: dict[str, int] = field(default_factory=dict)
    minted: int = 0
    burned: int = 0

    def used(self, budget: str, window: int) -> int:
        """Return what counts in a window: what is held, and what was paid."""
        return sum(
            hold.micros if hold.paid is None else hold.paid
            for hold in (*self.open.values(), *self.paid)
            if hold.windows.get(budget) == window
        )


class Books(RuleBasedStateMachine):
    """Gateways that move credit, and the model."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory()
        self.stores = {
            name: MemoryStore(Writer(name or "alone", name, 3), self.memory)
            for name in ("g1", "g2", "")
        }
        self.model = Model()
        self.at = 0.0
        self.keys = 0
        self.names = 0
        self.last: tuple[Commit, Committed] | None = None

    def commit(self, gateway: str, *changes: Change) -> str:
        """Commit, and return the code of a refusal, or an empty text."""
        self.keys += 1
        commit = Commit(f"k{self.keys}", self.at, changes)
        answer = asyncio.run(self.stores[gateway].commit(commit))
        if isinstance(answer, Committed):
            self.last = commit, answer
            return ""
        return answer.code

    @rule(agent=AGENTS, micros=MICROS, gateway=GATEWAYS)
    def mint(self, agent: str, micros: int, gateway: str) -> None:
        assert self.commit(gateway, Mint(agent, micros)) == ""
        self.model.available[agent] += micros
        self.model.minted += micros

    @rule(agent=AGENTS, micros=MICROS, gateway=GATEWAYS)
    def burn(self, agent: str, micros: int, gateway: str) -> None:
        there = self.model.available[agent]
        expected = "" if micros <= there else "CREDIT_SHORT"
        assert self.commit(gateway, Burn(agent, micros)) == expected
        if not expected:
            self.model.available[agent] -= micros
            self.model.burned += micros

    @rule(name=st.sampled_from(["hour", "atlas"]), micros=st.integers(0, 20), gateway=GATEWAYS)
    def grant(self, name: str, micros: int, gateway: str) -> None:
        seconds = None if name == "atlas" else WINDOW
        assert self.commit(gateway, SetBudget(name, micros, seconds)) == ""
        self.model.grants[name] = micros

    @rule(
        agent=AGENTS,
        micros=MICROS,
        gateway=GATEWAYS,
        seconds=st.sampled_from([1.0, 5.0, 50.0]),
        budgets=st.sampled_from([(), ("hour",), ("atlas",), ("hour", "atlas")]),
        again=st.booleans(),
    )
    def hold(
        self,
        agent: str,
        micros: int,
        gateway: str,
        seconds: float,
        budgets: tuple[str, ...],
        again: bool,
    ) -> None:
        model = self.model
        if again and model.open:
            name = next(iter(model.open))
        else:
            self.names += 1
            name = f"h{self.names}"
        window = int(self.at // WINDOW)
        windows = {budget: window if budget == "hour" else 0 for budget in budgets}
        expected = "HOLD_EXISTS" if name in model.open else ""
        for budget in budgets:
            if not expected and budget not in model.grants:
                expected = "BUDGET_UNKNOWN"
            elif not expected and (
                model.used(budget, windows[budget]) + micros > model.grants[budget]
            ):
                expected = "BUDGET_EXHAUSTED"
        if not expected and model.available[agent] < micros:
            expected = "CREDIT_SHORT"
        expires_at = self.at + seconds
        change = HoldCredit(name, agent, micros, expires_at, "n", "h100", agent, budgets)
        assert self.commit(gateway, change) == expected
        if not expected:
            model.available[agent] -= micros
            model.open[name] = SimpleHold(name, agent, micros, expires_at, windows, agent)

    @precondition(lambda self: self.model.open)
    @rule(number=HOLDS, micros=st.integers(0, 9), gateway=GATEWAYS)
    def capture(self, number: int, micros: int, gateway: str) -> None:
        hold = self._open(number)
        expected = ""
        if hold.expires_at <= self.at:
            expected = "HOLD_ENDED"
        elif micros > hold.micros:
            expected = "CAPTURE_TOO_LARGE"
        assert self.commit(gateway, Capture(hold.name, micros)) == expected
        if not expected:
            hold.key, hold.paid, hold.paid_at = f"k{self.keys}", micros, self.at
            self.model.paid.append(self.model.open.pop(hold.name))
            self.model.available[hold.agent] += hold.micros - micros
            assert self.commit(gateway, Capture(hold.name, 0)) == "HOLD_ENDED"

    @precondition(lambda self: self.model.open)
    @rule(number=HOLDS, gateway=GATEWAYS, only_expired=st.booleans())
    def release(self, number: int, gateway: str, only_expired: bool) -> None:
        hold = self._open(number)
        for _ in range(2):  # the second time nothing happens
            assert self.commit(gateway, Release(hold.name, only_expired)) == ""
        if not only_expired or hold.expires_at <= self.at:
            del self.model.open[hold.name]
            self.model.available[hold.agent] += hold.micros

    @precondition(lambda self: self.model.paid)
    @rule(number=HOLDS, micros=MICROS, gateway=GATEWAYS)
    def refund(self, number: int, micros: int, gateway: str) -> None:
        hold = self.model.paid[number % len(self.model.paid)]
        assert hold.paid is not None
        there = 0 if hold.is_forgotten else hold.paid - hold.returned
        expected = "" if micros <= there else "REFUND_TOO_LARGE"
        assert self.commit(gateway, Refund(hold.key, hold.name, micros)) == expected
        if not expected:
            hold.returned += micros
            self.model.available[hold.agent] += micros

    @rule(agent=AGENTS, gateway=GATEWAYS, place=GATEWAYS)
    def give_back(self, agent: str, gateway: str, place: str) -> None:
        assert self.commit(gateway, GiveBack(agent, place)) == ""

    @rule(gateway=GATEWAYS)
    def carry_forward(self, gateway: str) -> None:
        asyncio.run(self.stores[gateway].carry_forward(self.at, self.at))
        self.last = None
        for hold in self.model.paid:
            hold.is_forgotten |= hold.paid_at < self.at

    @rule(seconds=st.sampled_from([1.0, 4.0, 10.0]), gateway=GATEWAYS, sweeps=st.booleans())
    def wait(self, seconds: float, gateway: str, sweeps: bool) -> None:
        self.at += seconds
        if sweeps:
            due = [hold for hold in self.model.open.values() if hold.expires_at <= self.at]
            assert asyncio.run(self.stores[gateway].expire(self.at)) == len(due)
            for hold in due:
                del self.model.open[hold.name]
                self.model.available[hold.agent] += hold.micros

    @precondition(lambda self: self.last)
    @rule(gateway=GATEWAYS)
    def repeat(self, gateway: str) -> None:
        assert self.last is not None
        commit, first = self.last
        answer = asyncio.run(self.stores[gateway].commit(commit))
        assert answer == Committed(first.entry, is_first=False)

    @invariant()
    def the_journal_is_what_the_model_says(self) -> None:
        model, store = self.model, self.stores["g1"]
        entries = asyncio.run(store.entries())
        assert all(sum(one.micros for one in entry.postings) == 0 for entry in entries)
        totals = ledger.totals(entries)
        assert sum(totals.values()) == 0
        assert (totals["mint"], totals["burn"]) == (-model.minted, model.burned)
        market = sum((hold.paid or 0) - hold.returned for hold in model.paid)
        assert totals["market"] == market
        assert sum(cost.micros for cost in ledger.attribution(entries)) == market
        for agent in ("ann", "ben"):
            held = sum(hold.micros for hold in model.open.values() if hold.agent == agent)
            balance = Balance(model.available[agent], held)
            assert asyncio.run(store.balance(agent)) == balance
            lines = ledger.statement(agent, entries)
            assert (lines[-1].balance if lines else Balance()) == balance
            assert all(line.balance.available >= 0 and line.balance.held >= 0 for line in lines)
        for budget in model.grants:
            window = int(self.at // WINDOW) if budget == "hour" else 0
            use = asyncio.run(store.budget(budget, self.at))
            assert use is not None and use.used == model.used(budget, window)
            assert use.used <= sum(use.grant.leased.values())

    def teardown(self) -> None:
        """Let everything end, and be nothing left over."""
        while self.model.open:
            if len(self.model.open) % 2:
                self.release(0, "g2", only_expired=False)
            else:
                self.at = max(self.at, next(iter(self.model.open.values())).expires_at)
                self.wait(1.0, "g1", sweeps=True)
        self.the_journal_is_what_the_model_says()
        assert not asyncio.run(self.stores["g1"].holds())

    def _open(self, number: int) -> SimpleHold:
        return list(self.model.open.values())[number % len(self.model.open)]


Books.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.mark.slow
class TestBooks(Books.TestCase):  # type: ignore[misc,valid-type]  # a class that hypothesis makes
    """N-7.2: available ≥ 0 and held ≥ 0 at every prefix, whatever happens at which gateway."""
