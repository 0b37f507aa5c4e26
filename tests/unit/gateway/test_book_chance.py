"""Two gateways at an etcd that loses requests and answers: each award is whole, or is not."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack

import pytest

from federation.fact_log import FactLog
from gateway.book import Book
from gateway.book_etcd import EtcdShelf
from policy.judging import Writer
from policy.store import Commit, Committed, Refused, StoreError
from tests.support.etcd_store import EtcdStore
from tests.support.lossy_etcd import Late, LossyEtcd
from tests.support.store_scenes import award, balanced, prepared


async def lossy_race(seed: int) -> None:
    """Let two gateways race for three units through an etcd that loses requests and answers."""
    chance, store, late = random.Random(seed), EtcdStore(), Late()
    clients = [LossyEtcd(store, chance, late, 100) for _ in range(2)]
    books: list[Book] = []
    async with asyncio.TaskGroup() as tasks, AsyncExitStack() as stack:
        for number, client in enumerate(clients):
            facts = FactLog(client, "f/")
            book = Book(EtcdShelf(facts), Writer(f"g{number}", f"g{number}", 10), retry_first=0.0)
            for task in (tasks.create_task(facts.run()), tasks.create_task(book.run())):
                stack.callback(task.cancel)
            books.append(book)
        await prepared(books[0], micros=45, units=3)
        for client in clients:
            client.honest = chance.choice([30, 60, 90])
        commits = [Commit(f"k{i}", 0.0, award(f"call{i % 5}", micros=9)) for i in range(8)]
        commits += commits[:3]

        async def asked(number: int, commit: Commit) -> tuple[Commit, Committed | Refused | None]:
            try:
                return commit, await books[number % 2].commit(commit)
            except StoreError:
                return commit, None

        told = await asyncio.gather(*(asked(i, one) for i, one in enumerate(commits)))
        while late:
            store.commit(late.pop())
        for client in clients:
            client.honest = 100
        written = {entry.key for entry in await books[0].entries()}
        for commit, answer in told:
            if isinstance(answer, Committed):
                assert commit.key in written, "what was said to be done is done"
            elif isinstance(answer, Refused):
                other = [one for again, one in told if again is commit and one is not answer]
                assert commit.key not in written or any(other), "what was refused did not happen"
        await balanced(books[1])
        resource = await books[0].resource("h100")
        assert resource is not None and len(resource.bookings) <= 3
        holds = await books[0].holds()
        assert len(holds) == len(resource.bookings) == len(written) - 1
        for commit in commits[:8]:
            again = await books[1].commit(commit)
            if commit.key in written:
                assert isinstance(again, Committed) and not again.is_first
        await balanced(books[0])


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_lost_on_the_way_each_award_is_whole_or_not(seed: int) -> None:
    """N-7.10: requests and answers that are lost, late or refused leave none or exactly one."""
    asyncio.run(lossy_race(seed))
