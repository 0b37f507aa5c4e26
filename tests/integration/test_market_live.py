"""The market over two gateways with one ledger in a real etcd."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

import llmx
from gateway.tokens import development_secret, mint_development_token
from llmx.v1 import ledger_service_pb2 as wire
from llmx.v1.ledger_service_pb2_grpc import LedgerServiceStub
from llmx.v1.resource_pb2 import Resource
from loadtest.clusters import Cluster
from loadtest.market.live import Size, market, served
from loadtest.market.page import live_text

pytestmark = pytest.mark.slow

SIZE = Size(agents=40, slots=4, seconds=1.5)
PATIENCE = 10.0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("market")


@pytest.fixture(scope="module")
def gateways(place: Path) -> Iterator[Cluster]:
    """Two gateways, with an etcd of their own."""
    with served(place, SIZE) as gateways:
        yield gateways


async def test_slots_are_shared_and_paid_for_and_the_ledger_adds_up(
    place: Path, gateways: Cluster
) -> None:
    """N-7.1, N-7.8: no credit is made or lost, and no slot has two holders at an instant."""
    said: list[str] = []
    async with asyncio.timeout(60):
        seen = await market(
            place, gateways, SIZE, said.append, ("contract net", "alternating offers")
        )
    assert said == ["contract net done", "alternating offers done"]
    assert seen.difference_micros == 0
    assert max(seen.at_once.values()) <= SIZE.slots
    live = [seen.figures[f"{name}, live"][0] for name in seen.at_once]
    assert sum(one.allocations for one in live) <= seen.awards, (
        "each was written before it was told"
    )
    assert all(one.messages > 0 for one in live)
    assert "lost or made: 0." in live_text(seen)


def caller(gateways: Cluster, number: int, name: str) -> llmx.Agent:
    agent_id = f"agent://{name}"
    address = gateways.addresses[number]
    return llmx.Agent(agent_id, address, token=gateways.token_of(agent_id), consents=["*"])


async def called(agent: llmx.Agent, resource: str, units: int) -> str:
    """Call for units; return "" when somebody was asked, else the code and the pointer."""
    needs = [{"resource": resource, "units": units, "seconds": 5}]
    cfp = {"task": {}, "reply_within": 0.2, "resources": needs}
    try:
        await agent.call(cfp, to="agent://host")
    except llmx.Refused as refused:
        return f"{refused.code} {refused.pointer}"
    return ""


async def test_a_resource_that_nobody_has_is_refused_before_anybody_is_asked(
    place: Path, gateways: Cluster
) -> None:
    """Also at the gateway at which it was not registered, and until it is."""
    token = mint_development_token(
        development_secret(place / "state"), "agent://operator", roles=["operator"]
    )
    one, host = caller(gateways, 1, "one"), caller(gateways, 1, "host")
    async with asyncio.timeout(PATIENCE), one, host:
        while await called(one, "disk", 1) == "":
            pass  # the watch has not begun: an award would find out
        assert await called(one, "disk", 1) == "RESOURCE_GONE /payload/resources/0/resource"
        async with grpc.aio.insecure_channel(gateways.addresses[0]) as channel:
            request = wire.SetResourceRequest(resource=Resource(name="disk", units=2))
            metadata = (("authorization", f"Bearer {token}"),)
            await LedgerServiceStub(channel).SetResource(request, metadata=metadata)
        while await called(one, "disk", 1):
            pass  # the watch will tell
        assert await called(one, "disk", 3) == "RESOURCE_GONE /payload/resources/0/units"
