"""Keepers of each kind, with what they have told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from gateway.governing.keeping import Keeper, KeptInMemory
from gateway.governing.kept_in_etcd import KeptInEtcd
from gateway.governing.kept_in_file import KeptInFile
from gateway.store import Store
from gateway.store_file import open_store_file
from tests.support.etcd_store import EtcdStore
from tests.support.fake_etcd import FakeEtcd

SECONDS_MAX = 5.0


class Heard:
    """What a keeper has told, as it stands."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.texts: dict[str, bytes] = {}
        self._came = asyncio.Event()
        keeper.on_text = self._hear

    def _hear(self, name: str, text: bytes | None) -> None:
        if text is None:
            self.texts.pop(name, None)
        else:
            self.texts[name] = text
        self._came.set()

    async def until(self, texts: dict[str, bytes]) -> None:
        """Wait until exactly these texts stand."""
        if isinstance(self.keeper, KeptInEtcd):
            cast(FakeEtcd, self.keeper._client).stir()  # somebody else may have written
        async with asyncio.timeout(SECONDS_MAX):
            while self.texts != texts:
                self._came.clear()
                await self._came.wait()


@asynccontextmanager
async def listening(keeper: Keeper) -> AsyncIterator[Heard]:
    """Let a keeper tell what it keeps."""
    heard = Heard(keeper)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(keeper.run())
        assert await keeper.begun(SECONDS_MAX)
        try:
            yield heard
        finally:
            task.cancel()


@asynccontextmanager
async def running_file(path: Path) -> AsyncIterator[Store]:
    """Run the store of a gateway."""
    store = Store(open_store_file(path))
    store.start()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def kept(kind: str, folder: Path) -> AsyncIterator[Heard]:
    """Return a keeper of a kind: "memory", "file" or "etcd"."""
    match kind:
        case "memory":
            async with listening(KeptInMemory()) as heard:
                yield heard
        case "file":
            async with (
                running_file(folder / "kept.db") as store,
                listening(KeptInFile(store)) as heard,
            ):
                yield heard
        case _:
            async with listening(in_etcd(EtcdStore())) as heard:
                yield heard


def in_etcd(store: EtcdStore) -> KeptInEtcd:
    """Return what one gateway keeps in an etcd that others share."""
    return KeptInEtcd(FakeEtcd(store, lambda: 0.0), "llmx/governing/")
