"""One award for each call, kept in etcd: whoever writes it first has made it.

A call for proposals has one key, whichever gateway it came to. An award is told to nobody before
it stands under that key, and the key is only ever created, never replaced by another negotiation.
So when a gateway dies and its initiator calls again elsewhere, the award that was made is found,
and two gateways that both believe that they own a call make one award between them: etcd decides,
not a clock.

A repeated call may have an award that another gateway has told and could not write yet, because
nobody saw etcd. While this gateway is bound by a promise to take nothing over (`fencing`), it
leaves the key to the other one, and writes no award of such a call.

Many awards go into one transaction, each with a branch of its own, and several transactions are
under way at a time. A write whose fate is unknown is tried again; if it had been done, it finds
itself. Records end with a lease, so the store does not grow with the past.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import structlog

from federation.etcd import (
    Committed,
    EtcdClient,
    EtcdError,
    EtcdNoLease,
    EtcdRefused,
    Found,
    Get,
    GroupCommit,
    Put,
    Transaction,
    created,
)

WRITERS = 256
"""Awards that are under way at a time."""
QUEUE_MAX = 100_000
RETRY_SECONDS_FIRST = 0.25
RETRY_SECONDS_MAX = 2.0
LEASE_SHARE = 8
"""A lease takes the records of this part of its time; then there is a new one."""

log = structlog.get_logger("llmx.awards")


class Entry(msgspec.Struct, frozen=True):
    """What stands under a call's key."""

    negotiation_id: str
    gateway_id: str
    outcome: bytes
    """The outcome as JSON."""
    epoch: int = 0
    """Under which the gateway lived then."""


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
    is_repeated: bool


class AwardLog:
    """Writes awards to etcd, in groups."""

    def __init__(
        self, client: EtcdClient, prefix: str, keep_seconds: int, now: Callable[[], float]
    ) -> None:
        """Write under `prefix`; records are kept for `keep_seconds` or a little longer."""
        self._client = client
        self._group = GroupCommit(client)
        self._prefix = prefix
        self._keep_seconds = keep_seconds
        self._now = now
        self._queue: deque[_Proposal] = deque()
        self._queued = asyncio.Event()
        self._lease = 0
        self._lease_until = 0.0
        self._leasing = asyncio.Lock()
        self._is_away = False
        self._put_off: list[_Proposal] = []
        self.is_bound: Callable[[], bool] = lambda: False
        """Tells whether this gateway has promised of late to take nothing over."""
        self.written = 0
        self.found = 0
        """Awards that somebody else had made."""

    def __repr__(self) -> str:
        """Tell the state in words."""
        return (
            f"<AwardLog: {len(self._queue)} queued, {self.written} written in "
            f"{self.transactions} transactions, {self.found} found>"
        )

    @property
    def has_room(self) -> bool:
        """Tell whether one more may be proposed."""
        return len(self._queue) + len(self._put_off) < QUEUE_MAX

    @property
    def transactions(self) -> int:
        """Return how many requests to etcd all of it took."""
        return self._group.requests

    def propose(self, key: str, entry: Entry, heard: Heard, is_repeated: bool = False) -> None:
        """Write an award, unless there is one; `heard` is told which one stands.

        Was its call repeated? Then that is done when no promise is to be kept.
        """
        self._enqueue(_Proposal(self._prefix + key, entry, heard, is_repeated))

    def _enqueue(self, proposed: _Proposal) -> None:
        self._queue.append(proposed)
        self._queued.set()

    async def run(self) -> None:
        """Write until cancelled. What etcd does not take is tried again until it does."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._group.run())
            tasks.create_task(self._resume())
            for _ in range(WRITERS):
                tasks.create_task(self._write())

    async def _resume(self) -> None:
        """Write what was put off when no promise is to be kept any more."""
        while True:
            await asyncio.sleep(RETRY_SECONDS_FIRST)
            if self._put_off and not self.is_bound():
                put_off, self._put_off = self._put_off, []
                for proposed in put_off:
                    self._enqueue(proposed)

    async def _write(self) -> None:
        while True:
            while not self._queue:
                self._queued.clear()
                await self._queued.wait()
            proposed = self._queue.popleft()
            stands = await self._insisted(proposed)
            if stands is None:
                self._put_off.append(proposed)
                continue
            if stands.negotiation_id == proposed.entry.negotiation_id:
                self.written += 1
            else:
                self.found += 1
            proposed.heard(stands)

    async def _insisted(self, proposed: _Proposal) -> Entry | None:
        """Write an award for as long as it takes; None when a promise is to be kept first."""
        wait = RETRY_SECONDS_FIRST
        while not (proposed.is_repeated and self.is_bound()):
            stands = await self._committed(proposed)
            if stands is not None:
                return stands
            await asyncio.sleep(wait)
            wait = min(2 * wait, RETRY_SECONDS_MAX)
        return None

    async def _committed(self, proposed: _Proposal) -> Entry | None:
        """Write an award and return the one that stands; None when it is to be tried again."""
        try:
            asked = proposal(proposed.key, proposed.entry, await self._current_lease())
            done = await self._group.commit(asked.compares, asked.then, asked.otherwise)
        except EtcdRefused as refused:
            log.error(
                "an award cannot be written, and is told all the same",
                negotiation_id=proposed.entry.negotiation_id,
                error=str(refused),
            )
            return proposed.entry
        except EtcdError as error:
            if isinstance(error, EtcdNoLease):
                self._lease_until = 0.0
            if not self._is_away:
                self._is_away = True
                log.warning("awards wait for etcd", error=str(error))
            return None
        if self._is_away:
            self._is_away = False
            log.warning("awards are written again", waiting=len(self._queue))
        return award_that_stands(proposed.entry, done)

    async def _current_lease(self) -> int:
        async with self._leasing:
            if self._now() >= self._lease_until:
                began = self._now()
                share = max(1, self._keep_seconds // LEASE_SHARE)
                lease = await self._client.grant(self._keep_seconds + share)
                self._lease, self._lease_until = lease.lease, began + share
            return self._lease
