"""A market through a real gateway: shares, ratings, probes, figures, and what an operator sees."""

from __future__ import annotations

import asyncio
import json
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from llmx.v1.market_service_pb2 import RateAgentRequest
from llmx.v1.market_service_pb2_grpc import MarketServiceStub
from tests.support.gateways import ROOT, Gateway, command, environment, running
from tests.support.raw_agent import Crowd, RawAgent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def probing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that probes every round of a market that has a price."""
    folder = tmp_path_factory.mktemp("market")
    records = folder / "records.jsonl"
    with running(folder, governance__probe_rate=1, engine__records=records) as gateway:
        yield gateway


class Market:
    """Alice, who calls, and two who bid."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.crowd = Crowd(gateway)
        self.alice: RawAgent
        self.bidders: dict[str, RawAgent] = {}

    async def come(self) -> None:
        self.alice = await self.crowd.open("alice")
        found = await self.crowd.contractors("bob", "carol")
        self.bidders = dict(zip(("bob", "carol"), found, strict=True))

    async def round(self, bids: dict[str, float], **call: object) -> dict[str, Any]:
        """Return the outcome of a call that these answer."""
        opened = await self.alice.call_for(self.crowd.topic(), **call)
        for name, value in bids.items():
            await self.bidders[name].offer(opened.negotiation_id, value)
        return await self.alice.outcome(opened.negotiation_id)

    def name_of(self, outcome: dict[str, Any]) -> str:
        """Return who won."""
        agent = outcome["winners"][0]["agent"]
        return next(name for name, one in self.bidders.items() if one.address == agent)

    async def rated(self, times: int, **task: Any) -> None:
        """Rate as a program does."""
        token = self.gateway.token("auditor", roles=("operator",))
        metadata = (("authorization", f"Bearer {token}"),)
        async with grpc.aio.insecure_channel(self.gateway.address) as channel:
            for _ in range(times):
                request = RateAgentRequest(**task)
                await MarketServiceStub(channel).RateAgent(request, metadata=metadata)

    async def typed(self, *words: str) -> list[dict[str, Any]]:
        """Type `llmx ctl market …` as an operator does."""
        token = self.gateway.token("operator", roles=("operator",))
        process = await asyncio.create_subprocess_exec(
            *command("ctl", "market", *words, "--json"),
            env=environment(self.gateway.folder)
            | {"LLMX_GATEWAY": self.gateway.address, "LLMX_TOKEN": token},
            cwd=ROOT,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return [json.loads(line) for line in out.splitlines()]


async def test_a_market_is_kept_fair_and_its_operator_sees_how(probing: Gateway) -> None:
    """One after the other: a share that is full, a liar, figures, a probe that nobody saw."""
    market = Market(probing)
    async with market.crowd:
        await market.come()
        both = {"bob": 10.0, "carol": 20.0}
        for _ in range(2):
            assert market.name_of(await market.round(both)) == "bob"

        shared = await market.round({"carol": 20.0}, fairness={"max_share": 0.5})
        assert market.name_of(shared) == "carol"
        bob = market.bidders["bob"].address
        assert shared["fairness"]["left_out"] == {bob: "max_share"}

        claims = {"bob": 30.0, "carol": 20.0}
        asked = {"direction": "allocate", "fairness": {"by_rating": True}}
        assert market.name_of(await market.round(claims, **asked)) == "bob"
        await market.rated(13, agent_id=bob, claimed=30, realised=5)
        (told,) = await market.typed("rate", bob, "--claimed", "30", "--realised", "5")
        assert told["standing"]["rating"] < 0.5
        assert market.name_of(await market.round(claims, **asked)) == "carol"

        (seen,) = await market.typed("show")
        standings = {one["agent_id"]: one for one in seen["market"]["standings"]}
        assert standings[bob]["awards"] == 3
        assert standings[bob]["tasks"] == 14
        assert int(seen["market"]["probes"]) >= 2

        scraped = probing.metrics()
        even = re.search(r'llmx_jain\{of="awards",tenant="default"\} (\S+)', scraped)
        assert even is not None and 0 < float(even[1]) <= 1
        assert re.search(r"llmx_probes_total [1-9]", scraped)


async def test_a_probe_is_in_the_record_and_nowhere_else(probing: Gateway) -> None:
    """N-6.5: the round stays open until its probe has come, and its outcome knows of none."""
    market = Market(probing)
    async with market.crowd:
        await market.come()
        await market.round({"bob": 10.0, "carol": 20.0}, task={"name": "probed"})
        outcome = await market.round({"bob": 10.0}, task={"name": "probed"}, reply_within=0.5)
        assert market.name_of(outcome) == "bob"
        assert outcome["offers"] == 1 and len(outcome["ranking"]) == 1
    lines = (probing.folder / "records.jsonl").read_text("utf-8").splitlines()
    record = next(line for line in lines if outcome["negotiation_id"] in line)
    events = json.loads(record)["events"]
    probes = [event for _, kind, event in events if kind == "OfferReceived" and event.get("probe")]
    assert len(probes) == 1
    assert 10 / 1.5 <= probes[0]["value"] <= 15
