"""The book of a cluster, without a wire; tests/integration does the same with a real etcd."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from federation.etcd import Delete
from gateway.book import Book
from gateway.book_etcd import book_in_etcd
from policy.ledger import Purse
from policy.store import HoldCredit, Mint, Store, StoreUnavailable
from tests.support.etcd_store import EtcdStore
from tests.support.fake_etcd import FakeEtcd
from tests.support.store_contract import StoreContract
from tests.support.store_scenes import ALICE, CHUNK, SECONDS_MAX, Scene, Stores, done


@asynccontextmanager
async def registered(store: EtcdStore, gateway_id: str) -> AsyncIterator[tuple[FakeEtcd, Book]]:
    """Run the book of a gateway that is registered."""
    client = FakeEtcd(store, lambda: 0.0)
    key = f"gateways/{gateway_id}"
    epoch = await client.put(key, b"")
    async with book_in_etcd(
        client, "facts/", gateway_id, registration=key, epoch=lambda: epoch, chunk_micros=CHUNK
    ) as book:
        yield client, book


class TestBookInAnEtcdWithoutAWire(StoreContract):
    """The contract, in a process of one."""

    def play(self, scene: Scene) -> None:
        """Run a scene in an etcd of its own."""
        store = EtcdStore()

        @asynccontextmanager
        async def opened(gateway_id: str) -> AsyncIterator[Store]:
            async with registered(store, gateway_id) as (_, book):
                yield book

        async def fence(gateway_id: str) -> None:
            client = FakeEtcd(store, lambda: 0.0)
            await client.commit([], [Delete(f"gateways/{gateway_id}")])
            await client.put(f"gateways/{gateway_id}", b"")

        async def run() -> None:
            async with asyncio.timeout(SECONDS_MAX), Stores(opened, fence) as stores:
                await scene(stores)

        asyncio.run(run())


async def test_an_etcd_that_is_away_is_a_store_that_is_unavailable() -> None:
    async with registered(EtcdStore(), "g1") as (client, book):
        await done(book, "m", Mint(ALICE, 10))
        client.is_away = True
        with pytest.raises(StoreUnavailable):
            await done(book, "n", Mint(ALICE, 10))
        with pytest.raises(StoreUnavailable):
            await book.resource("h100")
        with pytest.raises(StoreUnavailable):
            await book.balance(ALICE)


async def test_a_lost_answer_is_asked_for_again() -> None:
    """N-7.10: EtcdUncertain: the commit may have been done, and is not done twice."""
    async with registered(EtcdStore(), "g1") as (client, book):
        await done(book, "m", Mint(ALICE, 20))
        await done(book, "w", HoldCredit("w", ALICE, 1, 9.0))
        client.is_mute = True
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(done(book, "h", HoldCredit("h", ALICE, 4, 9.0)))
            await client.next_commit()
            client.is_mute = False
        assert not asked.result().is_first
        assert (await book.balance(ALICE)).held == 5


async def test_a_gateway_takes_credit_along_and_comes_back_to_it() -> None:
    """N-8.6: chunks do not hang on a lease: a gateway that starts again finds them."""
    store = EtcdStore()
    async with registered(store, "g1") as (_, book):
        await done(book, "m", Mint(ALICE, 100))
        await done(book, "h", HoldCredit("h", ALICE, 4, 9.0))
    async with registered(store, "g1") as (_, book):
        purse = await book.at(f"purse/{ALICE}@g1")
        assert purse == Purse(ALICE, "g1", 6, 4)
