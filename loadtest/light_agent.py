"""An agent on a bare socket: cheap enough that five thousand of them fit into one process.

It follows the numbering of `llmx.v1.ExchangeService`: content from 1 in a session, 0 for what
only confirms, a confirmation after 16 received frames, a resume token for the next stream.
It acknowledges what its role tells it to, and it can be cut off and can stop reading, which
is what it was made for. It waits between attempts as the client library does (`llmx.backoff`).

    away → connecting → welcomed → away
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from llmx.backoff import Backoff
from llmx.v1 import exchange_service_pb2
from llmx.wire.v1 import frame_pb2
from loadtest.framing import bare_frame, batch_frame
from loadtest.http2 import Call, Http2Error

PATH = "/llmx.v1.ExchangeService/Exchange"
WINDOW_BYTES = 4 * 1024 * 1024
CONFIRM_AFTER_FRAMES = 16
CONNECT_SECONDS_MAX = 30.0
REFUSALS_KEPT_MAX = 5

Batch = exchange_service_pb2.ResponseBatch
Take = Callable[[Batch, list[str]], None]
"""Handle one batch and append to the list the msg_ids that shall be acknowledged."""


def ignore(_: Batch, __: list[str]) -> None:
    """Take a batch and acknowledge nothing."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who an agent is and where it connects."""

    agent_id: str
    token: str
    host: str
    port: int
    topics: Sequence[str] = ()
    capabilities: Sequence[str] = ()


