"""Jobs of one key one after the other, those of different keys side by side."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from gateway.chains import Chains


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Chains, list[str]]]:
    ended: list[str] = []
    chains = Chains(ended.append)
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(chains.run())
        yield chains, ended
        working.cancel()


async def test_jobs_of_one_key_keep_their_order_and_those_of_others_do_not_wait() -> None:
    async with running() as (chains, ended):
        door, other, done = asyncio.Event(), asyncio.Event(), list[str]()

        def job(name: str, *, waits: bool = False) -> Callable[[], Awaitable[None]]:
            async def work() -> None:
                if waits:
                    await door.wait()
                done.append(name)
                if name == "b1":
                    other.set()

            return work

        chains.add("a", job("a1", waits=True))
        chains.add("a", job("a2"))
        chains.add("b", job("b1"))
        await other.wait()
        await asyncio.sleep(0)
        assert (done, ended, len(chains)) == (["b1"], ["b"], 1)
        assert "a" in chains and "b" not in chains
        door.set()
        await chains.finished()
        assert done == ["b1", "a1", "a2"]
        assert ended == ["b", "a"]
        chains.add("a", job("a3"))
        await chains.finished()
        assert done[-1] == "a3"


async def test_with_nothing_to_do_all_is_finished() -> None:
    async with running() as (chains, ended):
        await chains.finished()
        assert not ended
