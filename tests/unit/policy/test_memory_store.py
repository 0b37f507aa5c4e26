"""The store in memory keeps the promises of every store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from policy.judging import Writer
from policy.memory_store import Memory, MemoryStore
from policy.store import Commit, Mint, Store, StoreUnavailable
from tests.support.store_contract import StoreContract
from tests.support.store_scenes import ALICE, CHUNK, SECONDS_MAX, Scene, Stores


class TestMemoryStore(StoreContract):
    """The contract, in memory."""

    def play(self, scene: Scene) -> None:
        """Run a scene on a memory of its own."""
        memory = Memory()

        @asynccontextmanager
        async def opened(gateway_id: str) -> AsyncIterator[Store]:
            yield MemoryStore(Writer(gateway_id, gateway_id, CHUNK), memory)

        async def fence(gateway_id: str) -> None:
            memory.epochs[gateway_id] = memory.epochs.get(gateway_id, 0) + 1

        async def run() -> None:
            async with asyncio.timeout(SECONDS_MAX), Stores(opened, fence) as stores:
                await scene(stores)

        asyncio.run(run())


async def test_a_memory_that_is_away_takes_and_tells_nothing() -> None:
    store = MemoryStore(Writer("g1"))
    store.memory.is_away = True
    with pytest.raises(StoreUnavailable):
        await store.commit(Commit("m", 0.0, (Mint(ALICE, 1),)))
    store.memory.is_away = False
    assert not await store.entries()
    assert repr(store.memory) == "<Memory: 0 facts, revision 0>"
