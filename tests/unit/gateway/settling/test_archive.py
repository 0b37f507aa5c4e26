"""What a gateway does for its ledger when an hour is over; the clock jumps."""

from __future__ import annotations

import asyncio

import pytest

from gateway.settling import archive as module
from gateway.settling.archive import HOUR_SECONDS, SPREAD_SECONDS, Archive
from policy import ledger
from policy.judging import Writer
from policy.ledger import Entry
from policy.memory_store import Memory, MemoryStore
from policy.store import Capture, Commit, Committed, HoldCredit, Mint, Refused, SetBudget

DAY = 86_400.0
START = 1_000 * DAY


class Place:
    """Gateways with one ledger, and a clock that the test moves."""

    def __init__(self, *names: str) -> None:
        self.memory = Memory()
        self.now = START
        self.stores = [MemoryStore(Writer(name, name, 10), self.memory) for name in names]
        self.archives = [
            Archive(name, store, DAY, lambda: self.now)
            for name, store in zip(names, self.stores, strict=True)
        ]

    async def spend(self, name: str, micros: int = 7) -> Committed | Refused:
        """Pay for an award, out of the budgets of the hour and of the project."""
        held = HoldCredit(name, "alice", micros, self.now + 60, budgets=("hour", "project"))
        return await self.stores[0].commit(Commit(name, self.now, (held, Capture(name, micros))))

    async def prepared(self, hourly: int, project: int) -> None:
        grants = (SetBudget("hour", hourly), SetBudget("project", project, None))
        made = Commit("prepared", self.now, (Mint("alice", 10_000), *grants))
        assert isinstance(await self.stores[0].commit(made), Committed)


async def test_what_is_older_than_is_kept_is_carried_forward_when_an_hour_is_over() -> None:
    place = Place("g1")
    await place.prepared(1_000, 10_000)
    for number in range(40):
        assert isinstance(await place.spend(f"a{number}"), Committed)
    (archive,) = place.archives
    assert await archive.look() == 0, "nothing is old enough"
    before = await place.stores[0].entries()
    place.now += DAY + 1.0
    assert await archive.look() == 2, "41 entries, 32 in a commit"
    after = await place.stores[0].entries()
    assert (len(before), len(after)) == (41, 2)
    assert ledger.totals(after) == ledger.totals(before)
    assert archive.audited is not None and archive.audited.is_balanced
    assert archive.carried == 2


async def test_several_gateways_do_it_once_whoever_comes_first() -> None:
    """The keys of the commits say what they carry, so asked twice is asked once."""
    place = Place("g1", "g2", "g3")
    await place.prepared(1_000, 10_000)
    for number in range(100):
        await place.spend(f"a{number}")
    place.now += DAY + HOUR_SECONDS
    sums = ledger.totals(await place.stores[0].entries())
    await asyncio.gather(*(archive.look() for archive in place.archives))
    entries = await place.stores[1].entries()
    assert all(entry.is_carried for entry in entries)
    assert len(entries) == 4, "101 entries, 32 in a commit, though three gateways did it"
    assert ledger.totals(entries) == sums
    place.now += HOUR_SECONDS
    assert [await archive.look() for archive in place.archives] == [0, 0, 0]


async def test_budgets_begin_anew_or_go_on_whatever_was_carried_forward() -> None:
    """N-7.6: an hour that is over leaves nothing in its budget; a project counts all its life."""
    place = Place("g1")
    await place.prepared(hourly=20, project=45)
    for number in range(3):
        answer = await place.spend(f"hour-{number}", 10)
        assert isinstance(answer, Committed) is (number < 2)
    place.now += DAY + HOUR_SECONDS
    assert await place.archives[0].look() == 1
    assert isinstance(await place.spend("next-0", 10), Committed)
    assert isinstance(await place.spend("next-1", 10), Committed)
    use = await place.stores[0].budget("project", place.now)
    assert use is not None and use.used == 40
    refused = await place.spend("next-2", 6)
    assert isinstance(refused, Refused) and refused.subject == "hour"
    place.now += HOUR_SECONDS
    refused = await place.spend("project", 6)
    assert isinstance(refused, Refused) and refused.subject == "project"


async def test_an_hour_that_comes_again_is_not_due_and_a_jump_is_done_once() -> None:
    place = Place("g1")
    await place.prepared(1_000, 10_000)
    (archive,) = place.archives
    place.now += DAY + HOUR_SECONDS
    assert await archive.look() == 1
    await place.spend("late")
    looked = archive.audited
    for jump in (-5 * HOUR_SECONDS, 5 * HOUR_SECONDS - 1.0):
        place.now += jump
        assert await archive.look() == 0
        assert archive.audited is looked, "nobody looked"
    place.now += 400 * DAY
    assert await archive.look() == 1
    assert archive.audited is not looked


async def test_what_is_beyond_the_bound_waits_for_the_next_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CARRIED_MAX", 2)
    place = Place("g1")
    await place.prepared(1_000, 10_000)
    for number in range(99):
        await place.spend(f"a{number}")
    place.now += DAY + HOUR_SECONDS
    (archive,) = place.archives
    assert [await archive.look() for _ in range(4)] == [2, 2, 0, 0]
    assert len(await place.stores[0].entries()) == 4


async def test_a_ledger_that_is_away_is_looked_after_when_it_is_back() -> None:
    place = Place("g1")
    await place.prepared(1_000, 10_000)
    (archive,) = place.archives
    place.now += DAY + HOUR_SECONDS
    place.memory.is_away = True
    assert (await archive.look(), archive.audited) == (0, None)
    place.memory.is_away = False
    assert await archive.look() == 1


async def test_a_ledger_that_does_not_add_up_is_an_error_in_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = Place("g1")
    await place.prepared(1_000, 10_000)
    entry = place.memory.get("entry/prepared")
    assert isinstance(entry, Entry)
    place.memory.put("entry/lost", Entry("lost", START, "g1", entry.postings[1:]))
    await place.archives[0].look()
    assert "the ledger does not add up" in capsys.readouterr().out


def test_gateways_come_at_different_minutes_after_the_full_hour() -> None:
    store = MemoryStore(Writer("g"))
    minutes = {Archive(f"g{n}", store, 1.0, lambda: 0.0)._after // 60 for n in range(30)}
    assert len(minutes) > 10
    assert all(0 <= minute < SPREAD_SECONDS / 60 for minute in minutes)


async def test_it_looks_at_the_clock_until_it_is_cancelled() -> None:
    place = Place("g1")
    await place.prepared(1_000, 10_000)
    looked = asyncio.Event()

    class Seen(Archive):
        async def look(self) -> int:
            looked.set()
            return await super().look()

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(Seen("g1", place.stores[0], DAY, lambda: place.now).run())
        await looked.wait()
        running.cancel()
