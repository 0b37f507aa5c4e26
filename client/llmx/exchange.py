"""One stream to a gateway, from its opening to its end.

A reader and a writer, and beside them one task that keeps the stream alive and one that renews
the token. What is said and what came is the session's business: it gives five functions to a
stream and hears how it ended.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc

from llmx.channel import Tls, open_channel
from llmx.endings import Ending
from llmx.errors import StreamLost
from llmx.stream import Stream
from llmx.tokens import Tokens, renewal_wait
from llmx.v1.exchange_service_pb2 import ExchangeRequest, ExchangeResponse
from llmx.v1.exchange_service_pb2_grpc import ExchangeServiceStub

log = logging.getLogger("llmx")

Call = grpc.aio.StreamStreamCall[ExchangeRequest, ExchangeResponse]

RENEWAL_PAUSE = 1.0  # seconds between tries when a renewal failed
WELCOME_SECONDS_MAX = 30.0  # a gateway that many agents come back to may need its time
ELSEWHERE_SECONDS_MAX = 4.0  # the same where there are others, who may be quicker


@dataclass(frozen=True, slots=True)
class Talk:
    """What a session says and hears. None of these may block."""

    hello: Callable[[], ExchangeRequest]
    begin: Callable[[ExchangeResponse], None]
    """The Welcome came. May raise StreamLost."""
    take: Callable[[ExchangeResponse], None]
    """A frame came. May raise StreamLost."""
    next_frame: Callable[[], ExchangeRequest | None]
    """Return what to send, or None when nothing is queued."""
    is_done: Callable[[], bool]
    """Is nothing more going to be said?"""


class Exchange:
    """One stream."""

    def __init__(self, stream: Stream, talk: Talk, tokens: Tokens, wake: asyncio.Event) -> None:
        """Prepare a stream; `wake` is set when there may be something to send."""
        self._stream = stream
        self._talk = talk
        self._tokens = tokens
        self._wake = wake

    async def run(self, address: str, tls: Tls, *, has_others: bool = False) -> Ending:
        """Open the stream and serve it until it ends. Never raises what a peer did.

        A gateway is waited for less long when there are others to try.
        """
        try:
            token = await self._tokens.fetch()
        except Exception as error:  # the author's own function
            log.exception("the token source failed")
            return Ending(grpc.StatusCode.UNAVAILABLE, f"no token: {error!r}", False)
        async with open_channel(address, tls) as channel:
            metadata = (("authorization", f"Bearer {token}"),)
            call: Call = ExchangeServiceStub(channel).Exchange(metadata=metadata)
            lost: StreamLost | None = None
            try:
                patience = ELSEWHERE_SECONDS_MAX if has_others else WELCOME_SECONDS_MAX
                frame = await self._greet(call, patience)
                if isinstance(frame, ExchangeResponse) and frame.HasField("welcome"):
                    self._talk.begin(frame)
                    await self._live(call)
                else:
                    call.cancel()  # not a gateway, or one that ended the call already
            except StreamLost as error:
                lost = error
                call.cancel()
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                pass  # the status says it all
            return await self._ending(call, lost)

    async def _ending(self, call: Call, lost: StreamLost | None) -> Ending:
        goodbye = self._stream.goodbye
        welcomed = self._stream.welcomed
        if goodbye is None and lost is not None:
            return Ending(await call.code(), lost.detail, welcomed, lost.reason)
        hint = goodbye is not None and goodbye.HasField("reconnect_after")
        return Ending(
            await call.code(),
            (goodbye.detail if goodbye else "") or await call.details() or "",
            welcomed,
            goodbye.reason if goodbye else "",
            goodbye.reconnect_after.ToNanoseconds() / 1e9 if goodbye and hint else None,
        )

    async def _greet(self, call: Call, patience: float) -> object:
        """Say Hello and return the answer."""
        try:
            async with asyncio.timeout(patience):
                # A Hello written to a call that was refused meanwhile would end as INTERNAL,
                # and hide why it was refused.
                await call.initial_metadata()
                if not call.done():
                    await call.write(self._talk.hello())
                return await call.read()
        except TimeoutError:
            raise StreamLost("silent", f"no Welcome within {patience:g} s") from None

    async def _live(self, call: Call) -> None:
        lost: Sequence[BaseException] = ()
        try:
            async with asyncio.TaskGroup() as tasks:
                beside = [tasks.create_task(self._write(call))]
                if self._stream.pulse.heartbeat > 0:
                    beside.append(tasks.create_task(self._watch()))
                if self._tokens.can_renew:
                    beside.append(tasks.create_task(self._renew()))
                await self._read(call)
                for task in beside:
                    task.cancel()
        except* StreamLost as errors:
            lost = errors.exceptions  # raised in here, it would be wrapped in a group again
        if lost:
            raise lost[0]

    async def _read(self, call: Call) -> None:
        take, pulse = self._talk.take, self._stream.pulse
        try:
            while isinstance(frame := await call.read(), ExchangeResponse):
                pulse.heard_at = time.monotonic()
                take(frame)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # `run` reads the status

    async def _write(self, call: Call) -> None:
        talk, pulse = self._talk, self._stream.pulse
        try:
            while (frame := talk.next_frame()) is not None or not talk.is_done():
                if frame is None:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                await call.write(frame)
                pulse.said_at = time.monotonic()
            await call.done_writing()
        except (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
            # BaseError: done_writing lets through what it met when the call broke just now.
            pass  # the stream is over; the reader learns why

    async def _watch(self) -> None:
        """Show that we are alive, and give the stream up when the gateway does not."""
        stream, pulse = self._stream, self._stream.pulse
        while True:
            now = time.monotonic()
            if pulse.is_lost(now):
                raise StreamLost("silent", f"nothing came for {now - pulse.heard_at:.1f} s")
            if pulse.owes_beat(now):
                stream.owes_beat = True
                self._wake.set()
            await asyncio.sleep(pulse.rest(now))

    async def _renew(self) -> None:
        """Replace the token at 80 % of its life, for as long as the stream lives."""
        stream = self._stream
        wait = renewal_wait(stream.token_until - time.monotonic())
        while stream.token_until:
            await asyncio.sleep(wait)
            old, stream.renewed = stream.token_until, asyncio.Event()
            try:
                stream.renewal = await self._tokens.fetch()
            except Exception:  # the author's own function
                log.exception("the token source failed")
            else:
                self._wake.set()
                await stream.renewed.wait()
            wait = renewal_wait(stream.token_until - time.monotonic())
            if stream.token_until == old:  # it failed: again soon, and not in a tight loop
                wait = max(wait, RENEWAL_PAUSE)
