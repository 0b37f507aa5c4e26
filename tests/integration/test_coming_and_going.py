"""Agents that leave a gateway and come back to it, as agents of another gateway see them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest

import llmx
from tests.support.cluster import Cluster, running_cluster

pytestmark = pytest.mark.slow

WITHIN = 20.0
CALL = {"reply_within": 10}


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("cluster"), "eu", "us") as cluster:
        yield cluster


def agent_of(cluster: Cluster, name: str, gateway: str, *topics: str) -> llmx.Agent:
    address = cluster.addresses(gateway).split(",")[0]
    return llmx.Agent(f"agent://{name}", address, token=cluster.token(name), topics=topics)


async def until_called(alice: llmx.Agent, *, somebody: bool) -> None:
    """Call until somebody is there to answer, or nobody is."""
    async with asyncio.timeout(WITHIN):
        while True:
            with suppress(llmx.Refused):  # as NO_RECIPIENTS
                outcome = await alice.call(CALL, to="topic://gpu")
                if somebody and outcome.winner is not None:
                    return
                continue
            if not somebody:
                return


async def test_who_comes_back_is_called_from_another_gateway_and_who_has_left_is_not(
    cluster: Cluster,
) -> None:
    async with agent_of(cluster, "alice", "eu") as alice:
        for _ in range(2):
            bob = agent_of(cluster, "bob", "us", "gpu")
            bob.on_cfp(lambda call: call.offer(value=40))
            async with bob:
                await until_called(alice, somebody=True)
            await until_called(alice, somebody=False)
