"""Who is registered under one's own name: an earlier life, or somebody who lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from federation.membership import MemberInfo
from federation.predecessors import is_gone


def at(address: str) -> MemberInfo:
    return MemberInfo("eu", "europe", address, "127.0.0.1:7600")


OWN = at("127.0.0.1:1")


@asynccontextmanager
async def listening() -> AsyncIterator[str]:
    """Listen on a port, and return its address."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"


async def test_an_earlier_life_at_the_own_address_is_gone() -> None:
    assert await is_gone(at("eu.invalid:7602"), at("eu.invalid:7602"))


async def test_an_earlier_life_whose_port_is_closed_is_gone(tmp_path: Path) -> None:
    async with listening() as address:
        pass
    assert await is_gone(at(address), OWN)
    assert await is_gone(at(f"unix:{tmp_path / 'peer'},{address}"), OWN)


async def test_who_listens_where_it_is_registered_lives(tmp_path: Path) -> None:
    async with listening() as address:
        assert not await is_gone(at(address), OWN)
        assert not await is_gone(at(f"unix:{tmp_path / 'peer'},{address}"), OWN)


@pytest.mark.parametrize("address", ["", "nowhere.invalid:7602", "no address"])
async def test_where_nobody_can_tell_it_may_live(address: str) -> None:
    assert not await is_gone(at(address), OWN)
    assert not await is_gone(None, OWN), "its registration cannot be read"
