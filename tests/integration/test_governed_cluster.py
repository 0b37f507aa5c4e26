"""Two gateways and an etcd govern one market: shares, ratings, classes, and who keeps tokens."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from llmx.v1 import token_service_pb2 as tokens
from llmx.v1.envelope_pb2 import Act
from llmx.v1.market_pb2 import Standing
from llmx.v1.market_service_pb2 import GetStandingRequest
from llmx.v1.market_service_pb2_grpc import MarketServiceStub
from llmx.v1.token_service_pb2_grpc import TokenServiceStub
from tests.support.cluster import Cluster, running_cluster
from tests.support.raw_agent import RawAgent

pytestmark = pytest.mark.slow

CATALOGUE = """
[[resources]]
name = "gpu"
units = 2
reserve = 0.5

[[limits]]
name = "search"
rate = 10.0
burst = 20.0
gateway = "us"
"""
SECONDS_MAX = 8.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    catalogue = folder / "catalogue.toml"
    catalogue.write_text(CATALOGUE)
    settings = {"market__store": "etcd", "market__catalogue": catalogue}
    with running_cluster(folder, "us", "eu", **settings) as cluster:
        yield cluster


class Scene:
    """Agents at both gateways."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.tag = secrets.token_hex(4)
        self.topic = f"topic://gpu-{self.tag}"
        self.agents: list[RawAgent] = []

    async def agent(self, name: str, gateway: str, **claims: Any) -> RawAgent:
        named = f"{name}-{self.tag}"
        token = self.cluster.token(named, **claims)
        agent = RawAgent(named, token, self.cluster.addresses(gateway).split(",")[0])
        await agent.open(topics=[self.topic.removeprefix("topic://")])
        self.agents.append(agent)
        return agent

    async def known(self) -> None:
        await self.cluster.until_located([agent.address for agent in self.agents])


@asynccontextmanager
async def scene(cluster: Cluster) -> AsyncIterator[Scene]:
    made = Scene(cluster)
    try:
        yield made
    finally:
        for agent in made.agents:
            await agent.call.done_writing()  # it says so, and nobody waits for it to come back
            await agent.end()
            await agent.close()


async def test_what_one_gateway_decides_and_hears_reported_the_other_knows(
    cluster: Cluster,
) -> None:
    async with scene(cluster) as made:
        alice, bob = await made.agent("alice", "us"), await made.agent("bob", "eu")
        await made.known()
        opened = await alice.call_for(made.topic, report_within=60)
        await bob.offer(opened.negotiation_id, 10.0, claimed=50)
        await bob.message(Act.ACT_ACCEPT, opened.negotiation_id)
        await bob.do(Act.ACT_INFORM, opened.negotiation_id, {"done": True})
        await alice.outcome(opened.negotiation_id)
        await alice.message(Act.ACT_INFORM, opened.negotiation_id)
        await alice.do(Act.ACT_INFORM, opened.negotiation_id, {"realised": 25})

        async def standing() -> Standing:
            stub = MarketServiceStub(bob.channel)
            asked = stub.GetStanding(GetStandingRequest(), metadata=bob.metadata)
            return (await asked).standing

        async with asyncio.timeout(SECONDS_MAX):
            while not ((found := await standing()).tasks and found.awards):
                pass
        assert (found.awards, found.tasks) == (1, 1)
        assert found.rating == pytest.approx(0.95)


async def test_the_class_of_an_agent_holds_where_another_gateway_decides(
    cluster: Cluster,
) -> None:
    """N-8.3: its home vouches for it; the unit that is left is reserved."""
    async with scene(cluster) as made:
        alice, bob = await made.agent("alice", "us"), await made.agent("bob", "eu")
        watchdog = await made.agent("watchdog", "eu", system=True)
        await made.known()

        async def award(winner: RawAgent, other: RawAgent) -> dict[str, Any]:
            opened = await alice.call_for(
                made.topic,
                direction="allocate",
                resources=[{"resource": "gpu", "units": 1, "seconds": 600}],
                policy="high",
            )
            await other.do(Act.ACT_REFUSE, opened.negotiation_id)
            await winner.offer(opened.negotiation_id, 10.0)
            return await alice.outcome(opened.negotiation_id)

        assert (await award(bob, watchdog))["winners"]
        assert (await award(bob, watchdog))["reason"] == "RESOURCE_GONE"
        assert (await award(watchdog, bob))["winners"][0]["agent"] == watchdog.address


async def test_one_gateway_keeps_a_limit_and_the_others_say_which(cluster: Cluster) -> None:
    async with scene(cluster) as made:
        there, here = await made.agent("there", "eu"), await made.agent("here", "us")
        spend = tokens.SpendTokensRequest(limit="search")
        with pytest.raises(grpc.aio.AioRpcError, match="gateway us keeps search; ask there"):
            await TokenServiceStub(there.channel).SpendTokens(spend, metadata=there.metadata)
        listed = TokenServiceStub(there.channel).ListLimits(
            tokens.ListLimitsRequest(), metadata=there.metadata
        )
        (limit,) = (await listed).limits
        own = TokenServiceStub(here.channel)
        bid = tokens.BidForTokensRequest(limit="search", tokens=1)
        async with asyncio.timeout(SECONDS_MAX):
            while not (await own.BidForTokens(bid, metadata=here.metadata)).sale.tokens:
                pass
        assert (await own.SpendTokens(spend, metadata=here.metadata)).held == 0
        assert (limit.gateway_id, limit.address) == ("us", cluster.addresses("us").split(",")[0])
