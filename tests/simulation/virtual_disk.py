"""A store in virtual time: what `gateway.store` promises, with a dict for a disk."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.durability import REMEMBER
from gateway.mailbox import DELETE, HEADS, INSERT, MOVE
from gateway.outbox import Parcel
from gateway.store import Row, Statement
from tests.simulation.ledger import Ledger
from tests.support.virtual_time import VirtualTime

_decode = msgspec.msgpack.Decoder(Parcel).decode


@dataclass(frozen=True, slots=True)
class DiskFaults:
    """How slow and how full the disk is."""

    seconds: float = 0.002
    """How long a commit or a look-up takes at most, unless it stalls."""
    stall_share: float = 0.0
    stall_seconds: float = 1.0
    refusal_share: float = 0.0
    """Of all commits: how many fail, with everything in them that may be refused."""


@dataclass(slots=True)
class _Batch:
    statements: Sequence[Statement]
    done: Callable[[bool], None] | None
    keep: bool


class _Moment:
    """Awaited, it asks whoever drives the coroutine to go on in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __await__(self) -> Generator[float, None, None]:
        yield self._seconds


class VirtualDisk:
    """Commits in groups, in order; what is not committed is gone when the gateway dies."""

    def __init__(
        self, time: VirtualTime, rng: random.Random, faults: DiskFaults, ledger: Ledger
    ) -> None:
        """Start empty."""
        self._time = time
        self._rng = rng
        self.faults = faults
        self._ledger = ledger
        self.rows: dict[int, tuple[str, int, bytes, bytes]] = {}
        self.admitted: dict[str, str] = {}
        self._queue: list[_Batch] = []
        self._working = False
        self._life = 0
        self.on_commit: Callable[[], None] = lambda: None
        """Hears that something was answered."""

    is_available = True
    has_room = True

    def write(
        self,
        statements: Sequence[Statement],
        done: Callable[[bool], None] | None = None,
        *,
        keep: bool = True,
    ) -> None:
        """Queue statements that belong together."""
        self._queue.append(_Batch(statements, done, keep))
        if not self._working:
            self._work()

    def _work(self) -> None:
        self._working = True
        life = self._life

        def commit() -> None:
            if life == self._life:
                self._commit()

        self._time.after(self._seconds(), commit)

    def _seconds(self) -> float:
        faults, draw = self.faults, self._rng.random
        seconds = faults.seconds * draw()
        return seconds + faults.stall_seconds * draw() if draw() < faults.stall_share else seconds

    def _commit(self) -> None:
        group, self._queue = self._queue, []
        failed = self._rng.random() < self.faults.refusal_share
        answers: list[tuple[Callable[[bool], None], bool]] = []
        for batch in group:
            written = batch.keep or not failed  # what must be kept was tried again, with luck
            if written:
                for sql, values in batch.statements:
                    self._execute(sql, values)
            if batch.done is not None:
                answers.append((batch.done, written))
        for done, written in answers:
            done(written)
        self._working = False
        if self._queue:
            self._work()
        self.on_commit()

    def _execute(self, sql: str, values: tuple[object, ...]) -> None:
        rows = self.rows
        match sql, values:
            case str(word), (int(id_), str(owner), int(place), bytes(head), bytes(envelope)) if (
                word == INSERT
            ):
                rows[id_] = (owner, place, head, envelope)
            case str(word), (int(place), int(id_)) if word == MOVE:
                if id_ in rows:
                    owner, _, head, envelope = rows[id_]
                    rows[id_] = (owner, place, head, envelope)
            case str(word), (int(id_),) if word == DELETE:
                rows.pop(id_, None)
            case str(word), (str(key), str(opened), float()) if word == REMEMBER:
                self.admitted[key] = opened
            case _:
                raise AssertionError(f"this disk does not know {sql}")

    async def read(self, sql: str, values: tuple[int, ...] = ()) -> list[Row]:
        """Return what a query finds among all that is on disk; takes a moment."""
        await _Moment(self._seconds())
        rows = self.rows
        if sql == HEADS:
            after, count = values
            ids = sorted(id_ for id_ in rows if id_ > after)[:count]
            return [(id_, *rows[id_][:3], len(rows[id_][3])) for id_ in ids]
        assert sql.startswith("SELECT id, envelope FROM parcels"), sql
        return [(id_, rows[id_][3]) for id_ in values if id_ in rows]

    @property
    def msg_ids(self) -> set[str]:
        """Return which messages are on the disk."""
        return {_decode(head).msg_id for _, _, head, _ in self.rows.values()}

    def crash(self) -> None:
        """Lose what is not committed."""
        self._life += 1
        self._queue.clear()
        self._working = False
        self.on_commit = lambda: None


def finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns that has nothing to wait for."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value
