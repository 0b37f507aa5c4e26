"""What runs goes on while etcd is away, and a gateway that is cut off alone stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import orjson
import pytest

import llmx
from federation.award_log import Entry
from federation.etcd import EtcdClient
from llmx.backoff import Backoff
from tests.support.cluster import Cluster
from tests.support.etcd import passed

pytestmark = pytest.mark.slow

SECONDS_MAX = 90.0
OUTAGE_SECONDS = 6.0
"""Three leases: without a lease that is sure for long, and with everything decided blind."""


def agent_of(cluster: Cluster, name: str, gateway: str) -> llmx.Agent:
    return llmx.Agent(
        f"agent://{name}",
        cluster.gateways[gateway].life.address,
        token=cluster.token(name),
        backoff=Backoff(first=0.02, longest=0.2),
        consents=["*"],
        topics=["work"] if name == "bob" else (),
    )


def play(tmp_path: Path, scene: Callable[[Cluster], Awaitable[None]]) -> None:
    """Play a scene on two gateways; bob bids at "us"."""

    async def run() -> None:
        cluster = Cluster(tmp_path)
        async with asyncio.timeout(SECONDS_MAX):
            await cluster.start("eu", "us")
            try:
                async with agent_of(cluster, "bob", "us") as bob:

                    @bob.on_cfp
                    async def offer(call: llmx.Call) -> llmx.Offer:
                        return llmx.Offer(7.0)

                    await cluster.until_located(["agent://bob"])
                    await scene(cluster)
            finally:
                await cluster.end()

    asyncio.run(run())


async def called(alice: llmx.Agent) -> llmx.Outcome:
    return await alice.call({"reply_within": 5}, to="topic://work")


def figure(cluster: Cluster, gateway: str, name: str) -> float:
    (line,) = [
        line
        for line in cluster.gateways[gateway].life.metrics().splitlines()
        if line.startswith(f"{name} ")
    ]
    return float(line.split()[1])


async def until(is_so: Callable[[], bool]) -> None:
    while not await asyncio.to_thread(is_so):
        await passed(0.05)


def test_awards_are_made_while_etcd_is_away_and_written_when_it_is_back(tmp_path: Path) -> None:
    async def scene(cluster: Cluster) -> None:
        async with agent_of(cluster, "alice", "eu") as alice:
            before = await called(alice)
            await cluster.etcd.kill()
            waited = await called(alice)  # it waits until no lease is sure any more
            await passed(OUTAGE_SECONDS)
            began = asyncio.get_running_loop().time()
            blind = [await called(alice) for _ in range(3)]
            assert asyncio.get_running_loop().time() - began < 5.0
            assert figure(cluster, "eu", "llmx_awards_blind_total") == 4
            assert figure(cluster, "eu", "llmx_fenced") == 0
            await cluster.etcd.restart()
            await until(lambda: figure(cluster, "eu", "llmx_awards_written_total") == 5)
            assert figure(cluster, "eu", "llmx_awards_doubled_total") == 0
            async with EtcdClient([cluster.etcd.endpoint]) as client:
                pairs, _ = await client.get_prefix("llmx/awards/")
            written = [msgspec.msgpack.decode(pair.value, type=Entry) for pair in pairs]
            told = [before, waited, *blind]
            assert {one.negotiation_id for one in written} == {one.negotiation_id for one in told}
            assert all(orjson.loads(one.outcome)["winners"] for one in written)
            await cluster.until(cluster.is_whole)
            assert (await called(alice)).winners

    play(tmp_path, scene)


def test_a_gateway_that_is_cut_off_alone_decides_nothing_until_it_is_registered_anew(
    tmp_path: Path,
) -> None:
    async def scene(cluster: Cluster) -> None:
        async with agent_of(cluster, "alice", "eu") as alice:
            await called(alice)
            cluster.etcd_lines["eu"].hold()
            await until(lambda: figure(cluster, "eu", "llmx_fenced") == 1)
            assert "decisions stop" in cluster.gateways["eu"].life.log()
            async with asyncio.TaskGroup() as tasks:
                outcome = tasks.create_task(called(alice))
                await passed(1.0)
                assert not outcome.done()
                cluster.etcd_lines["eu"].heal()
            assert figure(cluster, "eu", "llmx_fenced") == 0
            assert figure(cluster, "eu", "llmx_awards_blind_total") == 0
            await cluster.until(cluster.is_whole)
            assert (await called(alice)).winners

    play(tmp_path, scene)
