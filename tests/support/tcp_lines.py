"""Lines that carry TCP, and can be cut, cut one way, delayed and made lossy.

    with TcpLines() as lines:
        line = lines.to(port)
        line.hold()          # nothing comes through any more, and nobody is told
        line.heal()

Whoever connects to `line.port` is connected with `port`. Lines know bytes and nothing of what is
said in them, so they carry what gateways say to each other and to etcd alike. They live in a
thread of their own: a test that is busy does not slow them, and they outlive its loop.

What is held back is kept, and goes on when the line is healed, as a sender of TCP would send it
again. A lost packet is what TCP makes of it: it and all behind it come a retransmission later.
"""

from __future__ import annotations

import asyncio
import enum
import random
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Self

CHUNK_BYTES = 64 * 1024
PACKET_BYTES = 1_448
QUEUED_MAX = 64
RETRANSMISSION_SECONDS = 0.2
"""How long a sender waits at least before it sends a packet again, beyond the round trip."""
CLOSE_SECONDS_MAX = 2.0
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Way(enum.Enum):
    """Which way bytes go."""

    UP = "up"
    """From whoever connected."""
    DOWN = "down"


class _Direction:
    """What is under way in one direction of one connection."""

    def __init__(
        self, line: TcpLine, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._line = line
        self._way = way
        self._reader = reader
        self._writer = writer
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUED_MAX)

    async def read(self) -> None:
        loop, leaves_at = asyncio.get_running_loop(), 0.0
        chunk = b"?"
        while chunk:
            try:
                chunk = await self._reader.read(CHUNK_BYTES)
            except OSError:
                chunk = b""
            leaves_at = max(leaves_at, loop.time() + self._line.journey(len(chunk)))
            await self._queue.put((leaves_at, chunk))

    async def write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            leaves_at, chunk = await self._queue.get()
            if (left := leaves_at - loop.time()) > 0:
                await _passed(left)
            await self._line.passable(self._way)
            if not chunk:
                raise ConnectionAbortedError("one side has ended it")
            try:
                self._writer.write(chunk)
                await self._writer.drain()
            except OSError:
                await self._line.passable(*Way)  # the news of it takes the line too
                raise


class TcpLine:
    """One line: a port of this machine behind another one."""

    def __init__(self, lines: TcpLines, target_port: int, seed: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.delay = 0.0
        """Seconds that a byte takes, each way."""
        self.loss = 0.0
        """Share of the packets that are lost on their way."""
        self._lines = lines
        self._chance = random.Random(seed)
        self._is_refusing = False
        self._open = {way: asyncio.Event() for way in Way}
        self._writers: set[asyncio.StreamWriter] = set()
        for is_open in self._open.values():
            is_open.set()

    def __repr__(self) -> str:
        """Tell the state in words."""
        held = [way.value for way, is_open in self._open.items() if not is_open.is_set()]
        state = "refusing" if self._is_refusing else f"held {', '.join(held)}" if held else "open"
        return f"<TcpLine {self.port} to {self.target_port}: {state}>"

    @property
    def address(self) -> str:
        """Where to connect."""
        return f"127.0.0.1:{self.port}"

    # ------------------------------------------------------------------ commands

    def cut(self) -> None:
        """End every connection with a RST, and take no new one."""
        self._lines.do(self._cut)

    def hold(self, *ways: Way) -> None:
        """Let nothing through, one way or both, without a word to anybody.

        No new connection comes to be: that takes both ways.
        """

        def hold() -> None:
            for way in ways or Way:
                self._open[way].clear()

        self._lines.do(hold)

    def slow(self, delay: float, loss: float = 0.0) -> None:
        """Let every byte take so many seconds each way, and lose a share of the packets."""

        def slow() -> None:
            self.delay, self.loss = delay, loss

        self._lines.do(slow)

    def heal(self) -> None:
        """Let everything through again, as it comes."""

        def heal() -> None:
            self.delay = self.loss = 0.0
            self._is_refusing = False
            for is_open in self._open.values():
                is_open.set()

        self._lines.do(heal)

    # ------------------------------------------------------------------ what connections ask

    def journey(self, size: int) -> float:
        """Return how long so many bytes are on their way."""
        packets = -(-size // PACKET_BYTES)
        is_lost = self.loss and self._chance.random() > (1 - self.loss) ** packets
        return self.delay + (2 * self.delay + RETRANSMISSION_SECONDS if is_lost else 0.0)

    async def passable(self, *ways: Way) -> None:
        """Return when these ways are open."""
        while not all(self._open[way].is_set() for way in ways):
            for way in ways:
                await self._open[way].wait()

    # ------------------------------------------------------------------ inside, in the lines' loop

    async def listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def _cut(self) -> None:
        self._is_refusing = True
        for writer in list(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        self._writers.add(writer)
        try:
            await self.passable(*Way)
            if self._is_refusing:
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
            writers.append(far_writer)
            self._writers.add(far_writer)
            async with asyncio.TaskGroup() as tasks:
                for direction in (
                    _Direction(self, Way.UP, reader, far_writer),
                    _Direction(self, Way.DOWN, far_reader, writer),
                ):
                    tasks.create_task(direction.read())
                    tasks.create_task(direction.write())
        except* OSError:
            pass  # one side has gone, or was never there
        finally:
            for one in writers:
                _reset(one) if self._is_refusing else one.close()
                self._writers.discard(one)
                with suppress(OSError, TimeoutError):
                    async with asyncio.timeout(CLOSE_SECONDS_MAX):
                        await one.wait_closed()


class TcpLines:
    """All lines of a cluster; a context manager that ends them."""

    def __init__(self) -> None:
        """Have no line yet."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lines", daemon=True)
        self._servers: list[asyncio.Server] = []
        self._lines: deque[TcpLine] = deque()

    def __enter__(self) -> Self:
        """Be ready to open lines."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End every line."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def to(self, port: int) -> TcpLine:
        """Open a line to a port, on which somebody may listen later."""

        async def open_line() -> TcpLine:
            line = TcpLine(self, port, len(self._lines))
            self._servers.append(await line.listen())
            self._lines.append(line)
            return line

        return asyncio.run_coroutine_threadsafe(open_line(), self._loop).result()

    def do(self, what: Callable[[], None]) -> None:
        """Do something in the loop of the lines, and return when it is done."""
        done: Future[None] = Future()

        def act() -> None:
            what()
            done.set_result(None)

        self._loop.call_soon_threadsafe(act)
        done.result()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        own = asyncio.current_task()
        serving = [task for task in asyncio.all_tasks() if task is not own]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _passed(seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.Event().wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    there = writer.get_extra_info("socket")
    if there is not None and not writer.transport.is_closing():
        with suppress(OSError):
            there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
