"""Lines that carry TCP and can be disturbed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from tests.support.tcp_lines import TcpLine, TcpLines, Way

pytestmark = pytest.mark.slow

HELD_SECONDS = 0.1


@pytest.fixture
def lines() -> Iterator[TcpLines]:
    with TcpLines() as lines:
        yield lines


class Talk:
    """A connection through a line to somebody who says back what it hears."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def echoed(self, word: bytes) -> bytes:
        self._writer.write(word)
        return await self._reader.readexactly(len(word))

    async def is_held(self, word: bytes) -> bool:
        """Say a word; tell whether nothing comes back for a while."""
        try:
            async with asyncio.timeout(HELD_SECONDS):
                return not await self.echoed(word)
        except TimeoutError:
            return True

    async def heard(self, size: int) -> bytes:
        return await self._reader.readexactly(size)

    async def ended(self) -> bool:
        try:
            return not await self._reader.read()
        except ConnectionResetError:
            return True


@asynccontextmanager
async def echoing(lines: TcpLines) -> AsyncIterator[tuple[TcpLine, asyncio.Server]]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while word := await reader.read(1_000):
                writer.write(word)
        except ConnectionResetError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        yield lines.to(server.sockets[0].getsockname()[1]), server


@asynccontextmanager
async def talking(line: TcpLine) -> AsyncIterator[Talk]:
    reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
    try:
        yield Talk(reader, writer)
    finally:
        writer.transport.abort()


async def test_a_line_carries_both_ways(lines: TcpLines) -> None:
    async with echoing(lines) as (line, _), talking(line) as talk:
        assert await talk.echoed(b"hello") == b"hello"
        assert "open" in repr(line)


@pytest.mark.parametrize("ways", [(), (Way.UP,), (Way.DOWN,)])
async def test_what_is_held_goes_on_when_the_line_is_healed(
    lines: TcpLines, ways: tuple[Way, ...]
) -> None:
    async with echoing(lines) as (line, _), talking(line) as talk:
        await talk.echoed(b"hello")
        line.hold(*ways)
        assert await talk.is_held(b"held")
        line.heal()
        assert await talk.heard(4) == b"held"
        assert await talk.echoed(b"again") == b"again"


@pytest.mark.parametrize("way", list(Way))
async def test_no_connection_comes_to_be_while_either_way_is_held(
    lines: TcpLines, way: Way
) -> None:
    async with echoing(lines) as (line, _):
        line.hold(way)
        async with talking(line) as talk:
            assert await talk.is_held(b"hello")
            line.heal()
            assert await talk.heard(5) == b"hello"


async def test_a_line_that_is_cut_ends_connections_and_takes_none(lines: TcpLines) -> None:
    async with echoing(lines) as (line, _):
        async with talking(line) as talk:
            await talk.echoed(b"hello")
            line.cut()
            assert await talk.ended()
        with suppress(ConnectionResetError):  # as early as that
            async with talking(line) as talk:
                assert await talk.ended()
        line.heal()
        async with talking(line) as talk:
            assert await talk.echoed(b"hello") == b"hello"


async def test_a_slow_line_delays_each_way(lines: TcpLines) -> None:
    async with echoing(lines) as (line, _), talking(line) as talk:
        await talk.echoed(b"hello")
        line.slow(0.05)
        began = asyncio.get_running_loop().time()
        await talk.echoed(b"hello")
        assert asyncio.get_running_loop().time() - began >= 0.1


def test_a_lost_packet_comes_a_retransmission_later(lines: TcpLines) -> None:
    line = lines.to(1)
    assert line.journey(10_000) == 0.0
    line.slow(0.1, loss=1.0)
    assert line.journey(100) == pytest.approx(0.5)
    line.slow(0.1, loss=0.01)
    taken = [line.journey(100) for _ in range(1_000)]
    assert {round(one, 3) for one in taken} == {0.1, 0.5}
    assert 1 <= sum(one > 0.2 for one in taken) <= 40
