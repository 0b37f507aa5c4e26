"""Many transactions in one: each has its own outcome, and all of them one entry in etcd's log.

Whatever waits when a request may be sent goes into it, so a batch is as large as etcd is slow and
nobody waits for a timer. A few requests are on their way at once: with a single one the flush of
the disk is all that ever happens.

What writes a key that another one writes or compares never shares a batch with it. etcd refuses a
request that writes a key twice, and it judges every compare before it writes anything: of two that
each hold only while the other has not happened, both would.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from federation.etcd.client import EtcdClient
from federation.etcd.errors import EtcdError, EtcdRefused, EtcdUnavailable
from federation.etcd.transactions import (
    OPERATIONS_MAX,
    Committed,
    Compare,
    Delete,
    Operation,
    Put,
    Transaction,
    bounds,
)

IN_FLIGHT_MAX = 4
BATCH_BYTES_MAX = 1_000_000
"""etcd takes requests of 1.5 MiB."""
WAITING_MAX = 100_000
"""Beyond it a transaction is refused at once."""


@dataclass(slots=True)
class _Waiting:
    transaction: Transaction
    outcome: asyncio.Future[Committed]
    writes: set[bytes]
    reads: set[bytes]
    """The keys that it compares."""
    prefixes: set[bytes]
    """The prefixes that it compares."""
    size: int
    width: int
    """What etcd counts of it, beside one for itself."""


class _Batch:
    """What shares a request."""

    def __init__(self) -> None:
        self.members: list[_Waiting] = []
        self.is_full = False
        self._writes: set[bytes] = set()
        self._reads: set[bytes] = set()
        self._prefixes: set[bytes] = set()
        self._size = self._width = 0

    def takes(self, waiting: _Waiting) -> bool:
        """Add one, unless there is no room, or it may not share a request with what is there."""
        width = max(self._width, waiting.width)
        size = self._size + waiting.size
        if self.members and (
            len(self.members) + 1 + width > OPERATIONS_MAX or size > BATCH_BYTES_MAX
        ):
            self.is_full = True
            return False
        if is_free := not self._touches(waiting):
            self.members.append(waiting)
            self._size, self._width = size, width
        # What could not be taken is not overtaken by what touches it, either.
        self._writes |= waiting.writes
        self._reads |= waiting.reads
        self._prefixes |= waiting.prefixes
        return is_free

    def _touches(self, waiting: _Waiting) -> bool:
        return bool(
            waiting.writes & self._writes
            or waiting.writes & self._reads
            or waiting.reads & self._writes
            or _any_under(self._prefixes, waiting.writes)
            # Those that are known already were compared with each write when it came.
            or _any_under(waiting.prefixes - self._prefixes, self._writes)
        )


class GroupCommit:
    """Commits what many ask for at the same time."""

    def __init__(self, client: EtcdClient, *, in_flight_max: int = IN_FLIGHT_MAX) -> None:
        """Send at most so many requests at once."""
        self._client = client
        self._in_flight_max = in_flight_max
        self._waiting: deque[_Waiting] = deque()
        self._news = asyncio.Event()
        self.requests = 0
        """How many requests were sent, for metrics."""

    def __len__(self) -> int:
        """Return how many transactions wait to be sent."""
        return len(self._waiting)

    async def commit(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
    ) -> Committed:
        """Do what `EtcdClient.commit` does, together with what others ask for meanwhile."""
        if len(self._waiting) >= WAITING_MAX:
            raise EtcdUnavailable("BUSY", f"{WAITING_MAX} transactions wait already")
        waiting = _waiting(Transaction(compares, then, otherwise))
        self._waiting.append(waiting)
        self._news.set()
        return await waiting.outcome

    async def run(self) -> None:
        """Send what waits, until cancelled; whoever still waits then is cancelled too."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(self._in_flight_max):
                    tasks.create_task(self._send())
        finally:
            for waiting in self._waiting:
                waiting.outcome.cancel()
            self._waiting.clear()

    async def _send(self) -> None:
        while True:
            while not self._waiting:
                self._news.clear()
                await self._news.wait()
            batch = self._next_batch()
            if not batch:
                continue
            try:
                await self._commit(batch)
            finally:
                for waiting in batch:
                    waiting.outcome.cancel()  # nothing, unless this was cancelled

    def _next_batch(self) -> list[_Waiting]:
        """Remove and return what can share a request; the rest keeps its order."""
        batch = _Batch()
        later: list[_Waiting] = []
        while self._waiting and not batch.is_full and len(later) < OPERATIONS_MAX:
            waiting = self._waiting.popleft()
            if waiting.outcome.done():
                continue  # whoever asked for it has given up
            if not batch.takes(waiting):
                later.append(waiting)
        self._waiting.extendleft(reversed(later))
        return batch.members

    async def _commit(self, batch: list[_Waiting]) -> None:
        self.requests += 1
        try:
            done = await self._client.commit([], [waiting.transaction for waiting in batch])
        except EtcdRefused as refused:
            if len(batch) == 1:
                _fail(batch, refused)
                return
            for waiting in batch:  # one of them spoils it for all
                await self._commit([waiting])
        except EtcdError as fault:
            _fail(batch, fault)
        else:
            for waiting, outcome in zip(batch, done.responses, strict=True):
                assert isinstance(outcome, Committed), "what was asked for is a transaction"
                if not waiting.outcome.done():
                    waiting.outcome.set_result(outcome)


def _fail(batch: list[_Waiting], fault: EtcdError) -> None:
    for waiting in batch:
        if not waiting.outcome.done():
            waiting.outcome.set_exception(fault)


def _waiting(transaction: Transaction) -> _Waiting:
    """Read off what decides with whom it may share a request."""
    operations = (*transaction.then, *transaction.otherwise)
    writes: set[bytes] = set()
    size = 0
    for operation in operations:
        match operation:
            case Put(key, value):
                writes.add(bounds(key)[0])
                size += len(key) + len(value)
            case Delete(str(key)):
                writes.add(bounds(key)[0])
            case Delete() | Transaction():
                raise ValueError("a prefix is not deleted, and nothing nested, in a group")
    compares = [compare.message for compare in transaction.compares]
    width = max(len(compares), len(transaction.then), len(transaction.otherwise))
    if width >= OPERATIONS_MAX:
        raise ValueError(f"{width} compares or operations, where a group takes fewer than 128")
    return _Waiting(
        transaction,
        asyncio.get_running_loop().create_future(),
        writes,
        {compare.key for compare in compares if not compare.range_end},
        {compare.key for compare in compares if compare.range_end},
        size + sum(compare.ByteSize() for compare in compares),
        width,
    )


def _any_under(prefixes: set[bytes], keys: set[bytes]) -> bool:
    return any(key.startswith(tuple(prefixes)) for key in keys) if prefixes else False
