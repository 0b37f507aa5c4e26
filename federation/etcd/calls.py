"""One call to etcd: with a deadline of its own, a token if there are users, and a second chance.

Every call bears `hasleader`, so that a member that has lost its cluster says so instead of
answering from the past or keeping silent. A call that nobody answered goes to the next endpoint,
if it cannot have done anything; each endpoint is asked once. A token that is not good any more is
replaced once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from federation.etcd.endpoints import Endpoints
from federation.etcd.errors import (
    EtcdDenied,
    EtcdError,
    EtcdRefused,
    EtcdUnavailable,
    EtcdUncertain,
    TokenRejected,
    heard,
)
from federation.etcd.v1 import key_value_pb2, lease_pb2, server_pb2, watch_pb2

Asked = TypeVar("Asked", bound=Message)
Told = TypeVar("Told", bound=Message)
Outcome = TypeVar("Outcome")

BROKEN = (grpc.RpcError, asyncio.InvalidStateError, asyncio.CancelledError, TimeoutError)
"""How a call ends that did not end well; see `broken`."""
NO_USERS = "authentication is not enabled"


@dataclass(frozen=True, slots=True)
class Method(Generic[Asked, Told]):
    """A method of etcd."""

    path: str
    asked: type[Asked]
    told: type[Told]
    writes: bool = False
    """Does it change something? Then nobody repeats it when it may have been done."""
    streams: bool = False


RANGE = Method("/etcdserverpb.KV/Range", key_value_pb2.RangeRequest, key_value_pb2.RangeResponse)
TXN = Method(
    "/etcdserverpb.KV/Txn", key_value_pb2.TxnRequest, key_value_pb2.TxnResponse, writes=True
)
DELETE = Method(
    "/etcdserverpb.KV/DeleteRange",
    key_value_pb2.DeleteRangeRequest,
    key_value_pb2.DeleteRangeResponse,
    writes=True,
)
COMPACT = Method(
    "/etcdserverpb.KV/Compact",
    key_value_pb2.CompactionRequest,
    key_value_pb2.CompactionResponse,
    writes=True,
)
GRANT = Method(
    "/etcdserverpb.Lease/LeaseGrant",
    lease_pb2.LeaseGrantRequest,
    lease_pb2.LeaseGrantResponse,
    writes=True,
)
REVOKE = Method(
    "/etcdserverpb.Lease/LeaseRevoke",
    lease_pb2.LeaseRevokeRequest,
    lease_pb2.LeaseRevokeResponse,
    writes=True,
)
KEEP_ALIVE = Method(
    "/etcdserverpb.Lease/LeaseKeepAlive",
    lease_pb2.LeaseKeepAliveRequest,
    lease_pb2.LeaseKeepAliveResponse,
    streams=True,
)
WATCH = Method(
    "/etcdserverpb.Watch/Watch", watch_pb2.WatchRequest, watch_pb2.WatchResponse, streams=True
)
AUTHENTICATE = Method(
    "/etcdserverpb.Auth/Authenticate",
    server_pb2.AuthenticateRequest,
    server_pb2.AuthenticateResponse,
)
STATUS = Method(
    "/etcdserverpb.Maintenance/Status", server_pb2.StatusRequest, server_pb2.StatusResponse
)


def broken(fault: BaseException, endpoint: str, *, writes: bool = False) -> EtcdError:
    """Return what one of BROKEN means, or raise it when it is our own task that was cancelled.

    grpc raises CancelledError, too, for a call that it has given up itself.
    """
    if isinstance(fault, asyncio.CancelledError):
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise fault
    return heard(fault, endpoint, writes=writes)


class Calls:
    """Calls to whichever endpoint is asked now."""

    def __init__(
        self, endpoints: Endpoints, user: str, password: str, attempt_seconds: float
    ) -> None:
        """Wait for each answer for `attempt_seconds`; without a user no token is asked for."""
        self.endpoints = endpoints
        self.attempt_seconds = attempt_seconds
        self._user = user
        self._password = password
        self._token: str | None = None if user else ""
        self._authenticating = asyncio.Lock()

    async def ask(
        self, method: Method[Asked, Told], request: Asked, seconds: float | None = None
    ) -> Told:
        """Return the answer; raises EtcdError when no endpoint gave one, each asked for so long."""
        wait = seconds or self.attempt_seconds

        async def attempt(number: int, token: str) -> Told:
            if method.streams:
                return await self._exchange(method, request, number, token, wait)
            return await self._call(method, request, number, token, wait)

        return await self.on_each(attempt)

    async def on_each(self, attempt: Callable[[int, str], Awaitable[Outcome]]) -> Outcome:
        """Return what `attempt` does with an endpoint and a token where it goes well first."""
        endpoints = self.endpoints
        left = len(endpoints)
        while True:
            number = endpoints.current
            try:
                outcome = await self._with_token(number, attempt)
            except (EtcdUnavailable, EtcdUncertain) as fault:
                endpoints.failed(number, str(fault))
                left -= 1
                if not left or isinstance(fault, EtcdUncertain) or endpoints.is_closed:
                    raise
            except EtcdError:
                endpoints.answered(number)
                raise
            else:
                endpoints.answered(number)
                return outcome

    def stream(
        self, method: Method[Asked, Told], requests: AsyncIterator[Asked], number: int, token: str
    ) -> grpc.aio.StreamStreamCall[Asked, Told]:
        """Open a stream; what goes wrong with it is one of BROKEN."""
        return self._stream(method, requests, number, token, None)

    async def _with_token(
        self, number: int, attempt: Callable[[int, str], Awaitable[Outcome]]
    ) -> Outcome:
        token = self._token
        if token is None:
            token = await self._authenticate(number, None)
        try:
            return await attempt(number, token)
        except TokenRejected as rejected:
            if not self._user:
                raise _denied(rejected) from rejected
        token = await self._authenticate(number, token)
        try:
            return await attempt(number, token)
        except TokenRejected as rejected:
            raise _denied(rejected) from rejected

    async def _authenticate(self, number: int, instead_of: str | None) -> str:
        """Return a new token, or the one that somebody got meanwhile."""
        request = server_pb2.AuthenticateRequest(name=self._user, password=self._password)
        try:
            async with asyncio.timeout(self.attempt_seconds), self._authenticating:
                if self._token is None or self._token == instead_of:
                    self._token = await self._new_token(request, number)
                return self._token
        except TimeoutError as late:
            raise heard(late, self.endpoints.name(number), writes=False) from late

    async def _new_token(self, request: server_pb2.AuthenticateRequest, number: int) -> str:
        try:
            answer = await self._call(AUTHENTICATE, request, number, "", self.attempt_seconds)
        except EtcdRefused as refused:
            if NO_USERS in refused.details:
                return ""  # until the server says that it wants one
            raise
        return answer.token

    async def _call(
        self, method: Method[Asked, Told], request: Asked, number: int, token: str, seconds: float
    ) -> Told:
        call = self.endpoints.channel(number).unary_unary(
            method.path,
            request_serializer=method.asked.SerializeToString,
            response_deserializer=method.told.FromString,
        )
        try:
            answer: Told = await call(request, timeout=seconds, metadata=_metadata(token))
        except BROKEN as fault:
            name = self.endpoints.name(number)
            raise broken(fault, name, writes=method.writes) from fault
        return answer

    async def _exchange(
        self, method: Method[Asked, Told], request: Asked, number: int, token: str, seconds: float
    ) -> Told:
        """Ask one thing on a stream of its own."""

        async def requests() -> AsyncIterator[Asked]:
            yield request

        call = self._stream(method, requests(), number, token, seconds)
        name = self.endpoints.name(number)
        try:
            answer: Told | Any = await call.read()
        except BROKEN as fault:
            raise broken(fault, name, writes=method.writes) from fault
        finally:
            call.cancel()
        if answer is grpc.aio.EOF:
            raise EtcdUnavailable("BROKEN", "the stream ended without an answer", name)
        return answer

    def _stream(
        self,
        method: Method[Asked, Told],
        requests: AsyncIterator[Asked],
        number: int,
        token: str,
        seconds: float | None,
    ) -> grpc.aio.StreamStreamCall[Asked, Told]:
        call: grpc.aio.StreamStreamMultiCallable[Asked, Told]
        call = self.endpoints.channel(number).stream_stream(
            method.path,
            request_serializer=method.asked.SerializeToString,
            response_deserializer=method.told.FromString,
        )
        return call(requests, timeout=seconds, metadata=_metadata(token))


def _denied(rejected: TokenRejected) -> EtcdDenied:
    return EtcdDenied(rejected.code, rejected.details, rejected.endpoint)


def _metadata(token: str) -> tuple[tuple[str, str], ...]:
    return (("hasleader", "true"), ("token", token)) if token else (("hasleader", "true"),)
