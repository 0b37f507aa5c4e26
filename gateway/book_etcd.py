"""The book of a cluster: facts in etcd, each gateway with credit and budgets that it took along."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from federation.etcd import EtcdClient, EtcdError, EtcdUncertain
from federation.fact_log import FactLog
from gateway.book import Book, Kept
from gateway.settling.counted_shelf import CountedShelf, ShelfFigures
from policy.judging import Writer
from policy.store import CHUNK_MICROS, StoreError, StoreUnavailable, StoreUncertain


class EtcdShelf:
    """Facts in etcd, with its errors in the words of a store."""

    def __init__(self, facts: FactLog) -> None:
        """Keep them in a log that runs."""
        self._facts = facts

    async def read(self, keys: Iterable[str]) -> Mapping[str, Kept]:
        """Return what stands under keys; those with nothing are left out."""
        try:
            return await self._facts.read(keys)
        except EtcdError as error:
            raise StoreUnavailable(str(error)) from error

    async def under(self, prefix: str) -> Sequence[tuple[str, bytes, int]]:
        """Return the keys that begin so with what they hold, in the order of their revisions."""
        try:
            return await self._facts.under(prefix)
        except EtcdError as error:
            raise StoreUnavailable(str(error)) from error

    async def swap(
        self, compared: Mapping[str, int], writes: Mapping[str, bytes | None], epoch: int = 0
    ) -> int | Mapping[str, Kept] | None:
        """Write if everything stands as it was compared, and return the revision of that."""
        try:
            return await self._facts.swap(compared, writes, epoch)
        except EtcdError as error:
            raise _meaning(error) from error


def _meaning(error: EtcdError) -> StoreError:
    kind = StoreUncertain if isinstance(error, EtcdUncertain) else StoreUnavailable
    return kind(str(error))


@asynccontextmanager
async def book_in_etcd(
    client: EtcdClient,
    prefix: str,
    gateway_id: str,
    *,
    registration: str = "",
    epoch: Callable[[], int] = lambda: 0,
    chunk_micros: int = CHUNK_MICROS,
    figures: ShelfFigures | None = None,
) -> AsyncIterator[Book]:
    """Keep the book of a cluster under a prefix, for one of its gateways, until the block ends.

    It writes while the key `registration` is the one that was created in `epoch`. What that costs
    is counted in `figures`.
    """
    facts = FactLog(client, prefix, registration, epoch)
    shelf = CountedShelf(EtcdShelf(facts), figures or ShelfFigures(), gateway_id)
    book = Book(shelf, Writer(gateway_id, gateway_id, chunk_micros))
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(facts.run()), tasks.create_task(book.run())]
        try:
            yield book
        finally:
            for task in running:
                task.cancel()
