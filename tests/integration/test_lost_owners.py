"""A gateway that is killed while it decides calls of agents that are connected with another one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

import llmx
from federation.placement import heir_of
from gateway.telemetry.trace_ids import trace_of_call
from tests.support.cluster import NAMES, Cluster, running_cluster
from tests.support.etcd import passed

pytestmark = pytest.mark.slow

REPLY_SECONDS = 60.0
"""A call that is not answered by all is open for so long."""
OVER_SECONDS_MAX = 15.0
CALLS_MAX = 20


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three gateways, each of which writes its spans into its folder."""
    traces = {"telemetry__traces": "file", "telemetry__traces_file": "spans.jsonl"}
    with running_cluster(tmp_path, **traces) as cluster:
        yield cluster


class Contractor(llmx.Agent):
    """One that answers when it is told to."""

    def __init__(self, cluster: Cluster, name: str, home: str, go: asyncio.Event) -> None:
        super().__init__(
            f"agent://{name}",
            cluster.addresses(home),
            token=cluster.token(name),
            topics=["lost-owners"],
            capabilities=["propose"],
            backoff=llmx.Backoff(first=0.1, longest=0.5),
        )
        self._go = go

    async def on_cfp(self, call: llmx.Call) -> llmx.Offer:
        await self._go.wait()
        return call.offer(value=4)


@asynccontextmanager
async def market(cluster: Cluster, go: asyncio.Event) -> AsyncIterator[llmx.Agent]:
    """Connect an initiator at the gateway us, and a contractor at each of the others."""
    alice = llmx.Agent("agent://alice", cluster.addresses("us"), token=cluster.token("alice"))
    async with AsyncExitStack() as stack:
        for name in NAMES[:2]:
            await stack.enter_async_context(Contractor(cluster, f"bob-{name}", name, go))
        await stack.enter_async_context(alice)
        await cluster.until_located([f"agent://bob-{name}" for name in NAMES[:2]])
        yield alice


async def outcome_of(negotiation: llmx.Negotiation) -> llmx.Outcome:
    async for _ in negotiation:
        pass
    assert negotiation.outcome is not None
    return negotiation.outcome


def home_of(agent: llmx.Agent) -> str:
    """Return the gateway that an agent is connected with."""
    session = agent._session  # what no author needs to know
    return session.welcome.gateway_id if session.welcome and session.is_live else ""


def traces_decided(cluster: Cluster, name: str) -> set[int]:
    """Return the traces in which a gateway that has stopped has decided."""
    lines = (cluster.folder / name / "spans.jsonl").read_text("utf-8").splitlines()
    spans = [json.loads(line) for line in lines]
    return {
        int(span["context"]["trace_id"], 16)
        for span in spans
        if span["attributes"].get("llmx.state") == "committed"
    }


async def test_an_initiator_at_a_third_gateway_goes_on_when_the_heir_of_its_calls_is_killed(
    cluster: Cluster,
) -> None:
    """Nothing breaks at the initiator, so it has to be told, and its library calls again.

    What was handed over by a gateway and what nobody could hand over stay in the traces that they
    began.
    """
    go = asyncio.Event()
    async with market(cluster, go) as alice, AsyncExitStack() as stack:
        calls: dict[str, list[llmx.Negotiation]] = {name: [] for name in NAMES[:2]}
        while not all(calls.values()):
            body = {"reply_within": REPLY_SECONDS}
            opened = alice.negotiate(body, to="topic://lost-owners", policy="flow/high")
            call = await stack.enter_async_context(opened)
            heir = heir_of(call.negotiation_id, NAMES[:2])
            assert heir is not None and sum(map(len, calls.values())) < CALLS_MAX
            calls[heir].append(call)
        await cluster.leave("us")
        async with asyncio.timeout(OVER_SECONDS_MAX):
            while (home := home_of(alice)) in ("", "us"):
                await passed(0.02)
        (heir,) = {*NAMES[:2]} - {home}
        await cluster.until(lambda views: heir in views and len(views) == 2)
        await cluster.gateways[heir].kill()
        lost = {call.negotiation_id for call in calls[heir]}
        go.set()
        async with asyncio.timeout(OVER_SECONDS_MAX):
            outcomes = [await outcome_of(call) for group in calls.values() for call in group]
        assert {outcome.state for outcome in outcomes} == {"committed"}
        assert not lost & {outcome.negotiation_id for outcome in outcomes}
        began = {
            trace_of_call("default", alice.agent_id, one.call.msg_id, one.call.ts)
            for group in calls.values()
            for one in group
        }
    await cluster.leave(home)
    assert traces_decided(cluster, home) == began
