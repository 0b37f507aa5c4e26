"""The book in a file: SQLite beside the gateway, written in groups, each flushed to the disk once.

The table is a shelf like etcd's: bytes under keys, with the revision that wrote them. A swap
compares and writes inside the transaction that the store's thread makes of all that is queued, so
it sees what those before it wrote, and a hundred of them cost one flush. When the disk refuses,
all of them hear that nothing was written.

Who opens the file begins a new epoch; what was asked for in an older one is fenced off.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from gateway.book import Book, Kept
from gateway.settling.counted_shelf import CountedShelf, ShelfFigures
from gateway.store import Store
from policy.judging import Writer
from policy.store import StoreUnavailable, StoreUncertain

TABLES = """
CREATE TABLE IF NOT EXISTS facts (
    key TEXT PRIMARY KEY, revision INTEGER NOT NULL, fact BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epochs (
    name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, revision INTEGER NOT NULL
) WITHOUT ROWID
"""
BEGIN_EPOCH = (
    "INSERT INTO epochs VALUES ('book', 1, 0) ON CONFLICT (name) DO UPDATE SET epoch = epoch + 1"
)
PUT = (
    "INSERT INTO facts VALUES (?, ?, ?)"
    " ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, fact = excluded.fact"
)
KEYS_READ_MAX = 500
"""In one question; SQLite takes more, but not without end."""

_Outcome = int | dict[str, Kept] | None
_Done = TypeVar("_Done")


class FileShelf:
    """Facts in a store's file."""

    def __init__(self, store: Store) -> None:
        """Keep them in a store that runs."""
        self._store = store
        self.epoch = 0
        """The epoch that began when it was opened."""

    async def open(self) -> None:
        """Make the tables if there are none, and begin an epoch."""

        def begin(connection: sqlite3.Connection) -> int:
            for statement in (*TABLES.split(";"), BEGIN_EPOCH):
                connection.execute(statement)
            (epoch,) = connection.execute("SELECT epoch FROM epochs").fetchone()
            return int(epoch)

        self.epoch = await self._done(begin)

    async def read(self, keys: Iterable[str]) -> dict[str, Kept]:
        """Return what stands under keys; those with nothing are left out."""
        wanted = list(keys)
        found: dict[str, Kept] = {}
        for first in range(0, len(wanted), KEYS_READ_MAX):
            some = wanted[first : first + KEYS_READ_MAX]
            marks = ", ".join("?" * len(some))
            rows = await self._rows(
                f"SELECT key, fact, revision FROM facts WHERE key IN ({marks})", tuple(some)
            )
            found |= {key: (fact, revision) for key, fact, revision in rows}
        return found

    async def under(self, prefix: str) -> Sequence[tuple[str, bytes, int]]:
        """Return the keys that begin so with what they hold, in the order of their revisions."""
        return await self._rows(
            "SELECT key, fact, revision FROM facts WHERE key >= ? AND key < ? ORDER BY revision",
            (prefix, prefix + "\U0010ffff"),
        )

    async def swap(
        self, compared: Mapping[str, int], writes: Mapping[str, bytes | None], epoch: int = 0
    ) -> _Outcome:
        """Write if everything stands as it was compared, and return the revision of that.

        Otherwise return what stands under the compared keys, or None when the epoch is over.
        """
        epoch = epoch or self.epoch
        return await self._done(lambda connection: _swap(connection, compared, writes, epoch))

    async def _rows(self, sql: str, values: tuple[str, ...]) -> list[tuple[str, bytes, int]]:
        try:
            return [
                (key, fact, number) for key, fact, number in await self._store.read(sql, values)
            ]
        except sqlite3.Error as error:
            raise StoreUnavailable(str(error)) from error

    async def _done(self, work: Callable[[sqlite3.Connection], _Done]) -> _Done:
        """Do something in the next transaction; return what it returned once that is on disk."""
        heard: asyncio.Future[_Done] = asyncio.get_running_loop().create_future()
        outcome: list[_Done] = []

        def do(connection: sqlite3.Connection) -> None:
            outcome[:] = [work(connection)]

        def hear(written: bool) -> None:
            if heard.done():
                return
            if written:
                heard.set_result(outcome[0])
            else:
                # What was begun may have come to the disk before it failed.
                kind = StoreUncertain if outcome else StoreUnavailable
                heard.set_exception(kind("the disk does not take it"))

        self._store.work(do, hear)
        return await heard


def _swap(
    connection: sqlite3.Connection,
    compared: Mapping[str, int],
    writes: Mapping[str, bytes | None],
    epoch: int,
) -> _Outcome:
    now, last = connection.execute("SELECT epoch, revision FROM epochs").fetchone()
    if now != epoch:
        return None
    there: dict[str, Kept] = {}
    for key in compared:
        row = connection.execute(
            "SELECT fact, revision FROM facts WHERE key = ?", (key,)
        ).fetchone()
        if row is not None:
            there[key] = row
    if any(there.get(key, (b"", 0))[1] != revision for key, revision in compared.items()):
        return there
    revision = int(last) + 1
    for key, fact in writes.items():
        if fact is None:
            connection.execute("DELETE FROM facts WHERE key = ?", (key,))
        else:
            connection.execute(PUT, (key, revision, fact))
    connection.execute("UPDATE epochs SET revision = ?", (revision,))
    return revision


@asynccontextmanager
async def book_in_file(
    store: Store, gateway_id: str, figures: ShelfFigures | None = None
) -> AsyncIterator[Book]:
    """Keep the book of one gateway in the file of a store that runs, until the block ends.

    What that costs is counted in `figures`.
    """
    shelf = FileShelf(store)
    await shelf.open()
    book = Book(CountedShelf(shelf, figures or ShelfFigures(), ""), Writer(gateway_id))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(book.run())
        try:
            yield book
        finally:
            running.cancel()
