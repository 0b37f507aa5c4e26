"""Measure what a message costs on the link between two gateways.

    python -m loadtest.links
    python -m loadtest.links --messages 50000 --bytes 1000 --unix

The two are processes of their own with nothing but peering in them; the CPU seconds of each are
counted. In the flood as much is queued as the link takes, so frames are full; at a pace, a few
messages are sent each millisecond, and a frame carries what came in between; one at a time, the
next message is sent when the answer to the last one is there.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog
import uvloop

from federation.peer_states import PeerAddress, PeeringLimits
from federation.peering import OwnGateway, Peering

SERVICE = "llmx.v1.PeeringService"
QUESTION = b"?"
"""A message that is answered with how many came and what they cost."""
ECHO = b"!"
"""Begins a message that is sent back."""
HERE = OwnGateway("a", 1, "bench", "here")
THERE = OwnGateway("b", 1, "bench", "there")
PACE_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Cost:
    """What one way of sending costs."""

    what: str
    messages: int
    frames: int
    seconds: float
    sender_cpu: float
    receiver_cpu: float

    def row(self) -> str:
        micros = 1e6 / self.messages
        return (
            f"| {self.what} | {self.messages / self.seconds:,.0f} | "
            f"{self.messages / self.frames:,.1f} | {self.sender_cpu * micros:.2f} | "
            f"{self.receiver_cpu * micros:.2f} |"
        )


HEAD = """\
| | messages/s | messages a frame | CPU of the sender, µs a message | of the receiver |
|---|---:|---:|---:|---:|"""


class Bench:
    """One of the two."""

    def __init__(self, own: OwnGateway) -> None:
        self.count = self.frames = 0
        self.answer: asyncio.Future[bytes] | None = None
        self.begun = asyncio.Event()
        self.peering = Peering(
            own,
            PeeringLimits(),
            time.monotonic,
            hear=self._hear,
            begun=lambda _: self.begun.set(),
            ended=lambda _, __: None,
            sees_discovery=lambda: True,
        )

    def _hear(self, gateway_id: str, messages: Sequence[bytes]) -> None:
        self.count += len(messages)
        self.frames += 1
        last = messages[-1]
        if last == QUESTION:
            self.peering.send(
                gateway_id, b"%d %d %.6f" % (self.count, self.frames, time.process_time())
            )
        elif last.startswith(ECHO):
            self.peering.send(gateway_id, b"echo")
        elif self.answer is not None and not self.answer.done():
            self.answer.set_result(last)

    async def ask(self, message: bytes) -> bytes:
        """Send a message and return the answer to it."""
        self.answer = asyncio.get_running_loop().create_future()
        await self.send(message)
        return await self.answer

    async def send(self, message: bytes) -> None:
        """Send a message as soon as there is room for it."""
        while not self.peering.send(THERE.gateway_id, message):  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(PACE_SECONDS)

    async def receiver(self) -> tuple[int, int, float]:
        """Return how many messages and frames the other one had, and its CPU seconds."""
        count, frames, cpu = (await self.ask(QUESTION)).split()
        return int(count), int(frames), float(cpu)


async def flood(bench: Bench, messages: int, size: int) -> Cost:
    """Send as fast as the link takes it."""
    message = b"x" * size

    async def send() -> None:
        for _ in range(messages):
            await bench.send(message)

    return await _cost("flood", bench, send, messages)


async def paced(bench: Bench, messages: int, size: int, each: int) -> Cost:
    """Send some messages each millisecond."""
    message = b"x" * size

    async def send() -> None:
        for _ in range(messages // each):
            for _ in range(each):
                bench.peering.send(THERE.gateway_id, message)
            await asyncio.sleep(PACE_SECONDS)

    return await _cost(f"{each} a millisecond, at most", bench, send, messages // each * each)


async def one_at_a_time(bench: Bench, messages: int, size: int) -> Cost:
    """Wait for the answer to each message."""
    message = ECHO + b"x" * (size - 1)

    async def send() -> None:
        for _ in range(messages):
            await bench.ask(message)

    return await _cost("there and back, one at a time", bench, send, messages)


async def _cost(what: str, bench: Bench, send: object, messages: int) -> Cost:
    assert callable(send), "it sends"
    count_before, frames_before, cpu_before = await bench.receiver()
    own_before, began = time.process_time(), time.perf_counter()
    await send()
    count, frames, cpu = await bench.receiver()
    seconds, own = time.perf_counter() - began, time.process_time() - own_before
    assert count - count_before == messages + 1, "every message came once"
    return Cost(what, messages, frames - frames_before, seconds, own, cpu - cpu_before)


@asynccontextmanager
async def living(bench: Bench, address: str, other: PeerAddress | None) -> AsyncIterator[int]:
    """Let one of them live; yields its port. Without `other`, any "a" may dial it."""
    server = grpc.aio.server(options=(("grpc.max_receive_message_length", -1),))
    handler = grpc.method_handlers_generic_handler(SERVICE, bench.peering.handlers())
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port(address)
    await server.start()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(bench.peering.run())
        if other is None:
            bench.peering.set_members({HERE.gateway_id: PeerAddress("", HERE.epoch, "here")})
        else:
            bench.peering.set_members({THERE.gateway_id: other})
        try:
            yield port
        finally:
            running.cancel()
            await server.stop(None)


async def serve(address: str) -> None:
    """Be the other one until standard input ends."""
    async with living(Bench(THERE), address, None) as port:
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def measure(messages: int, size: int, address: str) -> list[Cost]:
    """Return what messages cost to the one that serves at `address`."""
    bench = Bench(HERE)
    async with living(bench, "127.0.0.1:0", PeerAddress(address, THERE.epoch, "there")):
        await flood(bench, messages // 10, size)  # until all is warm
        return [
            await flood(bench, messages, size),
            await paced(bench, messages // 10, size, 10),
            await paced(bench, messages // 100, size, 1),
            await one_at_a_time(bench, messages // 50, size),
        ]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--bytes", type=int, default=400, help="of one message")
    parser.add_argument("--unix", action="store_true", help="over a Unix socket")
    parser.add_argument("--serve", metavar="ADDRESS", help=argparse.SUPPRESS)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    if options.serve:
        uvloop.run(serve(options.serve))
        return
    with tempfile.TemporaryDirectory() as folder:
        address = f"unix:{Path(folder, 'b.sock')}" if options.unix else "127.0.0.1:0"
        command = [sys.executable, "-m", "loadtest.links", "--serve", address]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdin is not None and child.stdout is not None
            try:
                port = int(child.stdout.readline())
                where = address if options.unix else f"127.0.0.1:{port}"
                print(HEAD)
                for cost in uvloop.run(measure(options.messages, options.bytes, where)):
                    print(cost.row())
            finally:
                child.stdin.close()


if __name__ == "__main__":
    main()
