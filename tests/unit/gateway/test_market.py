"""The ledger of a gateway, from its settings to its work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.known_resources import KnownResources
from gateway.market import LateStore, Market
from gateway.settings import MarketSettings, SettingsError
from policy.judging import Writer
from policy.memory_store import MemoryStore
from policy.store import Commit, Committed, Mint, SetResource, StoreUnavailable
from tests.support.gateway_parts import Parts

CATALOGUE = '[[accounts]]\nagent = "agent://alice"\ncredits = 5.0\n'


@asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[tuple[Market, Parts]]:
    parts = Parts()
    resources = settings.pop("resources", None)
    market = Market(
        MarketSettings(**settings),
        "gw",
        parts.members,
        parts.negotiations,
        lambda: parts.now,
        resources,
    )
    async with asyncio.timeout(20), market.running():
        yield market, parts


async def equipped(market: Market) -> int:
    """Return what alice has, once the catalogue is written."""
    while True:
        balance = await market.store.balance("default|agent://alice")
        if balance.available:
            return balance.available
        await asyncio.sleep(0)


async def test_a_ledger_in_a_file_is_there_again_after_a_restart(tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue.toml"
    catalogue.write_text(CATALOGUE)
    settings = {"store": "file", "file": tmp_path / "ledger.db", "catalogue": catalogue}
    for _ in range(2):
        async with running(**settings) as (market, _):
            assert await equipped(market) == 5_000_000
            assert len(await market.store.entries()) >= 1


async def test_a_ledger_in_memory_ends_with_its_gateway(tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue.toml"
    catalogue.write_text(CATALOGUE)
    async with running(store="memory", catalogue=catalogue) as (market, _):
        assert await equipped(market) == 5_000_000
    async with running(store="memory") as (market, _):
        assert (await market.store.balance("default|agent://alice")).available == 0


async def test_a_gateway_with_a_ledger_of_its_own_knows_its_resources(tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue.toml"
    catalogue.write_text(CATALOGUE + '[[resources]]\nname = "gpu"\nunits = 8\n')
    known = KnownResources()
    async with running(store="memory", catalogue=catalogue, resources=known) as (market, _):
        while known.most_units("default", "gpu") is None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
        assert known.most_units("default", "gpu") == 8
        commit = Commit("later", 1.0, (SetResource("default|disk", 2),))
        assert isinstance(await market.store.commit(commit), Committed)
        assert known.most_units("default", "disk") == 2


async def test_a_file_that_cannot_be_used_is_named_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "other.db").write_bytes(b"something else entirely, and long enough" * 100)
    with pytest.raises(SettingsError, match=r"market\.file"):
        async with running(store="file", file=tmp_path / "other.db"):
            raise AssertionError("it is no ledger")


async def test_a_store_that_is_not_connected_yet_is_not_available() -> None:
    late = LateStore()
    commit = Commit("a", 1.0, (Mint("alice", 5),))
    for asked in (
        late.commit(commit),
        late.decision("c"),
        late.balance("alice"),
        late.holds(),
        late.budget("b", 1.0),
        late.resource("r"),
        late.resources(),
        late.entries(),
        late.carry_forward(0.0, 1.0),
        late.expire(1.0),
    ):
        with pytest.raises(StoreUnavailable):
            await asked
    late.connect(MemoryStore(Writer("g")))
    assert isinstance(await late.commit(commit), Committed)
    assert (await late.balance("alice")).available == 5
    assert await late.decision("c") is None
    assert not await late.holds() and not await late.resources()
    assert await late.budget("b", 1.0) is None and await late.resource("r") is None
    assert await late.carry_forward(0.0, 1.0) == 0 and await late.expire(1.0) == 0


async def test_what_is_owed_is_written_before_the_ledger_ends() -> None:
    async with running(store="memory") as (market, _):
        done = asyncio.Event()

        async def job() -> None:
            done.set()

        market.settlement.then("n", job)
    assert done.is_set()
