"""The book in a file keeps the promises of every store, and what it said is on disk."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from gateway.book import Book
from gateway.book_file import KEYS_READ_MAX, FileShelf, book_in_file
from gateway.store import Store
from gateway.store_file import open_store_file
from policy.judging import Writer
from policy.ledger import Balance
from policy.store import Store as Facts
from policy.store import StoreUnavailable, StoreUncertain
from tests.support.store_contract import StoreContract
from tests.support.store_scenes import (
    ALICE,
    CHUNK,
    SECONDS_MAX,
    Scene,
    Stores,
    award,
    balanced,
    done,
    prepared,
)


class TestBookInAFile(StoreContract):
    """The contract, in SQLite."""

    def play(self, scene: Scene) -> None:
        """Run a scene on a file of its own."""

        async def run(path: Path) -> None:
            store = Store(open_store_file(path, fsync=False))
            store.start()

            @asynccontextmanager
            async def opened(gateway_id: str) -> AsyncIterator[Facts]:
                book = Book(shelf, Writer(gateway_id, gateway_id, CHUNK))
                async with asyncio.TaskGroup() as tasks:
                    running = tasks.create_task(book.run())
                    yield book
                    running.cancel()

            async def fence(gateway_id: str) -> None:
                await FileShelf(store).open()

            try:
                shelf = FileShelf(store)
                await shelf.open()
                async with asyncio.timeout(SECONDS_MAX), Stores(opened, fence) as stores:
                    await scene(stores)
            finally:
                await store.close()

        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(run(Path(folder, "book.db")))


class FailingOnce:
    """A connection whose first commit after `arm` fails, as a disk does that is full just then."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.armed = False

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        if self.armed and sql == "COMMIT":
            self.armed = False
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(sql, values)


@asynccontextmanager
async def opened_store(path: Path) -> AsyncIterator[tuple[Store, FailingOnce]]:
    connection = FailingOnce(open_store_file(path, fsync=False))
    store = Store(cast("sqlite3.Connection", connection), retry_first=0.02)
    store.start()
    try:
        yield store, connection
    finally:
        await store.close()


async def test_what_was_committed_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "book.db"
    async with opened_store(path) as (store, _), book_in_file(store, "g1") as book:
        await prepared(book)
        first = await done(book, "a", *award("call"))
    async with opened_store(path) as (store, _), book_in_file(store, "g1") as book:
        again = await done(book, "a", *award("call"))
        assert (again.is_first, again.entry) == (False, first.entry)
        assert await book.balance(ALICE) == Balance(90, 10)
        await balanced(book)


def test_a_commit_that_the_disk_fails_in_is_in_doubt_until_it_is_known(tmp_path: Path) -> None:
    """N-7.10: what was begun may be on the disk, so it is looked for before it is done again."""

    async def run() -> None:
        async with opened_store(tmp_path / "book.db") as (store, connection):
            shelf = FileShelf(store)
            await shelf.open()
            connection.armed = True
            with pytest.raises(StoreUncertain):
                await shelf.swap({"a": 0}, {"a": b""})
            with pytest.raises(StoreUnavailable):
                await shelf.swap({"a": 0}, {"a": b""})  # the disk has just said no

    with capture_logs():
        asyncio.run(run())


def test_an_award_outlives_a_disk_that_fails_for_a_moment(tmp_path: Path) -> None:
    async def run() -> None:
        async with (
            opened_store(tmp_path / "book.db") as (store, connection),
            book_in_file(store, "g1") as book,
        ):
            await prepared(book)
            connection.armed = True
            await done(book, "a", *award("call"))
            await balanced(book)
            assert len(await book.holds()) == 1

    with capture_logs():
        asyncio.run(run())


async def test_many_facts_are_read_in_a_few_questions(tmp_path: Path) -> None:
    async with opened_store(tmp_path / "book.db") as (store, _):
        shelf = FileShelf(store)
        await shelf.open()
        revision = await shelf.swap({"7": 0}, {"7": b"x"})
        found = await shelf.read([str(number) for number in range(2 * KEYS_READ_MAX + 1)])
        assert found == {"7": (b"x", revision)}
        assert await shelf.under("7") == [("7", b"x", revision)]


async def test_a_file_that_cannot_be_read_is_a_store_that_is_unavailable(tmp_path: Path) -> None:
    async with opened_store(tmp_path / "book.db") as (store, _):
        with pytest.raises(StoreUnavailable, match="no such table"):
            await FileShelf(store).read(["a"])
