"""One award for each call, kept in etcd: whoever writes it first has made it.

A call for proposals has one key, whichever gateway it came to. An award is told to nobody before
it stands under that key, and the key is only ever created, never replaced by another negotiation.
So when a gateway dies and its initiator calls again elsewhere, the award that was made is found,
and two gateways that both believe that they own a call make one award between them: etcd decides,
not a clock.

Many awards go into one transaction, each with a branch of its own, and several transactions are
under way at a time. A write whose fate is unknown is tried again; if it had been done, it finds
itself. Records end with a lease, so the store does not grow with the past.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from federation.etcd import (
    Committed,
    EtcdClient,
    EtcdError,
    Found,
    Get,
    Put,
    Transaction,
    created,
)

BATCH_MAX = 100
"""Awards in one transaction; etcd takes 128 operations, ours and those around them."""
UNDER_WAY_MAX = 4
"""Transactions that wait for an answer at a time."""
QUEUE_MAX = 100_000
RETRY_SECONDS = 0.25
LEASE_SHARE = 8
"""A lease takes the records of this part of its time; then there is a new one."""

log = structlog.get_logger("llmx.awards")


class Entry(msgspec.Struct, frozen=True):
    """What stands under a call's key."""

    negotiation_id: str
    gateway_id: str
    outcome: bytes
    """The outcome as JSON."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode

Heard = Callable[[Entry], None]
"""Hears which award stands: the one that was proposed, or the one that was first."""


def call_key(tenant: str, initiator: str, msg_id: str) -> str:
    """Return what names a call, whichever gateway it came to."""
    named = "\0".join((tenant, initiator, msg_id)).encode()
    return hashlib.blake2b(named, digest_size=16).hexdigest()


def proposal(key: str, entry: Entry, lease: int) -> Transaction:
    """Return what writes an award unless there is one, and finds that otherwise."""
    return Transaction([created(key) == 0], [Put(key, _encode(entry), lease)], [Get(key)])


def award_that_stands(entry: Entry, done: Committed) -> Entry:
    """Return the award of the call, as etcd answers to the proposal of `entry`."""
    if done.succeeded:
        return entry
    (there,) = done.responses
    assert isinstance(there, Found) and there.pairs, "it was there a moment ago"
    return _decode(there.pairs[0].value)


@dataclass(frozen=True, slots=True)
class _Proposal:
    key: str
    entry: Entry
    heard: Heard


class AwardLog:
    """Writes awards to etcd, in groups."""

    def __init__(
        self, client: EtcdClient, prefix: str, keep_seconds: int, now: Callable[[], float]
    ) -> None:
        """Write under `prefix`; records are kept for `keep_seconds` or a little longer."""
        self._client = client
        self._prefix = prefix
        self._keep_seconds = keep_seconds
        self._now = now
        self._queue: deque[_Proposal] = deque()
        self._queued = asyncio.Event()
        self._lease = 0
        self._lease_until = 0.0
        self.written = 0
        self.found = 0
        """Awards that somebody else had made."""
        self.transactions = 0

    def __repr__(self) -> str:
        """Tell the state in words."""
        return (
            f"<AwardLog: {len(self._queue)} queued, {self.written} written in "
            f"{self.transactions} transactions, {self.found} found>"
        )

    @property
    def has_room(self) -> bool:
        """Tell whether one more may be proposed."""
        return len(self._queue) < QUEUE_MAX

    def propose(self, key: str, entry: Entry, heard: Heard) -> None:
        """Write an award, unless there is one; `heard` is told which one stands."""
        self._queue.append(_Proposal(self._prefix + key, entry, heard))
        self._queued.set()

    async def run(self) -> None:
        """Write until cancelled. What etcd does not take is tried again until it does."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(UNDER_WAY_MAX):
                tasks.create_task(self._write())

    async def _write(self) -> None:
        while True:
            while not self._queue:
                self._queued.clear()
                await self._queued.wait()
            batch = self._taken()
            is_written = await self._committed(batch)
            while not is_written:
                await asyncio.sleep(RETRY_SECONDS)
                is_written = await self._committed(batch)

    def _taken(self) -> list[_Proposal]:
        """Return the next proposals, no two for one key: etcd refuses such a transaction."""
        taken: dict[str, _Proposal] = {}
        while self._queue and len(taken) < BATCH_MAX and self._queue[0].key not in taken:
            one = self._queue.popleft()
            taken[one.key] = one
        return list(taken.values())

    async def _committed(self, batch: Sequence[_Proposal]) -> bool:
        """Write a batch; False when it is to be tried again."""
        try:
            lease = await self._current_lease()
            done = await self._client.commit(
                [],
                [proposal(one.key, one.entry, lease) for one in batch],
            )
        except EtcdError as error:
            self._lease_until = 0.0  # it may be the lease that is gone
            log.warning("awards wait for etcd", awards=len(batch), error=str(error))
            return False
        self.transactions += 1
        for one, branch in zip(batch, done.responses, strict=True):
            assert isinstance(branch, Committed), "each proposal has a branch of its own"
            self._tell(one, branch)
        return True

    def _tell(self, proposed: _Proposal, branch: Committed) -> None:
        entry = award_that_stands(proposed.entry, branch)
        if entry.negotiation_id == proposed.entry.negotiation_id:
            self.written += 1
        else:
            self.found += 1
        proposed.heard(entry)

    async def _current_lease(self) -> int:
        if self._now() >= self._lease_until:
            began = self._now()
            share = max(1, self._keep_seconds // LEASE_SHARE)
            lease = await self._client.grant(self._keep_seconds + share)
            self._lease, self._lease_until = lease.lease, began + share
        return self._lease
