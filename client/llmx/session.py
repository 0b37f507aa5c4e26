"""The one stream between an agent and its gateway, and its life across reconnects.

A session is *connecting* until a gateway says Welcome, *live* until the stream ends, then
connecting again, until it is closed or has *failed* for good (a token that is not taken, a
newer session of the same agent). What is sent meanwhile waits.

One reader and one writer per stream. The writer takes everything that is queued and sends
it as one frame; while that frame is on its way the next one fills, so frames grow with the
load and nothing waits for a timer. Frames are numbered from 1 in each direction and bear
the number of the last frame that was handled. A message is *admitted* when its frame is
confirmed and it was not refused. After a reconnect everything unconfirmed is sent again,
under its old msg_id; DUPLICATE then means that it had been admitted before.

What comes is handed on once: a repeat is acknowledged and goes no further. A repeat is the
same sender, msg_id and negotiation, because a call that is opened anew after a gateway was
lost is the same message and another negotiation. A message that nobody has room for is not
acknowledged, so the gateway brings it again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import grpc

from llmx.admission import Admission
from llmx.backoff import Backoff
from llmx.channel import Tls, open_channel
from llmx.endings import Ending, Reconnect, after
from llmx.errors import (
    LlmxError,
    Refused,
    SessionClosed,
    SessionError,
    Unreachable,
    refused,
)
from llmx.seen import Seen
from llmx.stream import Stream
from llmx.tokens import Tokens, renewal_wait
from llmx.v1.envelope_pb2 import Envelope
from llmx.v1.exchange_service_pb2 import (
    ExchangeRequest,
    ExchangeResponse,
    Hello,
    Welcome,
)
from llmx.v1.exchange_service_pb2_grpc import ExchangeServiceStub
from llmx.v1.negotiation_pb2 import NegotiationOpened

log = logging.getLogger("llmx")

Call = grpc.aio.StreamStreamCall[ExchangeRequest, ExchangeResponse]

SEEN_WINDOW = 16_384
RENEWAL_PAUSE = 1.0  # seconds between tries when a renewal failed


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a session tells its agent. None of them may block or raise."""

    deliver: Callable[[Envelope], bool]
    """A message came; False means that there is no room for it now."""
    opened: Callable[[NegotiationOpened], None]
    """A call of ours opened a negotiation."""
    refused: Callable[[Refused], None]
    """A message that nobody waits for was refused."""
    repeated: Callable[[Refused], None]
    """A message that was sent again had been admitted before."""
    connected: Callable[[Welcome, bool], None]
    """A gateway said Welcome; the flag says whether it is the first time."""
    failed: Callable[[SessionError], None]
    """The session is over."""


