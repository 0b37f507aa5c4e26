"""A whole journal is looked through beside the loop, for a bounded number of people."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import SupportsIndex, overload

import pytest

from gateway.known_budgets import KnownBudgets
from gateway.ledger_reading import ASKING_MAX, STATEMENTS_MAX, JournalCrowded, JournalReader
from gateway.ledger_view import LedgerView
from gateway.settling.reading import AT_ONCE_MAX
from policy.judging import Writer
from policy.ledger import Entry, Posting
from policy.memory_store import MemoryStore

ALICE = "default|agent://alice"


class Journal(Sequence[Entry]):
    """As many entries of a credit for alice, which know in which threads they are looked at."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.threads: set[int] = set()

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: SupportsIndex) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Entry | Sequence[Entry]:
        raise AssertionError("a journal is looked through from its beginning")

    def __iter__(self) -> Iterator[Entry]:
        for number in range(self._count):
            self.threads.add(threading.get_ident())
            postings = (Posting("mint", -1, "", ""), Posting("available", 1, ALICE, ""))
            yield Entry(f"k{number}", float(number), "g", postings)


class JournalStore(MemoryStore):
    """A store with a journal, that may take its time to be read."""

    def __init__(self, count: int) -> None:
        super().__init__(Writer("g"))
        self.journal = Journal(count)
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.reading = self.reading_max = 0

    async def entries(self, since: float = 0.0) -> Sequence[Entry]:
        self.reading += 1
        self.reading_max = max(self.reading_max, self.reading)
        await self.may_read.wait()
        self.reading -= 1
        return self.journal


def view_of(store: JournalStore) -> LedgerView:
    return LedgerView(store, KnownBudgets(store, lambda: 0.0), lambda: 0.0)


@pytest.mark.parametrize("ask", ["ledger", "statement", "refund"])
async def test_a_long_journal_is_never_looked_through_on_the_loop(ask: str) -> None:
    store = JournalStore(AT_ONCE_MAX + 1)
    view = view_of(store)
    if ask == "ledger":
        totals, accounts, _ = await view.ledger("default", 0.0)
        assert totals.minted_micros == accounts[0].available_micros == AT_ONCE_MAX + 1
    elif ask == "statement":
        _, lines, more = await view.statement("default", "agent://alice", 2)
        assert more and [line.key for line in lines] == [f"k{AT_ONCE_MAX - 1}", f"k{AT_ONCE_MAX}"]
    else:
        await view.refund("default", "nothing", 1, "")
    assert store.journal.threads and threading.get_ident() not in store.journal.threads


async def test_a_short_one_is_not_worth_a_thread() -> None:
    store = JournalStore(AT_ONCE_MAX)
    await view_of(store).ledger("default", 0.0)
    assert store.journal.threads == {threading.get_ident()}


async def test_those_who_ask_are_answered_one_after_the_other_and_no_more_than_some_wait() -> None:
    """Each of them costs a second of a core and a copy of the journal."""
    store = JournalStore(1)
    store.may_read.clear()
    reader = JournalReader(store)
    async with asyncio.TaskGroup() as tasks:
        asking = [tasks.create_task(reader.look(len)) for _ in range(ASKING_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(JournalCrowded, match=f"{ASKING_MAX} wait"):
            await reader.look(len)
        with pytest.raises(JournalCrowded):
            await reader.look(len, ASKING_MAX - 1)
        asking[-1].cancel()  # one that goes makes room for another
        await asyncio.sleep(0)
        more = tasks.create_task(reader.look(len))
        store.may_read.set()
    assert [one.result() for one in (*asking[:-1], more)] == [1] * ASKING_MAX
    assert store.reading_max == 1


async def test_who_does_not_wait_any_more_is_followed_by_nobody_before_its_thread_has_ended() -> (
    None
):
    """An agent with a short deadline could have as many threads at work as it likes."""
    reader = JournalReader(JournalStore(AT_ONCE_MAX + 1))
    may_end, has_begun = threading.Event(), threading.Event()

    def slow(entries: Sequence[Entry]) -> int:
        has_begun.set()
        assert may_end.wait(10)
        return len(entries)

    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(reader.look(slow))
        assert await asyncio.to_thread(has_begun.wait, 10)
        first.cancel()
        second = tasks.create_task(reader.look(len))
        await asyncio.wait((first,))
        assert first.cancelled()
        with pytest.raises(JournalCrowded, match="2 wait"):
            await reader.look(len, 2)
        may_end.set()
    assert second.result() == AT_ONCE_MAX + 1


async def test_agents_that_want_their_statements_leave_room_for_operators() -> None:
    store = JournalStore(1)
    store.may_read.clear()
    view = view_of(store)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(STATEMENTS_MAX):
            tasks.create_task(view.statement("default", "agent://eve", 1))
        await asyncio.sleep(0)
        with pytest.raises(JournalCrowded):
            await view.statement("default", "agent://eve", 1)
        seen = tasks.create_task(view.ledger("default", 0.0))
        await asyncio.sleep(0)
        store.may_read.set()
    totals, *_ = seen.result()
    assert totals.minted_micros == 1
