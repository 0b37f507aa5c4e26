"""What must survive the gateway's end: one thread that writes it, in groups.

Whoever has something to keep hands in a `Batch`: statements that are written together or not at
all. The thread takes all the batches that are queued and writes them as one transaction, so
that a hundred messages cost one flush of the disk, and while the disk works the next hundred
gather. Batches are written in the order in which they came, and answered in that order on the
event loop.

When the disk is full or fails, nothing crashes: the store is *failing*. A batch that may be
refused is answered False at once; one that must be kept stays first in line and is tried again
until the disk takes it. Reading happens in the same thread, between two transactions.

    working ⇄ failing → closed
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog

RETRY_SECONDS_FIRST = 0.25
RETRY_SECONDS_MAX = 5.0
QUEUE_STATEMENTS_MAX = 50_000
QUEUE_BYTES_MAX = 64 * 1024 * 1024
STATEMENT_BYTES = 256
"""What a statement weighs beside its values."""
CLOSE_SECONDS_MAX = 10.0
"""How long the last writes may take."""

Statement = tuple[str, tuple[Any, ...]]
PROBE: Sequence[Statement] = (
    ("INSERT INTO parcels VALUES (-1, '', 0, x'', zeroblob(65536))", ()),
    ("DELETE FROM parcels WHERE id = -1", ()),
)
"""What the disk must take before it is believed to work again."""
Row = tuple[Any, ...]


class Batch(msgspec.Struct, gc=False):
    """Statements that are written together or not at all."""

    statements: Sequence[Statement]
    done: Callable[[bool], None] | None = None
    """Called on the loop: True when it is on disk, False when it never will be."""
    keep: bool = True
    """Shall it be tried again when the disk does not take it?"""
    work: Callable[[sqlite3.Connection], None] | None = None
    """What is done in the transaction besides, in the thread, where it sees what came before it."""

    @property
    def size(self) -> int:
        """Return about how many bytes it holds."""
        return sum(
            STATEMENT_BYTES + sum(len(one) for one in values if isinstance(one, (bytes, str)))
            for _, values in self.statements
        )


class _Question(msgspec.Struct, gc=False):
    """Something to read."""

    sql: str
    values: tuple[Any, ...]
    answer: asyncio.Future[list[Row]]


class Store:
    """Writes batches to one SQLite connection, in a thread of its own."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        statements_max: int = QUEUE_STATEMENTS_MAX,
        bytes_max: int = QUEUE_BYTES_MAX,
        file_bytes_max: int | None = None,
        retry_first: float = RETRY_SECONDS_FIRST,
    ) -> None:
        """Own `connection`; at most so much waits before `room` makes its callers wait.

        Above `file_bytes_max` in use the store is full: who asks is told, and what was
        promised is written all the same.
        """
        self._connection = connection
        self._statements_max = statements_max
        self._bytes_max = bytes_max
        self._file_bytes_max = file_bytes_max
        self._retry_first = retry_first
        self._log = structlog.get_logger("llmx.store").bind()
        self._wake = threading.Condition()
        self._batches: deque[Batch] = deque()
        self._questions: deque[_Question] = deque()
        self._closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._serve, name="llmx-store", daemon=True)
        # What follows is read and written on the loop only.
        self._statements_queued = 0
        self._bytes_queued = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self.is_failing = False
        """The last thing that the disk said was no."""
        self.used_bytes = 0
        self.is_full = False
        """More is in use than `file_bytes_max`."""
        self.commits = 0
        self.commit_seconds = 0.0
        self.failures = 0

    def __repr__(self) -> str:
        """Tell the state in words."""
        state = "failing" if self.is_failing else "working"
        return (
            f"<Store: {state}, {self._statements_queued} statements queued, "
            f"{self.commits} commits, {self.used_bytes} bytes used>"
        )

    @property
    def is_available(self) -> bool:
        """Tell whether something new may be promised to be kept."""
        return not self.is_failing and not self._is_over

    @property
    def _is_over(self) -> bool:
        return self._file_bytes_max is not None and self.used_bytes >= self._file_bytes_max

    def start(self) -> None:
        """Begin to write; on the loop that hears the answers."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def close(self) -> None:
        """Write what is queued, as far as the disk takes it, and close the file."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, CLOSE_SECONDS_MAX)
            await asyncio.sleep(0)  # let what the thread said last be heard

    def write(
        self,
        statements: Sequence[Statement],
        done: Callable[[bool], None] | None = None,
        *,
        keep: bool = True,
    ) -> None:
        """Queue statements that belong together; `done` hears, on the loop, what became of it."""
        batch = Batch(statements, done, keep)
        self._statements_queued += len(statements)
        self._bytes_queued += batch.size
        if self._is_crowded:
            self._has_room.clear()
        with self._wake:
            self._batches.append(batch)
            self._wake.notify()

    def work(
        self, work: Callable[[sqlite3.Connection], None], done: Callable[[bool], None]
    ) -> None:
        """Queue what reads before it writes; not tried again, but `done` hears that it failed.

        When the transaction fails after it, none of its writing has happened.
        """
        with self._wake:
            self._batches.append(Batch((), done, keep=False, work=work))
            self._wake.notify()

    @property
    def _is_crowded(self) -> bool:
        return (
            self._statements_queued > self._statements_max or self._bytes_queued > self._bytes_max
        )

    @property
    def has_room(self) -> bool:
        """Tell whether less is queued than may be."""
        return self._has_room.is_set()

    async def room(self) -> None:
        """Wait until less is queued than may be."""
        await self._has_room.wait()

    async def committed(self) -> bool:
        """Wait for everything queued so far; tell whether the disk has it all."""
        heard: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def hear(written: bool) -> None:
            if not heard.done():
                heard.set_result(written)

        self.write((), hear, keep=False)
        return await heard

    async def read(self, sql: str, values: tuple[Any, ...] = ()) -> list[Row]:
        """Return what a query finds among all that is on disk; raises sqlite3.Error."""
        question = _Question(sql, values, asyncio.get_running_loop().create_future())
        with self._wake:
            self._questions.append(question)
            self._wake.notify()
        return await question.answer

    # In the thread, from here on.

    def _serve(self) -> None:
        kept: list[Batch] = []
        wait, retry_at = 0.0, 0.0  # 0 while the disk takes what it is given
        while True:
            with self._wake:
                while not (self._batches or self._questions or self._closing):
                    pause = retry_at - time.monotonic() if wait else None
                    if pause is not None and pause <= 0:
                        break
                    self._wake.wait(pause)
                fresh = list(self._batches)
                self._batches.clear()
                questions = list(self._questions)
                self._questions.clear()
                closing = self._closing
            batches = kept + fresh
            if not wait or closing or time.monotonic() >= retry_at:
                problem = self._write(batches, probe=bool(wait))
                wait = 0.0 if problem is None else self._longer(wait)
                retry_at = time.monotonic() + wait
            # Otherwise the disk has just said no, and nobody waits for it to say so again. What
            # is kept goes first the next time, so that the order stays.
            kept = [batch for batch in batches if batch.keep] if wait else []
            if batches:
                self._tell(batches, kept=kept, written=not wait)
            for question in questions:
                self._read(question)
            if closing and not self._batches:
                self._tell(kept, kept=[], written=False)
                self._connection.close()
                return

    def _write(self, batches: list[Batch], *, probe: bool) -> str | None:
        """Write all in one transaction; returns what the disk said against it."""
        if not probe and not any(batch.statements or batch.work for batch in batches):
            return None
        started = time.perf_counter()
        problem = self._commit([Batch(PROBE), *batches] if probe else batches)
        if problem is None:
            self._call(self._succeeded, time.perf_counter() - started, self._used())
        else:
            self._call(self._failed, problem)
        return problem

    def _longer(self, wait: float) -> float:
        return min(wait * 2, RETRY_SECONDS_MAX) or self._retry_first

    def _commit(self, batches: list[Batch]) -> str | None:
        """Write all of it or nothing; returns what the disk said against it."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for batch in batches:
                for sql, values in batch.statements:
                    connection.execute(sql, values)
                if batch.work is not None:
                    batch.work(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            try:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            except sqlite3.Error as worse:
                return f"{error}; {worse}"
            return str(error)
        return None

    def _used(self) -> int:
        """Return how many bytes of the file hold something."""
        try:
            pages, free, size = (
                self._connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        except sqlite3.Error:
            return 0
        return int((pages - free) * size)

    def _read(self, question: _Question) -> None:
        try:
            rows = self._connection.execute(question.sql, question.values).fetchall()
        except sqlite3.Error as error:
            self._call(_fail, question.answer, error)
        else:
            self._call(_answer, question.answer, rows)

    def _tell(self, batches: list[Batch], *, kept: list[Batch], written: bool) -> None:
        """Answer those that are not kept for another try."""
        answered = [batch for batch in batches if not (kept and batch.keep)]
        self._call(self._hear, answered, written)

    def _call(self, what: Callable[..., None], *values: Any) -> None:
        assert self._loop is not None, "the thread is started on a loop"
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(what, *values)

    # On the loop again.

    def _hear(self, batches: list[Batch], written: bool) -> None:
        for batch in batches:
            self._statements_queued -= len(batch.statements)
            self._bytes_queued -= batch.size
        if not self._is_crowded:
            self._has_room.set()
        for batch in batches:
            if batch.done is not None:
                batch.done(written)

    def _succeeded(self, seconds: float, used: int) -> None:
        self.commits += 1
        self.commit_seconds += seconds
        self.used_bytes = used
        if self.is_failing:
            self.is_failing = False
            self._log.warning("the store can be written again")
        if self._is_over is not self.is_full:
            self.is_full = not self.is_full
            self._log.warning(
                "the store is full; durable messages are refused until it has room"
                if self.is_full
                else "the store has room again",
                used_bytes=used,
                file_bytes_max=self._file_bytes_max,
            )

    def _failed(self, problem: str) -> None:
        self.failures += 1
        if not self.is_failing:
            self.is_failing = True
            self._log.error(
                "the store cannot be written; durable messages are refused until it can",
                error=problem,
            )


def _answer(future: asyncio.Future[list[Row]], rows: list[Row]) -> None:
    if not future.done():
        future.set_result(rows)


def _fail(future: asyncio.Future[list[Row]], error: sqlite3.Error) -> None:
    if not future.done():
        future.set_exception(error)
