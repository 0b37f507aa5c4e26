"""What a book costs, and what it has leased, seen at its shelf."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.book import Book
from gateway.settling import counted_shelf as module
from gateway.settling.counted_shelf import CountedShelf, ShelfFigures
from policy.judging import Writer
from policy.store import Commit, Committed, HoldCredit, Mint, Refused, SetBudget
from tests.unit.gateway.test_book import DictShelf


@asynccontextmanager
async def books(*places: str) -> AsyncIterator[list[tuple[Book, ShelfFigures]]]:
    """Run a book for each place, all on one shelf."""
    shelf, made = DictShelf(), []
    for place in places:
        figures = ShelfFigures()
        made.append((Book(CountedShelf(shelf, figures, place), Writer(place, place, 10)), figures))
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(book.run()) for book, _ in made]
        yield made
        for task in running:
            task.cancel()


async def prepared(book: Book) -> None:
    for key, change in (("m", Mint("a", 1_000)), ("b", SetBudget("hour", 100))):
        assert isinstance(await book.commit(Commit(key, 1.0, (change,))), Committed)


def spending(key: str, micros: int, at: float = 1.0) -> Commit:
    return Commit(key, at, (HoldCredit(key, "a", micros, at + 9.0, budgets=("hour",)),))


async def test_what_is_leased_is_known_with_what_of_it_is_used() -> None:
    async with books("g1", "g2") as ((one, own), (two, others)):
        await prepared(one)
        assert isinstance(await one.commit(spending("x", 7)), Committed)
        assert own.leased(1.0) == (10, 7)
        assert (own.leases(1.0), others.leases(1.0)) == (1, 0)
        assert isinstance(await two.commit(spending("y", 30)), Committed)
        assert others.leased(1.0) == (30, 30)
        assert own.leased(1.0) == (10, 7)
        assert own.leased(3_600.0) == (0, 0), "another hour has begun"
        assert own.leases(3_600.0) == 0


async def test_a_share_that_another_gateway_has_taken_back_is_known_when_it_is_read() -> None:
    async with books("g1", "g2") as ((one, own), (two, _)):
        await prepared(one)
        assert isinstance(await one.commit(spending("x", 7)), Committed)
        assert isinstance(await two.commit(spending("y", 93)), Committed)
        assert isinstance(await one.commit(spending("z", 3)), Refused)
        assert own.leased(1.0) == (7, 7)


async def test_operations_conflicts_and_reads_are_counted() -> None:
    async with books("g1", "g2") as ((one, own), (two, others)):
        await prepared(one)
        assert (own.swaps, own.conflicts, own.fenced) == (2, 0, 0)
        assert own.written == 4, "two entries, a purse and a grant"
        assert own.compared >= own.written
        assert own.reads >= 1
        for key in "pq":
            for book in (one, two):
                await book.commit(Commit(f"{key}{id(book)}", 1.0, (Mint("a", 1),)))
        assert own.conflicts + others.conflicts >= 1
        await one.entries()
        before = own.reads
        await one.entries()
        assert own.reads == before + 1


async def test_of_more_budgets_than_are_known_the_oldest_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SHARES_MAX", 1)
    async with books("g1") as ((one, own),):
        await prepared(one)
        await one.commit(Commit("day", 1.0, (SetBudget("day", 100, 86_400.0),)))
        held = HoldCredit("h", "a", 5, 9.0, budgets=("hour", "day"))
        assert isinstance(await one.commit(Commit("h", 1.0, (held,))), Committed)
        assert own.leases(1.0) == 1
