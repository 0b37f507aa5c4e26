"""Random calendars beside a model too simple to be wrong: a grid of units and instants.

Times are whole seconds, so that bookings touch, and a cell of the grid names who has a unit in a
second. The model predicts each answer, and which units it gets.
"""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from policy.judging import Writer
from policy.memory_store import Memory, MemoryStore
from policy.resources import free_units
from policy.store import (
    Change,
    Commit,
    Committed,
    Lock,
    Refused,
    SetResource,
    ShowLock,
    Unlock,
)

UNITS = 3
HORIZON = 40
GATEWAYS = st.sampled_from(["g1", "g2"])


class Calendars(RuleBasedStateMachine):
    """One resource, booked by two gateways."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory()
        self.stores = {name: MemoryStore(Writer(name), self.memory) for name in ("g1", "g2")}
        self.grid: dict[tuple[int, int], str] = {}
        self.soft_until: dict[str, int] = {}
        self.interval: dict[str, tuple[int, int, int]] = {}
        """From when to when, and how many units, of each booking."""
        self.numbers: dict[str, int] = {}
        self.granted = 0
        self.at = 0
        self.names = 0
        self.keys = 0
        assert not self.refusal("g1", SetResource("h100", UNITS))

    def answer(self, gateway: str, change: Change) -> Committed | Refused:
        self.keys += 1
        commit = Commit(f"k{self.keys}", float(self.at), (change,))
        return asyncio.run(self.stores[gateway].commit(commit))

    def refusal(self, gateway: str, change: Change) -> str:
        answer = self.answer(gateway, change)
        return answer.code if isinstance(answer, Refused) else ""

    def lives(self, name: str) -> bool:
        """Tell whether a booking still holds something."""
        return (
            name in self.interval
            and self.interval[name][1] > self.at
            and self.soft_until.get(name, HORIZON * 2) > self.at
        )

    def free(self, starts: int, ends: int, but: str = "") -> list[int]:
        """Return the units that nobody has in any second of an interval."""
        return [
            unit
            for unit in range(UNITS)
            if not any(
                holder not in ("", but) and self.lives(holder)
                for second in range(starts, ends)
                for holder in (self.grid.get((unit, second), ""),)
            )
        ]

    def fill(self, name: str, units: list[int], starts: int, ends: int) -> None:
        for unit in units:
            for second in range(starts, ends):
                self.grid[unit, second] = name
        self.interval[name] = starts, ends, len(units)

    def clear(self, name: str) -> None:
        self.grid = {cell: holder for cell, holder in self.grid.items() if holder != name}
        self.interval.pop(name, None)
        self.soft_until.pop(name, None)
        self.numbers.pop(name, None)

    @rule(
        gateway=GATEWAYS,
        units=st.integers(1, UNITS + 1),
        starts=st.integers(0, 8),
        seconds=st.integers(1, 6),
        soft=st.sampled_from([0, 0, 1, 4]),
    )
    def book(self, gateway: str, units: int, starts: int, seconds: int, soft: int) -> None:
        self.names += 1
        name, first = f"l{self.names}", self.at + starts
        until = self.at + soft if soft else None
        free = self.free(first, first + seconds)
        change = Lock(name, "h100", units, first, first + seconds, "bob", soft_until=until)
        answer = self.answer(gateway, change)
        if len(free) < units:
            assert isinstance(answer, Refused) and answer.code == "RESOURCE_GONE"
            return
        assert isinstance(answer, Committed)
        assert answer.entry.units[name] == tuple(free[:units])
        self.fill(name, free[:units], first, first + seconds)
        if until is None:
            self.granted += 1
            assert answer.entry.locks[name] == self.granted
            self.numbers[name] = self.granted
        else:
            assert answer.entry.locks[name] == 0
            self.soft_until[name] = until

    @precondition(lambda self: self.soft_until)
    @rule(gateway=GATEWAYS, number=st.integers(0, 4), longer=st.sampled_from([0, 0, 2]))
    def harden(self, gateway: str, number: int, longer: int) -> None:
        soft = list(self.soft_until)[number % len(self.soft_until)]
        starts, ends, units = self.interval[soft]
        ends += longer
        self.names += 1
        name = f"l{self.names}"
        change = Lock(name, "h100", units, starts, ends, "bob", instead_of=soft)
        answer = self.answer(gateway, change)
        if ends <= self.at:
            assert isinstance(answer, Refused) and answer.code == "INVALID"
            return
        same = self.lives(soft) and not longer
        had = [unit for unit in range(UNITS) if self.grid.get((unit, starts)) == soft]
        taken = had if same else self.free(starts, ends, but=soft)[:units]
        if len(taken) < units:
            assert isinstance(answer, Refused) and answer.code == "RESOURCE_GONE"
            return
        assert isinstance(answer, Committed)
        assert answer.entry.units[name] == tuple(taken)
        self.clear(soft)
        self.fill(name, taken, starts, ends)
        self.granted += 1
        self.numbers[name] = self.granted

    @precondition(lambda self: self.interval)
    @rule(gateway=GATEWAYS, number=st.integers(0, 9))
    def unlock(self, gateway: str, number: int) -> None:
        name = list(self.interval)[number % len(self.interval)]
        for _ in range(2):  # the second time nothing happens
            assert not self.refusal(gateway, Unlock("h100", name))
        self.clear(name)

    @precondition(lambda self: self.interval)
    @rule(gateway=GATEWAYS, number=st.integers(0, 9), stale=st.sampled_from([0, 0, 1]))
    def show(self, gateway: str, number: int, stale: int) -> None:
        name = list(self.interval)[number % len(self.interval)]
        fencing = self.numbers.get(name, 0) - stale
        stands = self.lives(name) and name in self.numbers and not stale
        expected = "" if stands else "LOCK_STALE"
        assert self.refusal(gateway, ShowLock("h100", name, fencing)) == expected

    @precondition(lambda self: self.interval)
    @rule(gateway=GATEWAYS, number=st.integers(0, 9))
    def book_under_a_name_that_is_there(self, gateway: str, number: int) -> None:
        name = list(self.interval)[number % len(self.interval)]
        if self.lives(name):
            change = Lock(name, "h100", 1, self.at + 30, self.at + 31)
            assert self.refusal(gateway, change) == "LOCK_EXISTS"

    @rule(gateway=GATEWAYS, units=st.integers(0, UNITS))
    def shrink(self, gateway: str, units: int) -> None:
        used = [unit for (unit, _), name in self.grid.items() if self.lives(name)]
        expected = "RESOURCE_BUSY" if any(unit >= units for unit in used) else ""
        assert self.refusal(gateway, SetResource("h100", units)) == expected
        assert not self.refusal(gateway, SetResource("h100", UNITS))

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds: int) -> None:
        self.at += seconds

    @invariant()
    def every_unit_has_at_most_one_holder_at_any_instant(self) -> None:
        resource = asyncio.run(self.stores["g1"].resource("h100"))
        assert resource is not None
        living = [booking for booking in resource.bookings if not booking.is_over(self.at)]
        assert {booking.lock_id for booking in living} == {
            name for name in self.interval if self.lives(name)
        }
        for unit in range(UNITS):
            spans = sorted(
                (booking.starts_at, booking.ends_at) for booking in living if unit in booking.units
            )
            for (_, ends), (starts, _) in pairwise(spans):
                assert ends <= starts
        for units in (1, UNITS):
            expected = next(
                start
                for start in range(self.at, HORIZON * 9)
                if len(self.free(start, start + 2)) >= units
            )
            free = free_units(resource, expected, expected + 2.0, float(self.at))
            assert list(free) == self.free(expected, expected + 2)

    def teardown(self) -> None:
        """Let all of it end: then everything is free, and numbers still grow."""
        self.at += HORIZON
        answer = self.answer("g2", Lock("last", "h100", UNITS, self.at, self.at + 1))
        assert isinstance(answer, Committed)
        assert answer.entry.locks["last"] == self.granted + 1


Calendars.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@pytest.mark.slow
class TestCalendars(Calendars.TestCase):  # type: ignore[misc,valid-type]  # made by hypothesis
    """N-7.8: whatever is booked, hardened, freed or over, a unit has one holder at an instant."""
