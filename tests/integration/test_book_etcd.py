"""The book in etcd keeps the promises of every store, with gateways that are registered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from federation.etcd import EtcdClient
from gateway.book_etcd import book_in_etcd
from policy.store import Commit, Committed, Refused, Store, StoreError, StoreUncertain
from tests.support.etcd import Etcd
from tests.support.store_contract import StoreContract
from tests.support.store_scenes import CHUNK, SECONDS_MAX, Scene, Stores, award, balanced, prepared

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Etcd]:
    """An etcd for all of them."""
    etcd = Etcd(tmp_path_factory.mktemp("etcd"))
    asyncio.run(etcd.restart())
    yield etcd
    etcd.end()


class TestBookInEtcd(StoreContract):
    """The contract, in a real etcd."""

    _worlds = count()

    @pytest.fixture(autouse=True)
    def _with_etcd(self, etcd: Etcd) -> None:
        self.etcd = etcd

    def play(self, scene: Scene) -> None:
        """Run a scene under a prefix of its own."""
        prefix = f"llmx/{next(self._worlds)}/"

        async def run() -> None:
            async with (
                asyncio.timeout(SECONDS_MAX),
                EtcdClient([self.etcd.endpoint], attempt_seconds=2.0) as client,
            ):

                @asynccontextmanager
                async def opened(gateway_id: str) -> AsyncIterator[Store]:
                    registration = f"{prefix}gateways/{gateway_id}"
                    epoch = await client.put(registration, b"")
                    async with book_in_etcd(
                        client,
                        f"{prefix}facts/",
                        gateway_id,
                        registration=registration,
                        epoch=lambda: epoch,
                        chunk_micros=CHUNK,
                    ) as book:
                        yield book

                async def fence(gateway_id: str) -> None:
                    await client.delete(f"{prefix}gateways/{gateway_id}")
                    await client.put(f"{prefix}gateways/{gateway_id}", b"")

                async with Stores(opened, fence) as stores:
                    await scene(stores)

        asyncio.run(run())


def test_an_etcd_that_is_killed_under_awards_leaves_each_of_them_whole(tmp_path: Path) -> None:
    """N-7.10: what was told stands, what was refused does not, and what is in doubt is either."""

    async def run() -> None:
        async with (
            asyncio.timeout(SECONDS_MAX),
            Etcd(tmp_path) as etcd,
            EtcdClient([etcd.endpoint], attempt_seconds=0.5) as client,
            book_in_etcd(client, "facts/", "g1", chunk_micros=1_000) as book,
        ):
            await prepared(book, micros=10_000, units=300)
            told: dict[str, Committed | Refused | StoreError] = {}

            async def ask(name: str) -> None:
                try:
                    told[name] = await book.commit(Commit(name, 0.0, award(name)))
                except StoreError as error:
                    told[name] = error

            async with asyncio.TaskGroup() as tasks:
                for number in range(200):
                    tasks.create_task(ask(f"call{number}"))
                    if number == 100:
                        await ask("the first hundred are under way")
                        await etcd.kill()
                await etcd.restart()
            written = {entry.key for entry in await book.entries()}
            for name, answer in told.items():
                if isinstance(answer, Committed):
                    assert name in written
                elif not isinstance(answer, StoreUncertain):
                    assert name not in written
            assert any(isinstance(answer, Committed) for answer in told.values())
            await balanced(book)
            holds = await book.holds()
            resource = await book.resource("h100")
            assert resource is not None
            assert len(holds) == len(resource.bookings) == len(written) - 1
            for name in told:
                assert isinstance(await book.commit(Commit(name, 0.0, award(name))), Committed)
            await balanced(book)

    asyncio.run(run())
