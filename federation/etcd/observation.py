"""Observing a prefix for ever, whatever happens to etcd.

    all that is there → a stream → is it the same store? → changes … → (it ends) → a stream …
                                 ↘ no, or it has forgotten → all that is there

One stream for each observer. It asks for progress all the time, because a frozen server keeps its
connections: whoever does not answer within `attempt_seconds` is left for the next endpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import grpc

from federation.etcd.calls import BROKEN, RANGE, WATCH, Calls, broken
from federation.etcd.errors import (
    EtcdCompacted,
    EtcdDenied,
    EtcdError,
    EtcdUnavailable,
    TokenRejected,
)
from federation.etcd.history import Anew, Changes, History, Refused, Snapshot
from federation.etcd.ranges import everything
from federation.etcd.transactions import Prefix, bounds
from federation.etcd.v1.key_value_pb2 import RangeRequest
from federation.etcd.v1.watch_pb2 import (
    WatchCreateRequest,
    WatchProgressRequest,
    WatchRequest,
    WatchResponse,
)

PROGRESS_SHARE = 0.5
"""Progress is asked for whenever that share of `attempt_seconds` has gone by."""
PAUSE_SECONDS_FIRST = 0.05
PAUSE_SECONDS_MAX = 1.0


async def observed(calls: Calls, prefix: str) -> AsyncGenerator[Snapshot | Changes, None]:
    """Tell what is there, then what changes."""
    history: History | None = None
    reason = ""
    is_first = True
    pause = PAUSE_SECONDS_FIRST
    while True:
        try:
            if history is None:
                pairs, header = await everything(calls, prefix)
                history = History(header.cluster_id, header.revision, tuple(pairs))
                yield Snapshot(tuple(pairs), header.revision, reason)
                is_first = False
            async with aclosing(_changes(calls, prefix, history)) as told:
                async for news in told:
                    pause = PAUSE_SECONDS_FIRST
                    if isinstance(news, Anew):
                        history, reason = None, news.reason
                    elif news is not None:
                        yield news
        except EtcdError as fault:
            if is_first and isinstance(fault, EtcdDenied):
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, PAUSE_SECONDS_MAX)


async def _difference(calls: Calls, prefix: str, history: History) -> str:
    """Return why the store is not the one that was observed; empty if it is."""
    anchor = history.anchor
    if anchor is None:
        request = RangeRequest(key=bounds(Prefix(prefix))[0])
    else:
        request = RangeRequest(key=bounds(anchor.key)[0], revision=anchor.mod_revision)
    try:
        answer = await calls.ask(RANGE, request)
    except EtcdCompacted as gone:
        return f"what it had told is not there any more: {gone.details}"
    return "" if history.is_of(answer) else "the store has lost what it had told"


async def _changes(
    calls: Calls, prefix: str, history: History
) -> AsyncGenerator[Anew | Changes | None, None]:
    """Tell what one stream tells; Anew is the last of it, an EtcdError ends it too."""

    async def begin(number: int, token: str) -> _Stream:
        stream = _Stream(calls, prefix, history.next_revision, number, token)
        await stream.begin()
        return stream

    stream = await calls.on_each(begin)
    try:
        # Now, not before: a store that is replaced from here on ends the stream.
        if difference := await _difference(calls, prefix, history):
            yield Anew(difference)
            return
        response = stream.first
        while True:
            news = history.hear(response)
            if isinstance(news, Refused):
                raise EtcdUnavailable("CANCELLED", news.reason)
            yield news
            if isinstance(news, Anew):
                return
            response = await stream.read()
    finally:
        stream.close()


class _Stream:
    """A stream with one watch."""

    def __init__(self, calls: Calls, prefix: str, revision: int, number: int, token: str) -> None:
        """Ask this endpoint for what happens from a revision on."""
        key, end = bounds(Prefix(prefix))
        create = WatchCreateRequest(key=key, range_end=end, start_revision=revision)
        self._seconds = calls.attempt_seconds
        self._endpoints = calls.endpoints
        self._number = number
        self._call = calls.stream(WATCH, self._requests(create), number, token)

    async def begin(self) -> None:
        """Wait until the server observes; raises TokenRejected when it refuses to.

        A refusal does not end the stream: who does not look at it waits for ever. It may be for a
        token that is too old, or for want of rights; another token shows which.
        """
        try:
            self.first = await self._read(self._seconds)
            if self.first.canceled and not self.first.compact_revision:
                name = self._endpoints.name(self._number)
                raise TokenRejected("CANCELLED", self.first.cancel_reason, name)
        except BaseException:
            self.close()
            raise

    async def read(self) -> WatchResponse:
        """Return the next message; one comes in time even if nothing happens."""
        try:
            response = await self._read(PROGRESS_SHARE * self._seconds + self._seconds)
        except EtcdError as fault:
            self._endpoints.failed(self._number, str(fault))
            raise
        self._endpoints.answered(self._number)
        return response

    def close(self) -> None:
        """End it; the server forgets the watch."""
        self._call.cancel()

    async def _requests(self, create: WatchCreateRequest) -> AsyncIterator[WatchRequest]:
        yield WatchRequest(create_request=create)
        while True:  # until grpc has no more use for it
            await asyncio.sleep(PROGRESS_SHARE * self._seconds)
            yield WatchRequest(progress_request=WatchProgressRequest())

    async def _read(self, seconds: float) -> WatchResponse:
        name = self._endpoints.name(self._number)
        try:
            async with asyncio.timeout(seconds):
                response = await self._call.read()
        except BROKEN as fault:
            raise broken(fault, name) from fault
        if response is grpc.aio.EOF:
            raise EtcdUnavailable("BROKEN", "the stream has ended", name)
        assert isinstance(response, WatchResponse), "that is what the deserializer makes"
        return response
