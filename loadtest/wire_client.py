"""A light client of the exchange: the least Python between a stream and a role.

`import llmx` is what authors use; this is what a benchmark needs when one process plays
fifty agents and must not be what is measured. It has no reconnect, no retry and no strategy.
Every delivered message is acknowledged by its msg_id. What is queued when the stream becomes
writable goes into one frame.

One channel per agent: `grpc.use_local_subchannel_pool` keeps grpc from sharing connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from llmx.v1 import consent_pb2, envelope_pb2, exchange_service_pb2
from llmx.wire.v1 import frame_pb2
from loadtest.framing import bare_frame, batch_frame

METHOD = "/llmx.v1.ExchangeService/Exchange"
OPEN_SECONDS_MAX = 15.0
REFUSALS_KEPT_MAX = 5
CONFIRM_AFTER_BATCHES = 16
"""Who has received so many batches and sent nothing since confirms them in a bare frame."""
OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
)

Envelopes = Sequence[envelope_pb2.Envelope]
Take = Callable[[Envelopes, list[str]], None]
"""Handle the messages of one frame and append the msg_id of each to the list."""


class StreamLost(Exception):
    """The server ended a stream that the benchmark still needed."""

    def __init__(self, agent_id: str, reason: str) -> None:
        super().__init__(f"the stream of {agent_id} ended: {reason}")
        self.agent_id = agent_id
        self.reason = reason


class WireAgent:
    """One agent on a stream and a connection of its own."""

    def __init__(self, target: str, agent_id: str, take: Take) -> None:
        self.agent_id = agent_id
        self.pieces: list[bytes] = []
        """Envelopes to send, as pieces that make whole batch entries when joined."""
        self.frames_sent = 0
        self.frames_received = 0
        self.messages_received = 0
        self.refusals: list[exchange_service_pb2.ResponseBatch] = []
        self.refused = 0
        self._acks: list[str] = []
        self._take = take
        self._read_number = 0
        self._unconfirmed = 0
        self._waiter: asyncio.Future[None] | None = None
        self._target = target
        self._channel: Any = None
        self._call: Any = None

    async def open(
        self,
        topics: Sequence[str],
        capabilities: Sequence[str],
        token: str | None,
        consents: Sequence[consent_pb2.Consent] = (),
    ) -> None:
        """Open the stream and wait for the Welcome; raises StreamLost."""
        metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._channel = grpc.aio.insecure_channel(self._target, options=OPTIONS)
        self._call = self._channel.stream_stream(METHOD)(metadata=metadata)
        hello = exchange_service_pb2.Hello(
            agent_id=self.agent_id,
            capabilities=capabilities,
            topics=topics,
            consents=consents,
            user_agent="llmx-loadtest/0.1",
        )
        frame = frame_pb2.RequestFrame(hello=hello.SerializeToString())
        try:
            async with asyncio.timeout(OPEN_SECONDS_MAX):
                await self._call.write(frame.SerializeToString())
                received = await self._call.read()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, TimeoutError) as error:
            raise StreamLost(self.agent_id, repr(error)) from error
        if received is grpc.aio.EOF:
            raise StreamLost(self.agent_id, f"{await self._call.code()}")
        welcome = frame_pb2.ResponseFrame.FromString(received)
        if welcome.WhichOneof("content") != "welcome":
            raise StreamLost(self.agent_id, "the first response is no Welcome")

    async def read(self) -> None:
        """Hand every frame to the role until cancelled; raises StreamLost."""
        try:
            await self._read()
        except grpc.aio.AioRpcError as error:
            raise StreamLost(self.agent_id, f"{error.code()} {error.details()}") from error
        raise StreamLost(self.agent_id, "the server ended it")

    async def _read(self) -> None:
        read = self._call.read
        parse = exchange_service_pb2.ExchangeResponse.FromString
        take = self._take
        end = grpc.aio.EOF
        while (received := await read()) is not end:
            frame = parse(received)
            if not frame.number:  # only batches have one
                continue
            self._read_number = frame.number
            self._unconfirmed += 1
            batch = frame.batch
            envelopes = batch.envelopes
            if envelopes:
                self.frames_received += 1
                self.messages_received += len(envelopes)
                take(envelopes, self._acks)
                self.wake()
            if batch.refusals:
                self.refused += len(batch.refusals)
                if len(self.refusals) < REFUSALS_KEPT_MAX:
                    self.refusals.append(batch)
            if self._unconfirmed >= CONFIRM_AFTER_BATCHES:
                self.wake()

    async def write(self) -> None:
        """Send what is queued, all of it in one frame, until cancelled; raises StreamLost."""
        try:
            await self._write()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise StreamLost(
                self.agent_id, f"it ended while something was sent: {error}"
            ) from error

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        send = self._call.write
        batch = exchange_service_pb2.RequestBatch
        number = 0
        while True:
            if not self.pieces and not self._acks:
                if self._unconfirmed >= CONFIRM_AFTER_BATCHES:
                    self._unconfirmed = 0
                    await send(bare_frame(self._read_number))
                    continue
                self._waiter = loop.create_future()
                await self._waiter
            pieces = self.pieces
            if not pieces and not self._acks:
                continue
            if self._acks:
                pieces.append(batch(acked_msg_ids=self._acks).SerializeToString())
                self._acks.clear()
            body = b"".join(pieces)
            pieces.clear()
            number += 1
            self.frames_sent += 1
            self._unconfirmed = 0
            await send(batch_frame(number, self._read_number, body))

    def wake(self) -> None:
        """Tell the writer that something is queued."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    async def close(self) -> None:
        """End the stream and its connection."""
        if self._call is not None:
            self._call.cancel()
            await self._channel.close()
