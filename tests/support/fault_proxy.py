"""A TCP proxy of our own that disturbs HTTP/2 connections frame by frame.

    async with FaultProxy(gateway.port, seed=7) as proxy:
        agent = llmx.Agent("agent://alice", proxy.address)
        proxy.stall(2.0, Way.DOWN)
        proxy.cut(within_frame=True)

An agent connects to `proxy.address`, the proxy to the gateway. What happens to the frames is
either commanded (`cut`, `stall`, `duplicate`, `refuse`, and `heal` for the end of all that) or
drawn for each frame from `weather` and the seed. Each connection has two lines, one each way;
a line is a reader, a bounded queue of frames that have a time to leave, and a writer. A line
never changes the order of its frames. What is not HTTP/2 passes as it comes and is only cut,
held up and delayed.
"""

from __future__ import annotations

import asyncio
import enum
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Self

from tests.support.http2_frames import (
    HEADER_BYTES,
    PREFACE,
    Frame,
    MessageBounds,
    Windows,
    payload_bytes,
)
from tests.support.weather import CALM, Cut, Fate, Forecast, Weather

CONNECTIONS_MAX = 256
QUEUED_FRAMES_MAX = 64
CHUNK_BYTES = 16 * 1024
DUPLICATES_PER_CONNECTION_MAX = 10_000
CLOSE_SECONDS_MAX = 2.0
UNTOUCHED = Fate()
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Way(enum.Enum):
    """Which way frames go."""

    UP = "up"
    """From the agent to the gateway."""
    DOWN = "down"


class _Over(Exception):
    """A connection is over; what is still running for it ends."""


