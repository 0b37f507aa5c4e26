"""The proxy between grpc and an echo: what it lets through, and what it does to it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import grpc
import pytest

from tests.support.echo import Echo, echoing
from tests.support.fault_proxy import FaultProxy, Way
from tests.support.weather import Cut, Weather

WORDS = [str(number).encode() for number in range(40)]


def clock() -> float:
    return asyncio.get_running_loop().time()


async def repeated(echo: Echo, words: list[bytes]) -> list[bytes]:
    """Say words and return what came back, once each of them has."""

    async def say() -> None:
        for word in words:
            await echo.say(word)

    heard: list[bytes] = []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(say())
        while len(set(heard)) < len(words):
            word = await echo.hear()
            assert word is not None, await echo.ended()
            heard.append(word)
    return heard


async def test_in_calm_weather_everything_comes_as_it_was_sent() -> None:
    async with echoing() as echo:
        long = [bytes((number,)) * 300_000 for number in range(5)]
        assert await repeated(echo, [*WORDS, *long]) == [*WORDS, *long]


@pytest.mark.parametrize("how", list(Cut))
async def test_a_cut_ends_the_stream_and_the_next_one_works(how: Cut) -> None:
    async with echoing() as echo:
        echo.proxy.cut(how)
        assert await echo.hear() is None
        assert await echo.ended() is grpc.StatusCode.UNAVAILABLE
        await echo.open()
        assert echo.proxy.counts[f"cut by {how.value}"] == 1


@pytest.mark.parametrize("way", list(Way))
async def test_a_cut_within_a_frame_lets_half_of_it_through(way: Way) -> None:
    async with echoing() as echo:
        echo.proxy.cut(Cut.FINISH, way=way, within_frame=True)
        await echo.say(b"never heard")
        assert await echo.hear() is None
        assert await echo.ended() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.slow
@pytest.mark.parametrize("silently", [True, False])
@pytest.mark.parametrize("way", list(Way))
async def test_what_is_stalled_comes_when_the_stall_is_over(way: Way, silently: bool) -> None:
    async with echoing() as echo:
        began = clock()
        echo.proxy.stall(0.3, way, silently=silently)
        assert await repeated(echo, WORDS) == WORDS
        assert clock() - began >= 0.3


async def test_healing_ends_a_stall() -> None:
    async with echoing() as echo:
        began = clock()
        echo.proxy.stall(60.0)
        await echo.say(b"at last")
        echo.proxy.heal()
        assert await echo.hear() == b"at last"
        assert clock() - began < 10


@pytest.mark.slow
@pytest.mark.parametrize("silently", [True, False])
async def test_a_stalled_line_takes_no_more_than_its_bounds(silently: bool) -> None:
    """Whoever goes on sending is stopped by flow control, not by the memory of the proxy."""
    async with echoing() as echo:
        echo.proxy.stall(60.0, Way.UP, silently=silently)
        sent = 0

        async def send() -> None:
            nonlocal sent
            for _ in range(200):
                await echo.say(bytes(100_000))
                sent += 1

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send())
            with suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await asyncio.Event().wait()
            assert sent < 100
            echo.proxy.heal()
            for _ in range(200):
                assert await echo.hear() == bytes(100_000)


@pytest.mark.parametrize("way", list(Way))
async def test_a_duplicate_is_the_same_message_twice(way: Way) -> None:
    async with echoing() as echo:
        echo.proxy.duplicate(way)
        await echo.say(b"one")
        assert await echo.hear() == b"one"
        assert await echo.hear() == b"one"
        await echo.say(b"two")
        assert await echo.hear() == b"two"
        assert echo.proxy.counts[f"duplicated {way.value}"] == 1


async def test_what_opens_a_stream_is_not_duplicated() -> None:
    async with echoing(wait=False) as echo:
        echo.proxy.duplicate(Way.UP, 5)
        await echo.open()
        assert echo.proxy.counts["duplicated up"] == 0


@pytest.mark.slow
async def test_many_duplicates_never_break_flow_control() -> None:
    """More than all windows together goes through, a third of it twice, each way."""
    async with echoing(Weather(duplicate_share=0.33), seed=3) as echo:
        words = [number.to_bytes(2, "big") * 3_000 for number in range(1, 2_000)]
        heard = await repeated(echo, words)
        assert list(dict.fromkeys(heard)) == words
        counts = echo.proxy.counts
        assert counts["duplicated up"] > 100
        assert counts["duplicated down"] > 100
        assert len(heard) > len(words) + 300


@pytest.mark.slow
async def test_delay_and_jitter_keep_the_order() -> None:
    async with echoing(Weather(delay=0.02, jitter=0.05), seed=1) as echo:
        began = clock()
        assert await repeated(echo, WORDS) == WORDS
        assert clock() - began >= 0.04


@pytest.mark.slow
async def test_a_throttle_lets_bytes_through_at_its_rate() -> None:
    async with echoing() as echo:
        echo.proxy.weather = Weather(bytes_per_second=100_000)
        began = clock()
        await echo.say(bytes(20_000))
        assert await echo.hear() == bytes(20_000)
        assert clock() - began >= 0.35


async def test_foul_weather_cuts_by_itself() -> None:
    async with echoing(wait=False) as echo:
        echo.proxy.weather = Weather(cut_share=1.0)
        with pytest.raises(grpc.aio.AioRpcError):
            await echo.open()
        echo.proxy.heal()
        await echo.open()


async def test_a_proxy_that_refuses_takes_nobody_until_it_is_healed() -> None:
    async with echoing() as echo:
        echo.proxy.refuse()
        assert await echo.hear() is None
        with pytest.raises(grpc.aio.AioRpcError):
            await echo.open()
        echo.proxy.heal()
        await echo.open()


async def test_when_nobody_answers_behind_it_the_connection_ends() -> None:
    async with FaultProxy(1) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


async def test_what_is_not_http2_passes_too() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    async with (
        await asyncio.start_server(shout, "127.0.0.1", 0) as server,
        FaultProxy(server.sockets[0].getsockname()[1]) as proxy,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"a plain line of text, longer than any preface\n")
        assert await reader.read() == b"A PLAIN LINE OF TEXT, LONGER THAN ANY PREFACE\n"
        writer.close()
        await writer.wait_closed()
        assert "connections" in repr(proxy)


async def test_a_proxy_that_is_closed_leaves_no_connection() -> None:
    async with echoing() as echo:
        proxy = echo.proxy
        assert len(proxy) == 1
    assert len(proxy) == 0
    with pytest.raises(OSError, match=str(proxy.port)):
        await asyncio.open_connection("127.0.0.1", proxy.port)