class LightAgent(asyncio.Protocol):
    """One agent with a connection of its own."""

    def __init__(self, who: Who, take: Take = ignore, endings: Counter[str] | None = None) -> None:
        """Prepare an agent; it counts in `endings` why its streams and attempts ended."""
        self.who = who
        self.endings: Counter[str] = Counter() if endings is None else endings
        self.pieces: list[bytes] = []
        """Envelopes to send, as pieces that make whole batch entries when joined."""
        self.welcomes = 0
        self.resumed = 0
        """How many of the welcomes went on with the session before."""
        self.attempts = 0
        self.ending = ""
        """Why the last stream or attempt ended."""
        self.warned_at = 0.0
        """When the gateway last warned that this agent is slow, 0 for never."""
        self.goodbye: tuple[float, str] | None = None
        """When the last Goodbye came and what its reason was."""
        self.frames_sent = self.frames_received = self.messages_received = 0
        self.refused = 0
        self.refusals: list[Batch] = []
        self.on_welcome: Callable[[bool], None] | None = None
        """Hears of each welcome, and whether it resumed."""
        self.on_away: Callable[[], None] | None = None
        """Hears of each connection that is over."""
        self._take = take
        self._acks: list[str] = []
        self._call: Call | None = None
        self._transport: asyncio.Transport | None = None
        self._settled: asyncio.Future[bool] | None = None
        self._ended: asyncio.Event = asyncio.Event()
        self._flushing = False
        self._welcomed = False
        self._number = 0
        self._received = 0
        self._unanswered = 0
        self._resume_token = ""
        self._unconfirmed: deque[tuple[int, bytes]] = deque()
        self._spoke_at = 0.0
        self._leaving = False

    @property
    def is_welcomed(self) -> bool:
        return self._welcomed

    # ------------------------------------------------------------------ life

    async def stay(self, backoff: Backoff | None = None) -> None:
        """Connect, and connect again whenever the stream ends, until `leave` or cancelled."""
        backoff = backoff or Backoff()
        failures = 0
        while True:
            if self._welcomed or await self.connect():
                failures = 0
                await self._ended.wait()
            if self._leaving:
                return
            failures += 1
            await asyncio.sleep(backoff.wait(failures, random.random))

    async def connect(self) -> bool:
        """Open a connection and a stream; tell whether a Welcome came."""
        loop = asyncio.get_running_loop()
        self.attempts += 1
        self._settled = loop.create_future()
        self._ended.clear()
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                await loop.create_connection(lambda: self, self.who.host, self.who.port)
                return await self._settled
        except (OSError, TimeoutError) as error:
            self.endings[f"not welcomed: {error!r}"] += 1
            self.cut()
            return False

    def come(self) -> None:
        """Be willing to connect, after `leave` too; that session is over."""
        if self._leaving:
            self._leaving = False
            self._resume_token = ""
            self._unconfirmed.clear()

    def cut(self) -> None:
        """Lose the connection without a word."""
        if self._transport is not None:
            self.ending = self.ending or "cut"
            self._transport.abort()

    def leave(self) -> None:
        """Half-close the stream and stay away."""
        self._leaving = True
        if self._call is not None and self._welcomed:
            self._flush()
            self._call.half_close()
            self._send()
        else:
            self.cut()

    def stop_reading(self) -> None:
        """Leave everything that comes in the socket, until its window is full."""
        if self._transport is not None:
            self._transport.pause_reading()

    def read_again(self) -> None:
        """Read what has piled up."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def beat(self, now: float, seconds: float) -> None:
        """Send a frame without content when nothing was sent for so long."""
        if self._welcomed and now - self._spoke_at >= seconds:
            self._bare()

    # ------------------------------------------------------------------ the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the call, unless the agent was told to leave meanwhile."""
        self._transport = cast("asyncio.Transport", transport)
        if self._leaving:
            self.cut()
            return
        metadata = (("authorization", f"Bearer {self.who.token}"),)
        self._call = Call(f"{self.who.host}:{self.who.port}", PATH, metadata, WINDOW_BYTES)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Hand what came to the call, and its messages to the role."""
        call = self._call
        assert call is not None, "the connection was made"
        was_started = call.started
        try:
            messages = call.receive(data)
        except Http2Error as error:
            self.ending = str(error)
            self.cut()
            return
        if call.started and not was_started and call.ending is None:
            call.send(self._hello())
        for message in messages:
            self._hear(message)
        self._send()
        if call.ending is not None:
            self.ending = call.ending
            self.cut()

    def connection_lost(self, error: Exception | None) -> None:
        """Be away."""
        if error is not None:
            self.ending = repr(error)
        before = "welcomed" if self._welcomed else "not welcomed"
        self.endings[f"{before}: {self.ending or 'the connection was closed'}"] += 1
        self.ending = ""
        self._welcomed = False
        self._call = None
        self._transport = None
        self._ended.set()
        self._settle(welcomed=False)
        if self.on_away is not None:
            self.on_away()

    def _settle(self, *, welcomed: bool) -> None:
        if self._settled is not None and not self._settled.done():
            self._settled.set_result(welcomed)

    def _send(self) -> None:
        call, transport = self._call, self._transport
        if call is not None and transport is not None and call.outgoing:
            transport.write(b"".join(call.outgoing))
            call.outgoing.clear()

    # ------------------------------------------------------------------ frames

    def wake(self) -> None:
        """Send what is queued, together with what is queued in this turn of the loop."""
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _hello(self) -> bytes:
        hello = exchange_service_pb2.Hello(
            agent_id=self.who.agent_id,
            capabilities=self.who.capabilities,
            topics=self.who.topics,
            user_agent="llmx-loadtest/0.1",
            resume_token=self._resume_token,
        )
        return frame_pb2.RequestFrame(
            confirmed_number=self._received, hello=hello.SerializeToString()
        ).SerializeToString()

    def _hear(self, message: bytes) -> None:
        frame = exchange_service_pb2.ExchangeResponse.FromString(message)
        if frame.HasField("welcome"):
            self._begin(frame)
            return
        if frame.number:
            if frame.number <= self._received:
                return
            self._received = frame.number
            self._unanswered += 1
        self._confirmed(frame.confirmed_number)
        if frame.HasField("batch"):
            self.take(frame.batch)
        elif frame.HasField("slow_consumer"):
            self.warned_at = time.perf_counter()
        elif frame.HasField("goodbye"):
            self.goodbye = (time.perf_counter(), frame.goodbye.reason)
        if self._unanswered >= CONFIRM_AFTER_FRAMES and not self._flushing:
            self._bare()

    def take(self, batch: Batch) -> None:
        """Hand a batch to the role, and send what it acknowledges and answers."""
        self.frames_received += 1
        self.messages_received += len(batch.envelopes)
        if batch.refusals:
            self.refused += len(batch.refusals)
            if len(self.refusals) < REFUSALS_KEPT_MAX:
                self.refusals.append(batch)
        self._take(batch, self._acks)
        if self._acks or self.pieces:
            self.wake()

    def _begin(self, frame: exchange_service_pb2.ExchangeResponse) -> None:
        """Go on with the session, or begin a new one; say again what was not confirmed."""
        welcome = frame.welcome
        self.welcomes += 1
        owed = self._unconfirmed
        if welcome.resumed:
            self.resumed += 1
            self._confirmed(frame.confirmed_number)
            self._number = frame.confirmed_number
        else:
            self._number = 0
            self._received = 0
        self._resume_token = welcome.resume_token
        self._unanswered = 0
        self._welcomed = True
        self._unconfirmed = deque()
        for _, body in owed:
            self._content(body)
        if self.on_welcome is not None:
            self.on_welcome(welcome.resumed)
        self._flush()
        self._settle(welcomed=True)

    def _confirmed(self, number: int) -> None:
        unconfirmed = self._unconfirmed
        while unconfirmed and unconfirmed[0][0] <= number:
            unconfirmed.popleft()

    def _flush(self) -> None:
        self._flushing = False
        if not self._welcomed or not (self.pieces or self._acks):
            return
        pieces = self.pieces
        if self._acks:
            acks = exchange_service_pb2.RequestBatch(acked_msg_ids=self._acks)
            pieces.append(acks.SerializeToString())
            self._acks.clear()
        body = b"".join(pieces)
        pieces.clear()
        self._content(body)
        self._send()

    def _content(self, body: bytes) -> None:
        call = self._call
        assert call is not None, "only a welcomed agent speaks"
        self._number += 1
        self._unconfirmed.append((self._number, body))
        self.frames_sent += 1
        self._unanswered = 0
        self._spoke_at = time.perf_counter()
        call.send(batch_frame(self._number, self._received, body))

    def _bare(self) -> None:
        if self._call is not None:
            self._unanswered = 0
            self._spoke_at = time.perf_counter()
            self._call.send(bare_frame(self._received))
            self._send()
