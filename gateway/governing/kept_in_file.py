"""What governance knows, in the file that the gateway keeps anyway: a table of names and texts.

Only this gateway writes it. All of it is read when the gateway starts and stays in memory, so a
change needs no reading. What the disk does not take is a KeepError, and is not believed here.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.governing.keeping import Edit, Hear, KeepError, nothing_heard
from gateway.store import Statement, Store

TABLE = "CREATE TABLE IF NOT EXISTS governed (name TEXT PRIMARY KEY, text BLOB NOT NULL)"
PUT = "INSERT OR REPLACE INTO governed (name, text) VALUES (?, ?)"
DELETE = "DELETE FROM governed WHERE name = ?"
SOME = "SELECT name, text FROM governed WHERE name > ? ORDER BY name LIMIT ?"
ROWS_MAX = 1_000
"""Read in one question."""


class KeptInFile:
    """Texts in a store's file."""

    outlives = True

    def __init__(self, store: Store) -> None:
        """Keep them in a store that runs."""
        self._store = store
        self._texts: dict[str, bytes] = {}
        self._begun = asyncio.Event()
        self._changing: dict[str, tuple[asyncio.Lock, int]] = {}
        """What is being changed, and by how many that wait for each other."""
        self.on_text: Hear = nothing_heard

    def __repr__(self) -> str:
        """Tell the state in words."""
        state = "read" if self._begun.is_set() else "not read yet"
        return f"<KeptInFile: {len(self._texts)} texts, {state}>"

    async def put(self, name: str, text: bytes) -> None:
        """Let a text stand under a name, once the disk has it."""
        await self.change(name, lambda before: text)

    async def change(self, name: str, edit: Edit) -> None:
        """Change a text; of one text a change is written after the other."""
        async with self._alone(name):
            self._check_begun()
            text = edit(self._texts.get(name))
            if text is None:
                return
            await self._write((PUT, (name, text)))
            self._texts[name] = text
            self.on_text(name, text)

    async def remove(self, name: str) -> None:
        """Take a text away."""
        async with self._alone(name):
            self._check_begun()
            if name not in self._texts:
                return
            await self._write((DELETE, (name,)))
            del self._texts[name]
            self.on_text(name, None)

    @asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[None]:
        """Be the only one that changes a text; what changes others shares a flush of the disk."""
        lock, others = self._changing.get(name) or (asyncio.Lock(), 0)
        self._changing[name] = lock, others + 1
        try:
            async with lock:
                yield
        finally:
            _, left = self._changing.pop(name)
            if left > 1:
                self._changing[name] = lock, left - 1

    def _check_begun(self) -> None:
        if not self._begun.is_set():
            raise KeepError("what stands in the file is not read yet")

    async def _write(self, statement: Statement) -> None:
        await self._store.room()
        heard, hear = _answer()
        self._store.write([statement], hear, keep=False)
        if not await heard:
            raise KeepError("the disk does not take it")

    async def run(self) -> None:
        """Read everything, and tell it."""
        await self._made()
        last = ""
        while True:
            rows = await self._rows(last)
            for name, text in rows:
                last = name
                self._texts[name] = text
                self.on_text(name, text)
            if len(rows) < ROWS_MAX:
                break
        self._begun.set()

    async def _made(self) -> None:
        def make(connection: sqlite3.Connection) -> None:
            connection.execute(TABLE)

        heard, hear = _answer()
        self._store.work(make, hear)
        if not await heard:
            raise KeepError("the disk does not take it")

    async def _rows(self, last: str) -> list[tuple[str, bytes]]:
        try:
            return [(name, text) for name, text in await self._store.read(SOME, (last, ROWS_MAX))]
        except sqlite3.Error as error:
            raise KeepError(str(error)) from error

    async def begun(self, seconds: float) -> bool:
        """Wait until the file was read."""
        try:
            async with asyncio.timeout(seconds):
                await self._begun.wait()
        except TimeoutError:
            return False
        return True


def _answer() -> tuple[asyncio.Future[bool], Callable[[bool], None]]:
    """Return what is awaited, and what the store tells."""
    heard: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def hear(written: bool) -> None:
        if not heard.done():
            heard.set_result(written)

    return heard, hear
