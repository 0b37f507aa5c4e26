"""Every gateway of a cluster knows which resources there are, whoever registers them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from federation.etcd import Changes, EtcdDenied, Snapshot
from gateway.book import Book
from gateway.book_etcd import book_in_etcd
from gateway.known_resources import KnownResources
from gateway.settling import watched_catalogue as module
from gateway.settling.watched_catalogue import WatchedCatalogue
from policy.resources import Registered
from policy.store import Commit, Committed, Lock, SetResource, StoreUnavailable
from tests.support.etcd_store import EtcdStore
from tests.support.fake_etcd import FakeEtcd

PREFIX = "llmx/market/"


class Gateway:
    """One gateway: its client, its book and what it knows."""

    def __init__(self, client: FakeEtcd, book: Book) -> None:
        self.client = client
        self.book = book
        self.known = KnownResources()

    async def register(self, name: str, units: int, key: str = "") -> None:
        change = SetResource(f"acme|{name}", units)
        commit = Commit(key or f"{name}:{units}", 1.0, (change,))
        assert isinstance(await self.known.commit(self.book, commit), Committed)

    async def until(self, name: str, units: int | None) -> None:
        """Wait until the gateway knows so many units."""
        async with asyncio.timeout(5):
            while self.known.most_units("acme", name) != units:
                self.client.stir()
                await asyncio.sleep(0)  # a turn of the loop: the watch is told


@asynccontextmanager
async def gateway(store: EtcdStore, name: str, client: Any = FakeEtcd) -> AsyncIterator[Gateway]:
    made = client(store, lambda: 0.0)
    async with book_in_etcd(made, PREFIX, name) as book, asyncio.TaskGroup() as tasks:
        here = Gateway(made, book)
        catalogue = WatchedCatalogue(made, PREFIX, here.known, book)
        watching = tasks.create_task(catalogue.run())
        yield here
        watching.cancel()


async def test_what_one_gateway_registers_the_other_knows() -> None:
    store = EtcdStore()
    async with gateway(store, "g1") as one, gateway(store, "g2") as two:
        await two.until("gpu", 0)
        await one.register("gpu", 8)
        await two.until("gpu", 8)
        assert one.known.most_units("acme", "gpu") == 8
        await two.register("gpu/h100", 4)
        await one.until("gpu/h100", 4)
        await two.register("gpu", 0)
        await one.until("gpu", 4)


async def test_who_comes_later_knows_what_is_there_already() -> None:
    store = EtcdStore()
    async with gateway(store, "g1") as one:
        await one.register("gpu", 8)
        await one.register("disk", 2)
        await one.register("disk", 0, "out")
        async with gateway(store, "g2") as two:
            await two.until("gpu", 8)
            assert two.known.most_units("acme", "disk") == 0


async def test_what_was_registered_by_an_earlier_release_is_known_too() -> None:
    """It has a calendar, and no fact of its own beside it."""
    store = EtcdStore()
    async with gateway(store, "g1") as one:
        await one.register("gpu", 8)
        await one.client.commit([], [module_delete("acme|gpu")])
        async with gateway(store, "g2") as two:
            await two.until("gpu", 8)


def module_delete(name: str) -> Any:
    from federation.etcd import Delete

    return Delete(f"{PREFIX}registered/{name}")


async def test_an_award_tells_the_watch_nothing() -> None:
    """Calendars change with every award; a watch of them would be a flood."""
    store = EtcdStore()
    async with gateway(store, "g1") as one:
        await one.register("gpu", 8)
        revision = store.revision
        lock = Lock("l", "acme|gpu", 1, 1.0, 9.0)
        assert isinstance(await one.book.commit(Commit("award", 1.0, (lock,))), Committed)
        assert not store.changes(f"{PREFIX}registered/", revision)
        assert store.changes(f"{PREFIX}resource/", revision)


async def test_after_a_change_of_unknown_fate_the_watch_tells() -> None:
    store = EtcdStore()
    async with gateway(store, "g1") as one, gateway(store, "g2") as two:
        await one.until("gpu", 0)
        one.client.is_away = True
        with pytest.raises(StoreUnavailable):
            await one.register("gpu", 8)
        assert one.known.most_units("acme", "gpu") == 0
        one.client.is_away = False
        await two.register("gpu", 3)
        await one.until("gpu", 3)


async def test_while_the_ledger_cannot_be_read_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)

    class Away(FakeEtcd):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.is_away = True

    store = EtcdStore()
    async with gateway(store, "g1", Away) as one:
        for _ in range(20):
            await asyncio.sleep(0)  # a turn of the loop: it tries again and again
        assert one.known.most_units("acme", "gpu") is None
        one.client.is_away = False
        await one.until("gpu", 0)


async def test_where_watching_is_denied_it_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "DENIED_SECONDS", 0.0)

    class Denied(FakeEtcd):
        times = 2

        async def observe(self, prefix: str) -> AsyncGenerator[Snapshot | Changes, None]:
            if Denied.times:
                Denied.times -= 1
                raise EtcdDenied("PERMISSION_DENIED", "not you", "127.0.0.1:1")
            async for told in super().observe(prefix):
                yield told

    async with gateway(EtcdStore(), "g1", Denied) as one:
        await one.until("gpu", 0)


def test_a_fact_says_whose_and_how_much() -> None:
    told = Registered("acme|gpu", 8)
    assert (told.name, told.units) == ("acme|gpu", 8)