class _Line:
    """One direction of one connection."""

    def __init__(
        self,
        proxy: FaultProxy,
        way: Way,
        forecast: Forecast,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Bring what `reader` gives to `writer`."""
        self.way = way
        self.windows = Windows()
        self.bounds = MessageBounds()
        self.held_until = 0.0
        """Until then nothing is written, though what comes is still taken, up to a bound."""
        self.shut_until = 0.0
        """Until then nothing is read either."""
        self.cut_within_next: Cut | None = None
        self.doubled = 0
        self.news = asyncio.Event()
        self._proxy = proxy
        self._forecast = forecast
        self._reader = reader
        self._writer = writer
        self._queue: asyncio.Queue[tuple[float, bytes | Cut]] = asyncio.Queue(QUEUED_FRAMES_MAX)
        self._loop = asyncio.get_running_loop()
        self._began_at = self._loop.time()
        self._last_leaves_at = 0.0

    async def read(self, other: _Line, is_http2: asyncio.Future[bool]) -> None:
        """Read frames and queue what becomes of them, until the connection is over."""
        if self.way is Way.UP:
            start = await self._reader.read(len(PREFACE))
            with suppress(asyncio.IncompleteReadError):
                if start and PREFACE.startswith(start):
                    start += await self._reader.readexactly(len(PREFACE) - len(start))
            is_http2.set_result(start == PREFACE)
            await self.put(start)
        async for frame in self._frames() if await is_http2 else self._chunks():
            await self._pass_on(frame, other, self._forecast.fate(self._proxy.weather))
        await self._queue.put((self._last_leaves_at, Cut.FINISH))

    async def write(self) -> None:
        """Write what is queued when its time has come, until the connection is over."""
        while True:
            leaves_at, piece = await self._queue.get()
            await self._may_write(leaves_at)
            if isinstance(piece, Cut):
                self._proxy.note(f"ended by {piece.value}")
                raise _Over(piece)
            for start in range(0, len(piece), CHUNK_BYTES):
                chunk = piece[start : start + CHUNK_BYTES]
                rate = self._proxy.weather.bytes_per_second
                if rate:
                    await self._may_write(self._loop.time() + len(chunk) / rate)
                self._writer.write(chunk)
                await self._writer.drain()

    async def _frames(self) -> AsyncIterator[Frame]:
        with suppress(asyncio.IncompleteReadError):
            while True:
                await self._may_read()
                header = await self._reader.readexactly(HEADER_BYTES)
                yield Frame(header + await self._reader.readexactly(payload_bytes(header)))

    async def _chunks(self) -> AsyncIterator[bytes]:
        while True:
            await self._may_read()
            chunk = await self._reader.read(CHUNK_BYTES)
            if not chunk:
                return
            yield chunk

    async def _pass_on(self, frame: Frame | bytes, other: _Line, fate: Fate) -> None:
        if isinstance(frame, bytes):
            await self.put(frame, fate)
            return
        self._proxy.note("frames")
        if frame.is_data and self.way is Way.DOWN:
            self._proxy.served_since = max(self._proxy.served_since, self._began_at)
        shown = other.windows.heard(frame)
        for told in self.windows.sent(frame):
            await other.put(told.raw)
        is_whole = self.bounds.are_whole_in(frame)
        if shown is None:
            return
        cut, kept = fate.cut, fate.kept
        if self.cut_within_next is not None and frame.is_data:
            cut, kept, self.cut_within_next = self.cut_within_next, 0.5, None
        if cut is not None:
            await self.put(shown.raw[: int(len(shown.raw) * kept)], fate)
            await self._queue.put((self._last_leaves_at, cut))
            return
        await self.put(shown.raw, fate)
        if is_whole and self._may_double(frame, fate):
            self.doubled += 1
            self._proxy.note(f"duplicated {self.way.value}")
            self.windows.sent_again(frame)
            await self.put(frame.raw)

    def _may_double(self, frame: Frame, fate: Fate) -> bool:
        if self.doubled >= DUPLICATES_PER_CONNECTION_MAX:
            return False
        if not self.windows.may_double(frame):
            return False
        return fate.is_doubled or self._proxy.takes_a_duplicate(self.way)

    async def put(self, piece: bytes, fate: Fate = UNTOUCHED) -> None:
        """Queue bytes; they leave no earlier than what was queued before them."""
        if piece:
            leaves_at = self._loop.time() + fate.delay + fate.stall
            self._last_leaves_at = max(self._last_leaves_at, leaves_at)
            await self._queue.put((self._last_leaves_at, piece))

    async def _may_write(self, at: float) -> None:
        """Return at a moment, or later when the line is held."""
        while (left := max(at, self.held_until) - self._loop.time()) > 0:
            await self._news_within(left)

    async def _may_read(self) -> None:
        """Return when the line is not shut."""
        while (left := self.shut_until - self._loop.time()) > 0:
            await self._news_within(left)

    async def _news_within(self, seconds: float) -> None:
        self.news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.news.wait()


class FaultProxy:
    """Stands between agents and one port."""

    def __init__(self, target_port: int, *, weather: Weather = CALM, seed: int | str = 0) -> None:
        """Bring connections to `target_port` of this machine, in this weather."""
        self.target_port = target_port
        self.weather = weather
        self.port = 0
        self.served_since = 0.0
        """When the newest connection began on which the gateway has said something; 0 is never."""
        self.counts: Counter[str] = Counter()
        """What has been done so far: frames, connections, cuts, duplicates."""
        self._seed = seed
        self._is_refusing = False
        self._duplicates_wanted = {Way.UP: 0, Way.DOWN: 0}
        self._links: dict[int, tuple[_Line, _Line, tuple[asyncio.StreamWriter, ...]]] = {}
        self._opened = 0
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None

    def __repr__(self) -> str:
        """Tell the state in words."""
        state = "refusing" if self._is_refusing else "open"
        return f"<FaultProxy to {self.target_port}: {state}, {len(self._links)} connections>"

    @property
    def address(self) -> str:
        """Where agents connect."""
        return f"127.0.0.1:{self.port}"

    def __len__(self) -> int:
        """Return how many connections there are."""
        return len(self._links)

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        """End every connection and stop listening."""
        assert self._server is not None, "it was entered"
        self._server.close()
        self.cut()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await self._empty.wait()
        await self._server.wait_closed()

    # ------------------------------------------------------------------ commands

    def cut(self, how: Cut = Cut.RESET, *, way: Way = Way.DOWN, within_frame: bool = False) -> None:
        """End every connection: now, or within the next DATA frame that goes `way`."""
        for up, down, writers in list(self._links.values()):
            if within_frame:
                (up if way is Way.UP else down).cut_within_next = how
            else:
                self.note(f"cut by {how.value}")
                _end(writers, how)

    def stall(self, seconds: float, way: Way | None = None, *, silently: bool = False) -> None:
        """Let nothing through for a while, one way or both.

        Silently means that what comes is still taken, up to a bound; otherwise the sender
        feels the pressure at once.
        """
        until = asyncio.get_running_loop().time() + seconds
        for line in self._lines(way):
            line.held_until = max(line.held_until, until)
            if not silently:
                line.shut_until = max(line.shut_until, until)
            line.news.set()
        self.note("stalled")

    def duplicate(self, way: Way, count: int = 1) -> None:
        """Send the next frames that hold whole messages twice."""
        self._duplicates_wanted[way] += count

    def refuse(self) -> None:
        """End every connection and take no new one."""
        self._is_refusing = True
        self.cut()

    def heal(self) -> None:
        """Let everything through from now on, as it comes."""
        self.weather = CALM
        self._is_refusing = False
        self._duplicates_wanted = {Way.UP: 0, Way.DOWN: 0}
        for line in self._lines(None):
            line.held_until = line.shut_until = 0.0
            line.cut_within_next = None
            line.news.set()

    # ------------------------------------------------------------------ what lines tell and ask

    def note(self, what: str) -> None:
        """Count something that was done."""
        self.counts[what] += 1

    def takes_a_duplicate(self, way: Way) -> bool:
        """Tell whether a command wants the next duplicate, and count it as done."""
        wanted = self._duplicates_wanted[way]
        self._duplicates_wanted[way] = max(wanted - 1, 0)
        return wanted > 0

    def _lines(self, way: Way | None) -> list[_Line]:
        both = [(up, down) for up, down, _ in self._links.values()]
        return [line for pair in both for line in pair if way in (None, line.way)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        self._opened += 1
        number = self._opened
        try:
            if not self._takes_more():
                self.note("refused")
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target_port)
            writers.append(far_writer)
            self.note("connections")
            up = _Line(self, Way.UP, self._forecast(number, Way.UP), reader, far_writer)
            down = _Line(self, Way.DOWN, self._forecast(number, Way.DOWN), far_reader, writer)
            self._links[number] = (up, down, tuple(writers))
            self._empty.clear()
            if not self._takes_more():  # it was told to refuse meanwhile
                return
            await _carry(up, down)
        except* _Over as over:
            _end(writers, _how(over))
        except* OSError:
            _end(writers, Cut.RESET)  # the other side went away, or was never there
        finally:
            _end(writers, Cut.RESET if self._is_refusing else Cut.FINISH)
            await _gone(writers)
            self._links.pop(number, None)
            if not self._links:
                self._empty.set()

    def _takes_more(self) -> bool:
        return not self._is_refusing and len(self._links) < CONNECTIONS_MAX

    def _forecast(self, number: int, way: Way) -> Forecast:
        return Forecast(f"{self._seed}/{number}/{way.value}")


async def _carry(up: _Line, down: _Line) -> None:
    """Carry frames both ways until one of them ends the connection."""
    is_http2 = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(up.read(down, is_http2))
        tasks.create_task(down.read(up, is_http2))
        tasks.create_task(up.write())
        tasks.create_task(down.write())


def _how(over: BaseExceptionGroup[_Over]) -> Cut:
    """Return how a connection was ended; a reset leaves nothing to finish."""
    found: list[Cut] = []

    def look(error: BaseException) -> bool:
        found.extend(one for one in error.args if isinstance(one, Cut))
        return False

    over.subgroup(look)
    return Cut.RESET if Cut.RESET in found else Cut.FINISH


def _end(writers: tuple[asyncio.StreamWriter, ...] | list[asyncio.StreamWriter], how: Cut) -> None:
    """End both sides of a connection; one that has ended stays as it ended."""
    for writer in writers:
        if how is Cut.FINISH:
            writer.close()
            continue
        there = writer.get_extra_info("socket")
        if there is not None and not writer.transport.is_closing():
            with suppress(OSError):
                there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        writer.transport.abort()


async def _gone(writers: list[asyncio.StreamWriter]) -> None:
    """Wait until both sides have ended; a peer that takes nothing any more is not waited for."""
    for writer in writers:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await writer.wait_closed()
        writer.transport.abort()
