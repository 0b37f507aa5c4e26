"""A client of etcd v3 for what federation needs: ten calls, and what follows from their failure.

Reads are linearizable. Each attempt waits `attempt_seconds`, then the next endpoint is asked; a
write that may have been done is not repeated but ends with EtcdUncertain: read what is there.
`observe` and `Registration` outlive every outage; everything else raises an EtcdError.

    async with EtcdClient(["10.0.0.1:2379", "10.0.0.2:2379"]) as client:
        async with aclosing(client.observe("llmx/gateways/")) as told:
            async for news in told: ...
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from federation.etcd.calls import (
    COMPACT,
    DELETE,
    GRANT,
    KEEP_ALIVE,
    RANGE,
    REVOKE,
    STATUS,
    TXN,
    Calls,
)
from federation.etcd.endpoints import Endpoints, EtcdState, EtcdTls
from federation.etcd.errors import EtcdUnavailable
from federation.etcd.history import Changes, Snapshot
from federation.etcd.observation import observed
from federation.etcd.ranges import everything
from federation.etcd.transactions import (
    Committed,
    Compare,
    KeyValue,
    Operation,
    Prefix,
    Put,
    Transaction,
    bounds,
    committed,
    pair_of,
    request_of,
)
from federation.etcd.v1 import key_value_pb2, lease_pb2, server_pb2

ATTEMPT_SECONDS = 2.0
"""How long an answer is waited for; also how long a connection may show no life."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What was granted."""

    lease: int
    """Its id."""
    seconds: int
    """How long it lasts; longer than asked for when that was less than an election takes."""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """How the member that was asked is."""

    version: str
    database_bytes: int
    has_leader: bool
    faults: tuple[str, ...]
    """In the server's words, such as "NOSPACE"."""


class EtcdClient:
    """Talks to a cluster; a context manager that closes its connections."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        tls: EtcdTls | None = None,
        user: str = "",
        password: str = "",
        attempt_seconds: float = ATTEMPT_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know the endpoints; nothing is dialled before the first call."""
        self._endpoints = Endpoints(endpoints, tls, attempt_seconds, now)
        self._calls = Calls(self._endpoints, user, password, attempt_seconds)

    def __repr__(self) -> str:
        """Tell the state in words."""
        return repr(self._endpoints)

    async def __aenter__(self) -> Self:
        """Begin."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """Close the connections; whoever still waits for an answer gets EtcdUnavailable."""
        await self._endpoints.close()

    @property
    def state(self) -> EtcdState:
        """Return whether etcd can be reached, and since when."""
        return self._endpoints.state

    @property
    def attempt_seconds(self) -> float:
        """Return how long an answer is waited for."""
        return self._calls.attempt_seconds

    async def get(self, key: str, *, seconds: float | None = None) -> KeyValue | None:
        """Return what is at a key now."""
        request = key_value_pb2.RangeRequest(key=bounds(key)[0])
        answer = await self._calls.ask(RANGE, request, seconds)
        return pair_of(answer.kvs[0]) if answer.kvs else None

    async def get_prefix(self, prefix: str) -> tuple[list[KeyValue], int]:
        """Return what is under a prefix, ascending, and as of which revision."""
        pairs, header = await everything(self._calls, prefix)
        return pairs, header.revision

    async def put(self, key: str, value: bytes, lease: int = 0) -> int:
        """Write a key and return the revision."""
        return (await self.commit([], [Put(key, value, lease)])).revision

    async def delete(self, key: str | Prefix) -> int:
        """Delete a key, or what is under a prefix, and return how many there were.

        Works when the database is full; etcd 3.5 refuses a transaction that only deletes then.
        """
        first, end = bounds(key)
        request = key_value_pb2.DeleteRangeRequest(key=first, range_end=end)
        return (await self._calls.ask(DELETE, request)).deleted

    async def commit(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
        *,
        seconds: float | None = None,
    ) -> Committed:
        """Do all of `then` if every compare holds, all of `otherwise` if not.

        After EtcdUncertain it may have been done, or be done in a moment: whoever needs to know
        writes a name into the value and reads it back. Raises ValueError for more operations than
        etcd takes.
        """
        request = request_of(Transaction(compares, then, otherwise))
        answer = await self._calls.ask(TXN, request, seconds)
        return committed(answer, answer.header.revision)

    def observe(self, prefix: str) -> AsyncGenerator[Snapshot | Changes, None]:
        """Tell what is under a prefix, then every change to it, until closed.

        It goes on by itself after whatever happens to etcd: with the next change, so that none is
        missed, or with another Snapshot, when what it missed is not to be had. Raises EtcdDenied
        only before the first Snapshot; later it waits until somebody has put that right. Close it
        with `contextlib.aclosing`.
        """
        return observed(self._calls, prefix)

    async def grant(self, seconds: int) -> Lease:
        """Get a lease of so many seconds, or more."""
        answer = await self._calls.ask(GRANT, lease_pb2.LeaseGrantRequest(ttl=seconds))
        if answer.error:
            raise EtcdUnavailable("LEASE", answer.error)
        return Lease(answer.id, answer.ttl)

    async def keep_alive(self, lease: int, *, seconds: float | None = None) -> int:
        """Let a lease begin anew and return how long it lasts now; 0 when there is none."""
        request = lease_pb2.LeaseKeepAliveRequest(id=lease)
        answer = await self._calls.ask(KEEP_ALIVE, request, seconds)
        return max(answer.ttl, 0)

    async def revoke(self, lease: int) -> None:
        """End a lease, and with it its keys; raises EtcdNoLease when it has ended already."""
        await self._calls.ask(REVOKE, lease_pb2.LeaseRevokeRequest(id=lease))

    async def compact(self, revision: int) -> None:
        """Forget what keys held before a revision, and wait until the space is free."""
        request = key_value_pb2.CompactionRequest(revision=revision, physical=True)
        await self._calls.ask(COMPACT, request)

    async def status(self) -> ServerStatus:
        """Return how the member that is asked now is."""
        answer = await self._calls.ask(STATUS, server_pb2.StatusRequest())
        return ServerStatus(
            answer.version, answer.db_size, answer.leader != 0, tuple(answer.errors)
        )
