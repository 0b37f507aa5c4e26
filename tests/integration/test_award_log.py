"""Awards in a real etcd: one for each call, whoever makes it and whatever fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from federation.award_log import AwardLog, Entry, call_key
from federation.etcd import EtcdClient
from tests.support.etcd import Etcd

pytestmark = pytest.mark.slow
KEEP_SECONDS = 60


def entry(negotiation_id: str, gateway_id: str = "eu") -> Entry:
    return Entry(negotiation_id, gateway_id, b'{"state":"committed"}')


def play(tmp_path: Path, scene: Callable[[Etcd, EtcdClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(60),
            Etcd(tmp_path) as etcd,
            EtcdClient([etcd.endpoint], attempt_seconds=1.0) as client,
        ):
            await scene(etcd, client)

    asyncio.run(run())


async def proposed(log: AwardLog, key: str, proposal: Entry) -> Entry:
    """Propose an award and return the one that stands."""
    heard: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
    log.propose(key, proposal, heard.set_result)
    return await heard


def test_the_first_award_of_a_call_stands_and_is_found_by_the_second(tmp_path: Path) -> None:
    async def scene(etcd: Etcd, client: EtcdClient) -> None:
        logs = [AwardLog(client, "llmx/awards/", KEEP_SECONDS, time.monotonic) for _ in range(2)]
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(log.run()) for log in logs]
            key = call_key("acme", "agent://alice", "m1")
            assert await proposed(logs[0], key, entry("eu.0.1")) == entry("eu.0.1")
            assert await proposed(logs[1], key, entry("us.0.1", "us")) == entry("eu.0.1")
            assert await proposed(logs[0], key, entry("eu.0.1")) == entry("eu.0.1")
            assert (logs[0].written, logs[1].found) == (2, 1)
            for task in running:
                task.cancel()

    play(tmp_path, scene)


def test_of_many_that_award_the_same_calls_at_once_one_makes_each_award(tmp_path: Path) -> None:
    async def scene(etcd: Etcd, client: EtcdClient) -> None:
        logs = {
            name: AwardLog(client, "llmx/awards/", KEEP_SECONDS, time.monotonic)
            for name in ("eu", "us", "ap")
        }
        keys = [call_key("acme", "agent://alice", str(number)) for number in range(300)]
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(log.run()) for log in logs.values()]
            stands = await asyncio.gather(
                *(
                    proposed(log, key, entry(f"{name}.{key}", name))
                    for key in keys
                    for name, log in logs.items()
                )
            )
            for task in running:
                task.cancel()
        for at in range(0, len(stands), len(logs)):
            assert len(set(stands[at : at + len(logs)])) == 1
        assert sum(log.written for log in logs.values()) == len(keys)
        assert sum(log.transactions for log in logs.values()) < len(keys)

    play(tmp_path, scene)


def test_an_award_waits_for_an_etcd_that_is_away_and_is_made_once(tmp_path: Path) -> None:
    async def scene(etcd: Etcd, client: EtcdClient) -> None:
        log = AwardLog(client, "llmx/awards/", KEEP_SECONDS, time.monotonic)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(log.run())
            await proposed(log, "before", entry("eu.0.1"))
            await etcd.kill()
            waiting = tasks.create_task(proposed(log, "meanwhile", entry("eu.0.2")))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await asyncio.shield(waiting)
            await etcd.restart()
            assert await waiting == entry("eu.0.2")
            other = AwardLog(client, "llmx/awards/", KEEP_SECONDS, time.monotonic)
            beside = tasks.create_task(other.run())
            assert await proposed(other, "before", entry("us.0.9", "us")) == entry("eu.0.1")
            running.cancel()
            beside.cancel()

    play(tmp_path, scene)


def test_records_end_with_their_lease(tmp_path: Path) -> None:
    async def scene(etcd: Etcd, client: EtcdClient) -> None:
        log = AwardLog(client, "llmx/awards/", 1, time.monotonic)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(log.run())
            await proposed(log, "short", entry("eu.0.1"))
            pairs, _ = await client.get_prefix("llmx/awards/")
            assert len(pairs) == 1 and pairs[0].lease
            async for seen in client.observe("llmx/awards/"):
                if not (await client.get_prefix("llmx/awards/"))[0]:
                    break
                assert seen is not None
            running.cancel()

    play(tmp_path, scene)
