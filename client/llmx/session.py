"""The session between an agent and its gateway, whatever stream carries it.

A session is *connecting* until a gateway says Welcome, *live* until the stream ends, then
connecting again, until it is closed or has *failed* for good (a token that is not taken, a
newer session of the same agent). What is sent meanwhile waits.

The writer of a stream takes everything that is queued and sends it as one frame; while that
frame is on its way the next one fills, so frames grow with the load and nothing waits for a
timer. A message is *admitted* when its frame is confirmed and it was not refused. A gateway that
resumes the session says which frame it handled last; what was in later ones is sent again, and
nothing else. One that does not begins a new session: everything unconfirmed is sent again, under
its old msg_id, and DUPLICATE then means that it had been admitted before.

What comes is handed on once: a frame that came before is ignored, a message that came before is
acknowledged only. It is the same if sender, msg_id and negotiation are: a call that is opened anew
is in another one. What nobody has room for is not acknowledged, so the gateway brings it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from llmx.admission import Admission
from llmx.backoff import Backoff
from llmx.channel import Tls
from llmx.endings import Ending, Reconnect, after
from llmx.errors import (
    LlmxError,
    Refused,
    SessionClosed,
    SessionError,
    StreamLost,
    Unreachable,
    refused,
)
from llmx.exchange import Exchange, Talk
from llmx.inbox import Inbox, Key
from llmx.link import Arrival, Begun, Link
from llmx.news import News
from llmx.route import Route
from llmx.stream import Stream
from llmx.tokens import Tokens
from llmx.v1.envelope_pb2 import Envelope
from llmx.v1.exchange_service_pb2 import (
    ExchangeRequest,
    ExchangeResponse,
    Hello,
    ResponseBatch,
    SlowConsumer,
    Welcome,
)
from llmx.v1.negotiation_pb2 import NegotiationOpened
from llmx.v1.receipt_pb2 import Receipt, ReceiptStage

log = logging.getLogger("llmx")

SEEN_WINDOW = 16_384

TOO_EARLY = frozenset(("RATE_EXCEEDED", "QUOTA_EXCEEDED"))
TOO_EARLY_SECONDS_MAX = 5.0
"""Longer waits are for the author of the agent to decide."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a session tells its agent. None of them may block or raise."""

    deliver: Callable[[Envelope, Callable[[], None]], bool]
    """A message came; False means that there is no room for it now. The function is called
    once, then or later, when the message need not come again."""
    opened: Callable[[NegotiationOpened], None]
    """A call of ours opened a negotiation."""
    refused: Callable[[Refused], None]
    """A message that nobody waits for was refused."""
    repeated: Callable[[Refused], None]
    """A message that was sent again had been admitted before."""
    receipt: Callable[[Receipt], None]
    """A message has reached one of its recipients."""
    slow_consumer: Callable[[SlowConsumer], None]
    """The gateway warns that messages are acknowledged too slowly."""
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
        self._tls = tls
        self._backoff = backoff or Backoff()
        self._draw = draw
        self.news = News(hello().agent_id)
        self._admission = Admission(unconfirmed_max)
        self.hold_back = self._admission.hold_back
        self._outbox = self._admission.outbox
        self._inbox = Inbox(SEEN_WINDOW)
        self._link = Link()
        self._route = Route(gateway)
        self._stream = Stream()
        self._talk = Talk(
            hello=self._say_hello,
            begin=self._begin,
            take=self._take,
            next_frame=self._next_frame,
            is_done=lambda: self._closing.is_set() and not self._outbox,
        )
        self._wake = asyncio.Event()
        self._connected = asyncio.Event()
        self._instance = secrets.token_hex(8)
        self._stream_count = 0
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
    def address(self) -> str:
        """Return where the gateway is: where configured, or where one asked us to move."""
        return self._route.address

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

        Waits while the gateway is away and while too many messages are unconfirmed. A message
        that came too early is sent once more when the wait is short. Raises Refused when the
        message did not count, SessionError when the session is over.
        """
        try:
            await self._admitted(envelope)
        except Refused as error:
            wait = error.retry_after
            if error.code not in TOO_EARLY or wait is None or wait > TOO_EARLY_SECONDS_MAX:
                raise
            await asyncio.sleep(wait)
            await self._admitted(envelope)

    async def _admitted(self, envelope: Envelope) -> None:
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

    async def run(self, hooks: Hooks) -> None:
        """Keep a stream open until closed or failed. Returns; never raises what a peer did."""
        self._hooks = hooks
        failures = 0
        try:
            while not self._closing.is_set():
                self._stream = Stream()
                exchange = Exchange(self._stream, self._talk, self._tokens, self._wake)
                address, more = self.address, self._route.has_others
                ending = await exchange.run(address, self._tls, has_others=more)
                self._connected.clear()
                self._leave(ending)
                failures = 0 if ending.was_good else failures
                match after(ending, can_renew=self._tokens.can_renew):
                    case Reconnect(wait):
                        failures += 1
                        await self._pause(address, ending, wait, failures)
                    case error:
                        self._fail(error)
                        return
        finally:
            self._fail(SessionClosed("the session was closed"))
            self._ended.set()

    async def _pause(self, at: str, ending: Ending, wait: float | None, failures: int) -> None:
        drawn = self._backoff.wait(failures, self._draw)
        seconds = drawn if wait is None else wait + drawn if wait else 0.0
        self._last_trouble = ending.goodbye or ending.detail or ending.code.name
        if self._closing.is_set():
            return
        self.news.lost(at, ending, self.address, seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    def _fail(self, error: SessionError) -> None:
        if self.failure is not None:
            return
        self._admission.fail(error)
        self._connected.set()  # so that `connected` looks at the failure
        self._hooks.failed(error)

    # ------------------------------------------------------------------ one stream

    def _say_hello(self) -> ExchangeRequest:
        hello = self._hello()
        hello.resume_token = self._link.token
        self._stream_count += 1
        hello.instance, hello.stream_count = self._instance, self._stream_count
        return ExchangeRequest(confirmed_number=self._link.received, hello=hello)

    def _begin(self, frame: ExchangeResponse) -> None:
        welcome = frame.welcome
        match self._link.begin(
            welcome.resume_token, resumed=welcome.resumed, confirmed=frame.confirmed_number
        ):
            case Begun.RESUMED:
                # What it handled is not confirmed yet: refusals may be on their way.
                self._outbox.rewind(frame.confirmed_number)
                self._inbox.rewind(frame.confirmed_number)
                self._stream.asks_for_word = self._outbox.is_flying
            case Begun.FRESH:
                self._outbox.rewind()
                self._inbox.restart()
            case Begun.IMPOSSIBLE:
                raise StreamLost("out_of_order", "the gateway resumed what was never sent")
        first = self.welcome is None
        self.welcome = welcome
        self._route.arrived()
        self._stream.begin(welcome, time.monotonic())
        self._outbox.envelope_bytes_max = welcome.frame_bytes_max
        self._connected.set()
        self.news.connected(welcome)
        self._hooks.connected(welcome, first)
        self._wake.set()

    def _next_frame(self) -> ExchangeRequest | None:
        frame = self._stream.next_frame(self._link, self._outbox, self._inbox)
        for error in self._admission.too_large():
            self._take_refusal(error)
        return frame

    def _leave(self, ending: Ending) -> None:
        """Learn from a stream's end where to go and how to go on there."""
        goodbye = self._stream.goodbye
        if not ending.welcomed or (goodbye is None and ending.goodbye == "silent"):
            self._route.failed()  # who has fallen silent may be there and yet never answer
        elif goodbye is not None:
            self._route.move(goodbye.move_to)
            self._link.move(goodbye.resume_token)

    # ------------------------------------------------------------------ what came

    def _take(self, frame: ExchangeResponse) -> None:
        content = frame.WhichOneof("content")
        if content == "goodbye":  # the last word; what it interrupts comes on the next stream
            self._stream.goodbye = frame.goodbye
            return
        match self._link.hear(frame.number):
            case Arrival.REPEAT:
                return
            case Arrival.GAP:
                received = self._link.received
                raise StreamLost("out_of_order", f"frame {frame.number} came after {received}")
        match content:
            case "batch":
                self._take_batch(frame.batch)
            case "token_renewed":
                expires_at = frame.token_renewed.token_expires_at
                self._stream.token_expires(expires_at.ToNanoseconds() / 1e9)
                self._stream.renewed.set()
            case "slow_consumer":
                self._hooks.slow_consumer(frame.slow_consumer)
        self._link.took(frame.number)
        if content in ("batch", None):  # others overtake refusals of what they would confirm
            self._admission.confirm(frame.confirmed_number)
            self._inbox.confirm(frame.confirmed_number)
        if self._closing.is_set() or self._link.owes_confirmation:
            self._wake.set()

    def _take_batch(self, batch: ResponseBatch) -> None:
        for opened in batch.opened:
            self._hooks.opened(opened)
        for refusal in batch.refusals:
            self._take_refusal(refused(refusal))
        for receipt in batch.receipts:
            self._admission.admit(receipt.msg_id)
            if receipt.stage == ReceiptStage.RECEIPT_STAGE_DELIVERED:
                self._hooks.receipt(receipt)
        self._take_envelopes(batch.envelopes)

    def _take_refusal(self, error: Refused) -> None:
        if error.code == "TOKEN_REJECTED":
            log.warning("%s did not take the new token: %s", self.address, error.reason)
            self._stream.renewed.set()
        elif error.code == "DUPLICATE" and self._outbox.is_repeated(error.msg_id):
            self._admission.admit(error.msg_id)
            self._hooks.repeated(error)
        elif not self._admission.refuse(error):
            self._hooks.refused(error)

    def _take_envelopes(self, envelopes: Sequence[Envelope]) -> None:
        inbox, deliver = self._inbox, self._hooks.deliver
        for envelope in envelopes:
            key = (envelope.sender, envelope.msg_id, envelope.negotiation_id)
            if not inbox.admits(key):
                continue
            self._stream.count_down(envelope, time.monotonic())
            try:
                taken = deliver(envelope, partial(self._finish, key))
            except LlmxError as error:  # closing: there is nobody left to hand it to
                log.debug("%s is not handed on: %s", envelope.msg_id, error)
                taken = False
            if taken:
                inbox.took(key)
            else:
                inbox.turn_away(key)
        if inbox.has_acks:
            self._wake.set()

    def _finish(self, key: Key) -> None:
        self._inbox.finish(key)
        self._wake.set()
