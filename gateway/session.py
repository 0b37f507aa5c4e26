"""One agent's stream.

A reader and a writer, nothing more. The reader takes a frame, confirms what it acknowledges
and admits its envelopes in order; while something slow is awaited (a worker, room in a
shard), only this stream waits. The writer takes all that is queued whenever the stream is
writable and sends it as one frame; there is no timer, so an idle stream waits for nothing.

    opening → open → closing → ended

A stream is closed by whoever has a reason (`close`); the writer says Goodbye and the call
ends with the status that belongs to the reason. What outlives the stream is in the member's
`Link` (numbers, answers) and `Outbox` (messages).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from gateway.auth import Identity
from gateway.clock import Clock, told_expiry
from gateway.endings import STATUS_OF, Ending
from gateway.headers import Sender
from gateway.link import GAP, REPEAT, Link
from gateway.members import Member
from gateway.metrics import Metrics
from gateway.refusals import Fault, refusal_of
from gateway.telemetry.admitting import Admits
from llmx.v1.exchange_service_pb2 import SlowConsumer, TokenRenewed
from llmx.wire.v1.frame_pb2 import RequestBatchBytes, RequestFrame, ResponseFrame

ADMIT_SLICE = 64
"""Envelopes of one frame, or deliveries, before other streams get their turn."""

ANSWERS_MAX = 1_000
"""Refusals and answers that may wait for the writer; then the reader waits."""

GOODBYE_SECONDS_MAX = 2.0
"""How long the last frame may take; a client that does not read never gets it."""

FRAME_SHARES = 4
"""Messages, openings and refusals get this part of a frame each, so that with all that is
around them it stays below the limit, which is also what grpc libraries take by default."""

SILENT_HEARTBEATS = 3
"""After so many heartbeats without a frame, the other side is taken for dead."""

Context = grpc.aio.ServicerContext[Any, Any]


class Session:
    """The open stream of one member."""

    def __init__(
        self,
        context: Context,
        sender: Sender,
        identity: Identity,
        admission: Admits,
        now: Clock,
        metrics: Metrics,
        frame_bytes_max: int,
        renew: Callable[[Session, bytes], Awaitable[None]],
        confirm_later: Callable[[Session], None],
        settle: Callable[[Member], Awaitable[None] | None],
        delivered: Callable[[Member], None],
    ) -> None:
        """Serve `sender` on `context` until its token ends, unless `renew` gives it longer.

        The session calls `confirm_later` when it has handled a frame; whoever hears that calls
        `confirm_soon`, so that confirmations mostly ride on frames that go anyway.
        `settle` does what a batch that was read to its end needs before it is confirmed;
        `delivered` hears that messages were acknowledged which somebody follows.
        """
        self._context = context
        self._admission = admission
        self._now = now
        self._metrics = metrics
        self._frame_bytes_max = frame_bytes_max
        self._renew = renew
        self._confirm_later = confirm_later
        self._confirm_up_to = 0
        self._settle = settle
        self._delivered = delivered
        self.sender = sender
        self.member: Member = sender.member
        link = sender.member.link
        assert link is not None, "whoever opens a stream gives the member a link"
        self.link: Link = link
        self.identity = identity
        self._loop = asyncio.get_running_loop()
        self._asleep: asyncio.Future[None] | None = None  # what the writer waits for
        self._is_due = False  # is there anything to write since it looked last?
        self._answers_sent = asyncio.Event()
        self._half_closed = False
        self._vanished = False
        self._said_goodbye = False
        self._first: bytes | None = None
        self._renewed: bytes | None = None
        self._warning: bytes | None = None
        self._is_alive_due = False
        self._is_taking = False
        self.opened_at = self._heard_at = self._spoke_at = now()
        self._ending: Ending | None = None
        self._reader: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        """Tell the state in words."""
        state = "open" if self._ending is None else f"closing, {self._ending.reason}"
        return f"<Session of {self.member.agent_id}: {state}, {self.member.outbox!r}>"

    def wake(self) -> None:
        """Send what is queued."""
        if not self._is_due:
            self._is_due = True
            if self._asleep is not None and not self._asleep.done():
                self._asleep.set_result(None)

    def close(
        self,
        reason: str,
        detail: str,
        reconnect_after: float = 0.0,
        move_to: tuple[str, ...] = (),
        *,
        finish: bool = False,
    ) -> None:
        """End the stream with a Goodbye; the first reason counts.

        With `finish` the batch at hand is handled to its end.
        """
        if self._ending is None:
            self._ending = Ending(reason, detail, reconnect_after, move_to)
            self.wake()
            # Who moves to another gateway shall know what became of what it sent to this one.
            self._is_taking = self._is_taking and (finish or reason == "stopping")
            if self._reader is not None and not self._is_taking:
                self._reader.cancel()

    def confirm_soon(self) -> bool:
        """Tell the agent what was handled before the last time of asking, if no frame has since.

        False while there is more to tell: ask again, in regular intervals.
        """
        link = self.link
        if link.handled_told < self._confirm_up_to:
            self.wake()
        self._confirm_up_to = link.confirmable
        return link.handled_told == link.handled

    def warn_slow(self, waiting: int, waiting_max: int) -> None:
        """Tell the agent that it acknowledges too slowly."""
        warning = SlowConsumer(waiting_messages=waiting, waiting_messages_max=waiting_max)
        self._warning = warning.SerializeToString()
        self.wake()

    def show_life(self, now: float, heartbeat: float) -> None:
        """Send a frame without content if nothing was sent for a heartbeat, in seconds.

        The stream is closed when nothing came for several, unless a batch of it still waits for
        the disk: then it is we who do not read.
        """
        if now - self._heard_at > SILENT_HEARTBEATS * heartbeat and not self._is_taking:
            self.close("silent", f"nothing came for {SILENT_HEARTBEATS} heartbeats")
        elif now - self._spoke_at >= heartbeat:
            self._is_alive_due = True
            self.wake()

    def renewed(self, identity: Identity) -> None:
        """Live on with a new token."""
        self.identity = identity
        answer = TokenRenewed()
        answer.token_expires_at.FromSeconds(told_expiry(identity.expires_at))
        self._renewed = answer.SerializeToString()
        self.wake()

    async def yield_to(self, gateway_id: str, within: float) -> None:
        """End because the agent has come to another gateway; the batch at hand is handled first.

        Returns when nothing more of the stream will be handled, after so many seconds at most.
        """
        self.close("replaced", f"the agent has gone on at gateway {gateway_id}", finish=True)
        if self._reader is not None:
            await asyncio.wait((self._reader,), timeout=within)
            self._reader.cancel()

    async def run(self, welcome: bytes) -> str:
        """Serve until the stream ends; returns why it ended.

        When the agent cancels the call or its connection breaks, grpc cancels us.
        """
        self._first = welcome
        self.wake()
        async with asyncio.TaskGroup() as tasks:
            self._reader = tasks.create_task(self._read())
            writer = tasks.create_task(self._write())
            await asyncio.wait((self._reader, writer), return_when=asyncio.FIRST_COMPLETED)
            self._half_closed = True
            self.wake()
            await asyncio.wait((writer,), timeout=GOODBYE_SECONDS_MAX)
            self._reader.cancel()
            writer.cancel()
            # The task knows us; thousands of ended sessions must not wait for the collector.
            self._reader = None
        if self._ending is None:
            return "client_vanished" if self._vanished else "client_closed"
        self._context.set_code(STATUS_OF[self._ending.reason])
        self._context.set_details(f"{self._ending.reason}: {self._ending.detail}")
        return self._ending.reason

    async def _read(self) -> None:
        context, metrics, link = self._context, self._metrics, self.link
        while True:
            if link.pending:
                await self._room_for_answers()
            raw = await context.read()
            if not isinstance(raw, bytes):  # grpc.aio.EOF
                return
            metrics.frames_in += 1
            metrics.bytes_in += len(raw)
            self._heard_at = self._now()
            if len(raw) > self._frame_bytes_max:
                link.discard()
                self._refuse_frame("TOO_LARGE", f"a frame of {len(raw)} bytes was not read")
                continue
            try:
                frame = RequestFrame.FromString(raw)
            except DecodeError:
                link.discard()
                self._refuse_frame("MALFORMED_FRAME", "the bytes are no ExchangeRequest")
                continue
            link.confirm(frame.confirmed_number)
            kind = frame.WhichOneof("content")
            if kind == "batch":
                self._is_taking = True
                in_order = await self._take(frame.number, frame.batch)
                self._is_taking = False
                if not in_order or self._ending is not None:
                    self.wake()
                    return
            elif kind == "renew_token":
                await self._renew(self, frame.renew_token)
            elif kind == "hello":
                self._refuse_frame("MALFORMED_FRAME", "the stream is open; Hello comes once")
            if frame.number and kind != "batch":
                link.discard()

    async def _take(self, number: int, batch: RequestBatchBytes) -> bool:
        """Handle a batch; returns False when one before it is missing."""
        link, outbox = self.link, self.member.outbox
        if not number:
            self._refuse_frame("MALFORMED_FRAME", "a batch bears no number; they count from 1")
            return True
        heard = link.hear(number)
        if heard is REPEAT:
            self._metrics.batches_repeated += 1
            self._confirm_later(self)
            link.handled_told = 0  # the confirmation may have been lost
            return True
        if heard is GAP:
            self.close("out_of_order", f"batch {number} came after batch {link.handled}")
            return False
        acked, envelopes = batch.acked_msg_ids, batch.envelopes
        if acked:
            self._metrics.acknowledged += outbox.confirm(acked, self._heard_at)
            if outbox.followed or self.member.is_boxed:
                self._delivered(self.member)
            if outbox.has_queued:
                self.wake()
        if envelopes:
            await self._admit(envelopes)
        settling = self._settle(self.member)
        if settling is not None:
            await settling
        if link.finish():
            self.wake()
        link.handled = number
        if not self.member.unjudged:
            link.confirmable = number
        if envelopes or not acked:
            self._confirm_later(self)  # acknowledgements alone can wait for the next frame
        return True

    async def _admit(self, envelopes: Sequence[bytes]) -> None:
        admit, sender = self._admission.admit, self.sender
        metrics, turn_over = self._metrics, self._metrics.delivered + ADMIT_SLICE
        for index, raw in enumerate(envelopes, 1):
            waiting = admit(sender, raw)
            if waiting is not None:
                await waiting
            if index % ADMIT_SLICE == 0 or metrics.delivered > turn_over:
                await asyncio.sleep(0)
                turn_over = metrics.delivered + ADMIT_SLICE
                if len(self.link.at_hand) > ANSWERS_MAX and self.link.finish():
                    self.wake()
                await self._room_for_answers()

    async def _room_for_answers(self) -> None:
        """Wait while more answers than may be kept wait for the writer."""
        while len(self.link.pending) > ANSWERS_MAX:
            self._answers_sent.clear()
            await self._answers_sent.wait()

    def _refuse_frame(self, code: str, reason: str) -> None:
        fault = Fault(
            code,
            reason,
            f"send an llmx.v1.ExchangeRequest of at most {self._frame_bytes_max} bytes",
        )
        self._metrics.refused[code] += 1
        self.member.answer_refused(refusal_of(fault, "").SerializeToString())

    async def _write(self) -> None:
        context, metrics = self._context, self._metrics
        while True:
            if not self._is_due:
                self._asleep = self._loop.create_future()
                await self._asleep
            self._is_due = False
            while (frame := self._next_frame()) is not None:
                raw = frame.SerializeToString()
                metrics.frames_out += 1
                metrics.bytes_out += len(raw)
                self._spoke_at = self._now()
                try:
                    await context.write(raw)
                except (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
                    self._vanished = True  # the call has ended under us
                    return
            if (self._half_closed or self._ending is not None) and not self._is_taking:
                return

    def _next_frame(self) -> ResponseFrame | None:
        """Return everything that is queued as one frame, or None when there is nothing."""
        if self._said_goodbye or self._has_nothing():
            return None
        link = self.link
        frame = ResponseFrame(confirmed_number=link.handled)
        if self._first is not None:
            frame.welcome, self._first = self._first, None
        elif self._renewed is not None:
            frame.token_renewed, self._renewed = self._renewed, None
        elif self._warning is not None:
            frame.slow_consumer, self._warning = self._warning, None
        elif not self._fill(frame):
            is_told = link.handled_told == link.confirmable
            if self._ending is not None and (is_told or self._ending.reason != "stopping"):
                if self._is_taking:
                    return None  # the agent shall hear what became of the batch at hand
                frame.goodbye = self._ending.goodbye(link.token).SerializeToString()
                self._said_goodbye = True
            elif self._half_closed and self._ending is None:
                # A call that breaks looks half-closed for a moment, before grpc cancels us. A
                # last frame without content tells them apart: it cannot be written to that one.
                self._said_goodbye = True
            elif is_told and not self._is_alive_due:
                return None
        self._is_alive_due = False
        if frame.WhichOneof("content") in ("batch", None):  # others confirm nothing
            if link.pending:
                # An answer that is still to be sent belongs to a batch not confirmed before it.
                frame.confirmed_number = link.handled_told
            else:
                frame.confirmed_number = link.handled_told = link.confirmable
        return frame

    def _has_nothing(self) -> bool:
        """Tell whether nothing is queued; asked after each frame, when it mostly is so."""
        link, outbox = self.link, self.member.outbox
        return (
            link.handled_told == link.confirmable
            and not (outbox.needs_writer or link.pending or self._half_closed or self._is_alive_due)
            and self._ending is None
            and self._first is self._renewed is self._warning is None
        )

    def _fill(self, frame: ResponseFrame) -> bool:
        """Put what is queued into a numbered batch; tells whether there was anything."""
        if self._ending is not None and self._ending.reason != "stopping":
            return False  # it is for the agent's next stream, which may be open already
        link, share = self.link, self._frame_bytes_max // FRAME_SHARES
        parcels = self.member.outbox.take(self._now(), share)
        answers = None
        if link.pending:
            answers = link.pending.take(share)
            self._answers_sent.set()
        if not parcels and answers is None:
            return False
        batch = frame.batch
        batch.envelopes.extend([parcel.envelope for parcel in parcels])
        if answers is not None:
            batch.opened.extend(answers.opened)
            batch.refusals.extend(answers.refusals)
            batch.receipts.extend(answers.receipts)
        frame.number = link.send(parcels, answers)
        return True
