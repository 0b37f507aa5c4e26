"""A crowd follows orders and says what became of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.tokens import SECRET_FILE, development_secret
from loadtest import floor
from loadtest.crowd import Crowd

COUNT = 5


def _facts(folder: Path, port: int, count: int = COUNT) -> dict[str, object]:
    development_secret(folder)
    return {
        "host": "127.0.0.1",
        "port": port,
        "secret_file": str(folder / SECRET_FILE),
        "count": count,
        "topic": "crowd",
        "heartbeat": 25.0,
    }


@contextlib.asynccontextmanager
async def _crowd(folder: Path) -> AsyncIterator[Crowd]:
    """Run a crowd before the relay that checks nothing."""
    server, port = await floor.start(0)
    orders = asyncio.StreamReader()
    crowd = Crowd(_facts(folder, port))
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(crowd.run(orders))
            await asyncio.sleep(0)
            yield crowd
            orders.feed_eof()
    finally:
        await server.stop(grace=None)


async def test_everybody_comes_and_comes_back_when_cut_off(tmp_path: Path) -> None:
    async with _crowd(tmp_path) as crowd:
        connected = await crowd.follow("connect")
        assert (connected["welcomed"], connected["attempts"]) == (COUNT, COUNT)
        await crowd.follow("cut")
        steady = await crowd.follow("steady")
        assert (steady["welcomed"], steady["attempts"]) == (COUNT, COUNT)
        assert steady["endings"] == {"welcomed: cut": COUNT}


async def test_who_leaves_stays_away_until_connected_anew(tmp_path: Path) -> None:
    async with _crowd(tmp_path) as crowd:
        await crowd.follow("connect")
        await crowd.follow("leave")
        assert not any(agent.is_welcomed for agent in crowd.agents)
        assert (await crowd.follow("connect"))["welcomed"] == COUNT
        assert await crowd.follow("heard") == {"messages": 0, "copies": 0}


async def test_an_unknown_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'dance'"):
        await Crowd(_facts(tmp_path, 1)).follow("dance")


def test_a_crowd_has_a_bound(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 to 20000"):
        Crowd(_facts(tmp_path, 1, count=20_001))