class Session:
    """The session of one agent."""

    def __init__(
        self,
        gateway: str,
        tokens: Tokens,
        hello: Callable[[], Hello],
        hooks: Hooks,
        *,
        tls: Tls = None,
        backoff: Backoff | None = None,
        unconfirmed_max: int = 1024,
        draw: Callable[[], float] = random.random,
    ) -> None:
        """Prepare a session; `run` makes it live."""
        self.gateway = gateway
        self.welcome: Welcome | None = None
        """What the last gateway said; None before the first one did."""
        self._tokens = tokens
        self._hello = hello
        self._hooks = hooks
        self._tls = tls
        self._backoff = backoff or Backoff()
        self._draw = draw
        self._admission = Admission(unconfirmed_max)
        self._outbox = self._admission.outbox
        self._acks: deque[str] = deque()
        self._seen = Seen(SEEN_WINDOW)
        self._stream = Stream()
        self._wake = asyncio.Event()
        self._connected = asyncio.Event()
        self._closing = asyncio.Event()
        self._ended = asyncio.Event()
        self._last_trouble = "no gateway answered"

    def __repr__(self) -> str:
        state = "over" if self._ended.is_set() else "live" if self.is_live else "connecting"
        return f"<Session with {self.gateway}: {state}, {len(self._outbox)} unconfirmed>"

    @property
    def is_live(self) -> bool:
        """Is there a stream on which a gateway said Welcome?"""
        return self._connected.is_set() and self.failure is None

    @property
    def has_room(self) -> bool:
        """Can `post` be called, or are too many messages unconfirmed?"""
        return self._admission.has_room

    @property
    def failure(self) -> SessionError | None:
        """Return what ended the session for good, if something did."""
        return self._admission.failure

    # ------------------------------------------------------------------ sending

    async def send(self, envelope: Envelope) -> None:
        """Send a message and return when the gateway has admitted it.

        Waits while the gateway is away and while too many messages are unconfirmed. Raises
        Refused when the message did not count, SessionError when the session is over.
        """
        await self._admission.room()
        self.post(envelope)
        await self._admission.expect(envelope.msg_id)

    def post(self, envelope: Envelope, *, repeated: bool = False) -> None:
        """Send a message without waiting; a refusal is told to the hooks.

        Whoever calls this looks at `has_room` first. `repeated` says that an earlier stream
        may have carried it, so that DUPLICATE is good news. Raises SessionError when the
        session is over.
        """
        self._admission.post(envelope, repeated=repeated)
        self._wake.set()

    async def room(self) -> None:
        """Return when `post` may be called. Raises SessionError when the session is over."""
        await self._admission.room()

    # ------------------------------------------------------------------ life

    async def connected(self, timeout: float | None = None) -> Welcome:
        """Return the Welcome of the gateway as soon as there is one.

        Raises Unreachable when `timeout` seconds pass before, SessionError when it is hopeless.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._connected.wait()
        except TimeoutError:
            raise Unreachable(
                f"no gateway at {self.gateway} within {timeout:g} s: {self._last_trouble}"
            ) from None
        if self.failure is not None:
            raise self.failure
        assert self.welcome is not None, "a live session was welcomed"
        return self.welcome

    async def ended(self) -> None:
        """Return when the session is over."""
        await self._ended.wait()

    async def close(self, timeout: float) -> None:
        """Send what is queued, wait for its confirmation, and end; at most `timeout` seconds.

        What is unconfirmed then is given up.
        """
        self._closing.set()
        self._wake.set()
        try:
            async with asyncio.timeout(timeout):
                await self._ended.wait()
        except TimeoutError:
            log.warning("%r did not end in time, %r is given up", self, self._outbox)

    async def run(self) -> None:
        """Keep a stream open until closed or failed. Returns; never raises what a peer did."""
        failures = 0
        try:
            while not self._closing.is_set():
                ending = await self._live_once()
                self._connected.clear()
                failures = 0 if ending.welcomed else failures
                match after(ending, can_renew=self._tokens.can_renew):
                    case Reconnect(wait):
                        failures += 1
                        await self._pause(ending, wait, failures)
                    case error:
                        self._fail(error)
                        return
        finally:
            self._fail(SessionClosed("the session was closed"))
            self._ended.set()

    async def _pause(self, ending: Ending, wait: float | None, failures: int) -> None:
        drawn = self._backoff.wait(failures, self._draw)
        seconds = drawn if wait is None else wait + drawn if wait else 0.0
        self._last_trouble = ending.goodbye or ending.detail or ending.code.name
        if self._closing.is_set():
            return
        # To lose a gateway is news to the author; the rest is patience.
        is_news = failures <= 1 and self.welcome is not None
        level = logging.WARNING if is_news else logging.INFO
        log.log(level, "%s: %s, again in %.2f s", self.gateway, self._last_trouble, seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass

    def _fail(self, error: SessionError) -> None:
        if self.failure is not None:
            return
        self._admission.fail(error)
        self._connected.set()  # so that `connected` looks at the failure
        self._hooks.failed(error)

    # ------------------------------------------------------------------ one stream

    async def _live_once(self) -> Ending:
        self._stream = stream = Stream()
        self._outbox.rewind()
        try:
            token = await self._tokens.fetch()
        except Exception as error:  # the author's own function
            log.exception("the token source failed")
            return Ending(grpc.StatusCode.UNAVAILABLE, f"no token: {error!r}", False)
        async with open_channel(self.gateway, self._tls) as channel:
            metadata = (("authorization", f"Bearer {token}"),)
            call: Call = ExchangeServiceStub(channel).Exchange(metadata=metadata)
            try:
                # A Hello written to a call that was refused meanwhile would end as INTERNAL,
                # and hide why it was refused.
                await call.initial_metadata()
                if not call.done():
                    await call.write(ExchangeRequest(number=1, hello=self._hello()))
                frame = await call.read()
                if isinstance(frame, ExchangeResponse) and frame.HasField("welcome"):
                    self._begin(frame)
                    await self._live(call, stream)
                else:
                    call.cancel()  # not a gateway, or one that ended the call already
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                pass  # the status below says it all
            goodbye = stream.goodbye
            hint = goodbye is not None and goodbye.HasField("reconnect_after")
            return Ending(
                await call.code(),
                (goodbye.detail if goodbye else "") or await call.details() or "",
                stream.welcomed,
                goodbye.reason if goodbye else "",
                goodbye.reconnect_after.ToNanoseconds() / 1e9 if goodbye and hint else None,
            )

    def _begin(self, frame: ExchangeResponse) -> None:
        first = self.welcome is None
        self.welcome = frame.welcome
        self._stream.begin(frame.number, frame.welcome, time.monotonic())
        self._connected.set()
        self._hooks.connected(frame.welcome, first)
        self._wake.set()

    async def _live(self, call: Call, stream: Stream) -> None:
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(self._write(call, stream))]
            if self._tokens.can_renew:
                beside.append(tasks.create_task(self._renew(stream)))
            await self._read(call, stream)
            for task in beside:
                task.cancel()

    async def _write(self, call: Call, stream: Stream) -> None:
        try:
            while (
                frame := stream.next_frame(self._outbox, self._acks)
            ) is not None or not self._is_done():
                if frame is None:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                await call.write(frame)
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the stream is over; the reader learns why

    def _is_done(self) -> bool:
        return self._closing.is_set() and not self._outbox

    async def _read(self, call: Call, stream: Stream) -> None:
        try:
            while isinstance(frame := await call.read(), ExchangeResponse):
                self._take(frame, stream)
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # `_live_once` reads the status

    # ------------------------------------------------------------------ what came

    def _take(self, frame: ExchangeResponse, stream: Stream) -> None:
        match frame.WhichOneof("content"):
            case "batch":
                batch = frame.batch
                for opened in batch.opened:
                    self._hooks.opened(opened)
                for refusal in batch.refusals:
                    self._take_refusal(refused(refusal))
                self._take_envelopes(batch.envelopes)
            case "token_renewed":
                stream.token_expires(frame.token_renewed.token_expires_at.ToNanoseconds() / 1e9)
                stream.renewed.set()
            case "goodbye":
                stream.goodbye = frame.goodbye
        stream.received_number = frame.number
        self._admission.confirm(frame.confirmed_number)
        if self._closing.is_set():
            self._wake.set()

    def _take_refusal(self, error: Refused) -> None:
        if error.code == "TOKEN_REJECTED":
            log.warning("%s did not take the new token: %s", self.gateway, error.reason)
            self._stream.renewed.set()
        elif error.code == "DUPLICATE" and self._outbox.is_repeated(error.msg_id):
            self._admission.admit(error.msg_id)
            self._hooks.repeated(error)
        elif not self._admission.refuse(error):
            self._hooks.refused(error)

    def _take_envelopes(self, envelopes: Sequence[Envelope]) -> None:
        for envelope in envelopes:
            key = (envelope.sender, envelope.msg_id, envelope.negotiation_id)
            if key not in self._seen:
                try:
                    if not self._hooks.deliver(envelope):
                        continue
                except LlmxError as error:  # closing: there is nobody left to hand it to
                    log.debug("%s is not handed on: %s", envelope.msg_id, error)
                    continue
                self._seen.add(key)
            self._acks.append(envelope.msg_id)
        if self._acks:
            self._wake.set()

    # ------------------------------------------------------------------ the token

    async def _renew(self, stream: Stream) -> None:
        """Replace the token at 80 % of its life, for as long as the stream lives."""
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
