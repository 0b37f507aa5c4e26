"""A client of an etcd that is a store in this process: `EtcdClient`'s interface, without a wire.

The time of its leases is `clock`, which the test moves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from federation.etcd import (
    Changes,
    Committed,
    Compare,
    EtcdClient,
    EtcdNoLease,
    EtcdState,
    EtcdUnavailable,
    EtcdUncertain,
    KeyValue,
    Lease,
    Operation,
    Snapshot,
    Transaction,
)
from tests.support.etcd_store import EtcdStore

ENDPOINT = "127.0.0.1:1"
PATIENCE_SECONDS = 5.0


class FakeEtcd(EtcdClient):
    """A client of `store`; each gateway of a test has one of its own."""

    def __init__(self, store: EtcdStore, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._news = asyncio.Event()
        self._done = asyncio.Event()
        self.is_away = False
        """Nobody answers, and nothing is done."""
        self.is_mute = False
        """All that is asked is done, and nobody answers."""
        self.is_deaf = False
        """What changes is not told."""

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<FakeEtcd of {self._store!r}>"

    @property
    def state(self) -> EtcdState:
        return EtcdState(not self.is_away, 0.0, ENDPOINT, "away" if self.is_away else "")

    @property
    def attempt_seconds(self) -> float:
        return 0.05

    def stir(self) -> None:
        """Let whoever watches look."""
        self._news.set()

    async def next_commit(self) -> None:
        """Wait until a transaction was done, whether it was answered or not."""
        self._done.clear()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._done.wait()

    def _begin(self) -> None:
        if self.is_away:
            raise EtcdUnavailable("UNAVAILABLE", "it is away", ENDPOINT)
        self._store.expire(self._clock())

    def _end(self) -> None:
        if self.is_mute:
            raise EtcdUncertain("DEADLINE_EXCEEDED", "it says nothing", ENDPOINT)
        self.stir()

    async def get(self, key: str, *, seconds: float | None = None) -> KeyValue | None:
        self._begin()
        self._end()
        return self._store.pairs.get(key)

    async def get_prefix(self, prefix: str) -> tuple[list[KeyValue], int]:
        self._begin()
        self._end()
        return list(self._store.under(prefix)), self._store.revision

    async def commit(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
        *,
        seconds: float | None = None,
    ) -> Committed:
        self._begin()
        try:
            done = self._store.commit(Transaction(compares, then, otherwise))
        except KeyError as unknown:
            raise EtcdNoLease("NOT_FOUND", "lease not found", ENDPOINT) from unknown
        self._done.set()
        self._end()
        return done

    async def observe(self, prefix: str) -> AsyncGenerator[Snapshot | Changes, None]:
        revision = self._store.revision
        yield Snapshot(self._store.under(prefix), revision, "")
        while True:
            changes = () if self.is_deaf else self._store.changes(prefix, revision)
            if changes:
                revision = changes[-1].revision
                yield Changes(changes, revision)
            else:
                self._news.clear()
                await self._news.wait()

    async def grant(self, seconds: int) -> Lease:
        self._begin()
        lease = self._store.grant(seconds, self._clock())
        self._end()
        return Lease(lease, seconds)

    async def keep_alive(self, lease: int, *, seconds: float | None = None) -> int:
        self._begin()
        left = self._store.keep_alive(lease, self._clock())
        self._end()
        return int(left)

    async def revoke(self, lease: int) -> None:
        self._begin()
        self._store.revoke(lease)
        self._end()
