"""The floor of the benchmark: a relay on grpc.aio that checks nothing.

It speaks the frames of `llmx.v1.ExchangeService` and is built as fast as this transport
allows, so that a gateway is compared with what its checks cost and not with a weak rival.
There is no token, no schema, no duplicate check, no retry and no decision: it reads whom an
envelope is for and hands on the bytes as they came. Acknowledgements arrive and are dropped.

Each stream has one reader and one writer. The writer takes all that is queued and sends it
as one frame; there is no timer. The queue of a stream that nobody reads is bounded: beyond
the bound the stream is cancelled.

Start it with `python -m loadtest.floor`; it prints one line of JSON with its port.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import signal
from typing import Any

import grpc
import uvloop

from llmx.v1 import envelope_pb2, exchange_service_pb2
from llmx.wire.v1 import frame_pb2
from loadtest.framing import batch_frame, framed

SERVICE = "llmx.v1.ExchangeService"
QUEUE_BYTES_MAX = 256 * 1024 * 1024
OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
)


class Outgoing:
    """What one stream still has to be sent."""

    __slots__ = ("_queued", "_queued_bytes", "_waiter", "context", "number", "read_number")

    def __init__(self, context: Any) -> None:
        self.context = context
        self.number = 0
        self.read_number = 0
        self._queued: list[bytes] = []
        self._queued_bytes = 0
        self._waiter: asyncio.Future[None] | None = None

    def put(self, envelope: bytes) -> None:
        """Queue an envelope that has its tag and length already; too much ends the stream."""
        self._queued.append(envelope)
        self._queued_bytes += len(envelope)
        if self._waiter is not None:
            self._waiter.set_result(None)
            self._waiter = None
        elif self._queued_bytes > QUEUE_BYTES_MAX:
            self.context.cancel()

    async def write(self) -> None:
        """Send what is queued, all of it in one frame, until cancelled."""
        loop = asyncio.get_running_loop()
        send = self.context.write
        while True:
            if not self._queued:
                self._waiter = loop.create_future()
                await self._waiter
            body = b"".join(self._queued)
            self._queued.clear()
            self._queued_bytes = 0
            self.number += 1
            await send(batch_frame(self.number, self.read_number, body))


class Relay:
    """Who is there, and who listens to what."""

    def __init__(self) -> None:
        self._routes: dict[str, list[Outgoing]] = {}

    async def exchange(self, _: Any, context: Any) -> None:
        """Serve one stream until it ends."""
        await context.send_initial_metadata(())
        read = context.read
        frame = frame_pb2.RequestFrame.FromString(await read())
        if frame.WhichOneof("content") != "hello":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first frame is no Hello")
        hello = exchange_service_pb2.Hello.FromString(frame.hello)
        outgoing = Outgoing(context)
        names = [hello.agent_id, *(f"topic://{topic}" for topic in hello.topics)]
        for name in names:
            self._routes.setdefault(name, []).append(outgoing)
        welcome = exchange_service_pb2.Welcome(agent_id=hello.agent_id)
        await context.write(
            frame_pb2.ResponseFrame(welcome=welcome.SerializeToString()).SerializeToString()
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(outgoing.write())
                while (received := await read()) is not grpc.aio.EOF:
                    self._relay(outgoing, received)
                writer.cancel()
        finally:
            for name in names:
                self._routes[name].remove(outgoing)

    def _relay(self, outgoing: Outgoing, received: bytes) -> None:
        frame = frame_pb2.RequestFrame.FromString(received)
        if frame.number:
            outgoing.read_number = frame.number
        read = envelope_pb2.Envelope.FromString
        routes = self._routes
        for envelope in frame.batch.envelopes:
            once = framed(envelope)
            for recipient in read(envelope).recipients:
                for stream in routes.get(recipient, ()):
                    stream.put(once)


async def start(port: int) -> tuple[grpc.aio.Server, int]:
    """Start a relay on a port of the loopback; returns it and its port (0 chose a free one)."""
    server = grpc.aio.server(options=OPTIONS)
    handler: Any = grpc.stream_stream_rpc_method_handler(Relay().exchange)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {"Exchange": handler}),)
    )
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server, bound


async def serve(port: int) -> None:
    """Relay until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    server, bound = await start(port)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    print(json.dumps({"event": "listening", "host": "127.0.0.1", "port": bound}), flush=True)
    await stopping.wait()
    await server.stop(grace=None)


def main() -> None:
    """Run the floor from the command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.floor", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free port")
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
