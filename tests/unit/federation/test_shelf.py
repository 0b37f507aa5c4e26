"""Texts of the whole cluster: changed by one, heard by all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import pytest

from federation import shelf as module
from federation.etcd import (
    Changes,
    Committed,
    Delete,
    EtcdDenied,
    EtcdUncertain,
    Put,
    Snapshot,
    Transaction,
)
from federation.shelf import ATTEMPTS, Shelf, ShelfError
from tests.support.etcd_store import EtcdStore
from tests.support.fake_etcd import FakeEtcd

PREFIX = "llmx/policies/"


class Reader:
    """A gateway's shelf, and what it has heard."""

    def __init__(self, store: EtcdStore) -> None:
        self.etcd = FakeEtcd(store, lambda: 0.0)
        self.shelf = Shelf(self.etcd, PREFIX)
        self.texts: dict[str, bytes] = {}
        self.heard: list[tuple[str, bytes | None]] = []
        self._came = asyncio.Event()
        self.shelf.on_text = self._hear

    def _hear(self, name: str, text: bytes | None) -> None:
        self.heard.append((name, text))
        if text is None:
            self.texts.pop(name, None)
        else:
            self.texts[name] = text
        self._came.set()

    async def until(self, texts: dict[str, bytes]) -> None:
        async with asyncio.timeout(5):
            while self.texts != texts:
                self._came.clear()
                await self._came.wait()


@asynccontextmanager
async def readers(count: int, store: EtcdStore | None = None) -> AsyncIterator[list[Reader]]:
    store = store or EtcdStore()
    made = [Reader(store) for _ in range(count)]
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one.shelf.run()) for one in made]
        for one in made:
            assert await one.shelf.begun(5.0)
        yield made
        for task in running:
            task.cancel()


def stir(*readers: Reader) -> None:
    for reader in readers:
        reader.etcd.stir()


async def test_a_change_is_heard_by_all_and_here_before_it_returns() -> None:
    async with readers(3) as (one, two, three):
        await one.shelf.change("acme", lambda text: b"first")
        assert one.texts == {"acme": b"first"}
        stir(two, three)
        for other in (two, three):
            await other.until({"acme": b"first"})
        assert [reader.heard for reader in (one, two, three)] == [[("acme", b"first")]] * 3


async def test_who_begins_later_hears_what_stands() -> None:
    store = EtcdStore()
    async with readers(1, store) as (one,):
        await one.shelf.change("acme", lambda text: b"first")
        await one.shelf.change("a/b c", lambda text: b"second")
    async with readers(1, store) as (late,):
        await late.until({"acme": b"first", "a/b c": b"second"})


async def test_changes_at_the_same_time_are_all_made() -> None:
    """Each is made of the one before, whoever wrote that."""
    async with readers(3) as many:
        await asyncio.gather(
            *(
                reader.shelf.change("n", lambda text: str(int(text or b"0") + 1).encode())
                for reader in many
                for _ in range(3)
            )
        )
        stir(*many)
        for reader in many:
            await reader.until({"n": b"9"})
            numbers = [int(text or b"0") for _, text in reader.heard]
            assert numbers == sorted(set(numbers)), "nobody hears an older one after a newer one"


async def test_an_edit_that_raises_changes_nothing() -> None:
    def refuse(text: bytes | None) -> bytes:
        raise ValueError("no")

    async with readers(1) as (one,):
        with suppress(ValueError):
            await one.shelf.change("acme", refuse)
        assert not one.heard


async def test_without_etcd_nothing_changes_and_that_is_said() -> None:
    async with readers(1) as (one,):
        one.etcd.is_away = True
        with pytest.raises(ShelfError, match="away"):
            await one.shelf.change("acme", lambda text: b"first")
        assert not one.heard


class Forgetful(FakeEtcd):
    """An etcd that does not say what became of the first write."""

    does = True
    asked = 0

    async def commit(self, *arguments: Any, **options: Any) -> Committed:
        self.asked += 1
        if self.asked > 1:
            return await super().commit(*arguments, **options)
        if self.does:
            await super().commit(*arguments, **options)
        raise EtcdUncertain("DEADLINE_EXCEEDED", "it says nothing")


@pytest.mark.parametrize(("does", "asked"), [(True, 1), (False, 2)])
async def test_a_change_of_which_nobody_said_whether_it_was_made_is_looked_up(
    does: bool, asked: int
) -> None:
    etcd = Forgetful(EtcdStore(), lambda: 0.0)
    etcd.does = does
    shelf, heard = Shelf(etcd, PREFIX), []
    shelf.on_text = lambda name, text: heard.append((name, text))
    await shelf.change("acme", lambda text: (text or b"") + b"first")
    assert heard == [("acme", b"first")] and etcd.asked == asked


async def test_who_is_always_too_late_is_told() -> None:
    store = EtcdStore()
    async with readers(2, store) as (one, two):
        calls = 0

        def edit(text: bytes | None) -> bytes:
            nonlocal calls
            calls += 1
            store.commit(Transaction([], [Put(PREFIX + "acme", str(calls).encode())], []))
            return b"mine"

        with pytest.raises(ShelfError, match="all the time"):
            await one.shelf.change("acme", edit)
        assert calls == ATTEMPTS
        stir(two)
        await two.until({"acme": str(ATTEMPTS).encode()})


async def test_a_text_that_is_gone_is_heard() -> None:
    async with readers(2) as (one, two):
        await one.shelf.change("acme", lambda text: b"first")
        stir(two)
        await two.until({"acme": b"first"})
        await one.etcd.commit([], [Delete(PREFIX + "acme")])
        stir(two)
        await two.until({})
        assert two.heard[-1] == ("acme", None)


async def test_the_texts_of_another_cluster_are_not_heard() -> None:
    store = EtcdStore()
    async with readers(1, store) as (one,):
        other = Shelf(FakeEtcd(store, lambda: 0.0), "other/policies/")
        await other.change("acme", lambda text: b"theirs")
        stir(one)
        await one.shelf.change("acme", lambda text: b"ours")
        assert one.heard == [("acme", b"ours")]


async def test_etcd_that_does_not_answer_is_not_waited_for_without_end() -> None:
    shelf = Shelf(FakeEtcd(EtcdStore(), lambda: 0.0), PREFIX)
    assert not await shelf.begun(0.01)
    assert "not heard yet" in repr(shelf)


async def test_a_shelf_that_may_not_be_read_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Strict(FakeEtcd):
        """An etcd that lets nobody read at first."""

        denials = 2

        async def observe(self, prefix: str) -> AsyncGenerator[Snapshot | Changes, None]:
            if self.denials:
                self.denials -= 1
                raise EtcdDenied("PERMISSION_DENIED", "not you")
            async with aclosing(super().observe(prefix)) as told:
                async for news in told:
                    yield news

    monkeypatch.setattr(module, "DENIED_SECONDS", 0.0)
    shelf = Shelf(Strict(EtcdStore(), lambda: 0.0), PREFIX)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(shelf.run())
        assert await shelf.begun(5.0)
        running.cancel()
