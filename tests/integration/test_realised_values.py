"""Ratings by what initiators report, through a real gateway, and what a restart remembers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest

from llmx.v1.envelope_pb2 import Act
from llmx.v1.market_pb2 import Standing
from llmx.v1.market_service_pb2 import GetStandingRequest
from llmx.v1.market_service_pb2_grpc import MarketServiceStub
from llmx.v1.token_service_pb2 import BidForTokensRequest, ListLimitsRequest, SpendTokensRequest
from llmx.v1.token_service_pb2_grpc import TokenServiceStub
from tests.support.gateways import running
from tests.support.raw_agent import Crowd, RawAgent

pytestmark = pytest.mark.slow

BIDDERS = 10
"""One of them lies."""
ROUNDS = 14
"""A liar that realises a third has less than half of its rating then."""
SECONDS_MAX = 8.0


async def standing(agent: RawAgent, of: str = "") -> Standing:
    """Return how an agent stands, as it is told itself."""
    request = GetStandingRequest(agent_id=of)
    asked = MarketServiceStub(agent.channel).GetStanding(request, metadata=agent.metadata)
    return (await asked).standing


async def rated(agent: RawAgent, tasks: int) -> float:
    """Return the rating of an agent once so many of its tasks were rated."""
    async with asyncio.timeout(SECONDS_MAX):
        while (found := await standing(agent)).tasks < tasks:
            pass
    assert found.tasks == tasks
    return found.rating


async def worked(alice: RawAgent, bidders: list[RawAgent], topic: str, **call: Any) -> str:
    """Award all bidders, and let them report the end of their work; returns the negotiation."""
    opened = await alice.call_for(
        topic, direction="allocate", max_awards=len(bidders), report_within=60, **call
    )
    for bidder in bidders:
        await bidder.offer(opened.negotiation_id, 30.0)
    for bidder in bidders:
        await bidder.message(Act.ACT_ACCEPT, opened.negotiation_id)
        await bidder.do(Act.ACT_INFORM, opened.negotiation_id, {"done": True})
    await alice.outcome(opened.negotiation_id)
    for _ in bidders:  # their reports, which are relayed
        await alice.message(Act.ACT_INFORM, opened.negotiation_id)
    return opened.negotiation_id


async def test_liars_lose_their_rating_by_what_initiators_report_and_a_restart_remembers(
    tmp_path: Path,
) -> None:
    """A tenth claims three times what comes true; shares of awards outlive the gateway too."""
    folder, kept = tmp_path / "gateway", {"mailbox__file": tmp_path / "kept.db"}
    with running(folder, **kept) as gateway:
        async with Crowd(gateway) as crowd:
            alice = await crowd.open("alice")
            pair = await crowd.contractors(
                "liar", "honest", topics=[crowd.topic(), crowd.topic("pair")]
            )
            others = await crowd.contractors(*(f"b{number}" for number in range(BIDDERS - 2)))
            bidders = [*pair, *others]
            for _ in range(ROUNDS):
                negotiation_id = await worked(alice, bidders, crowd.topic())
                for number, bidder in enumerate(bidders):
                    realised = 30.0 if number else 10.0
                    said = {"agent": bidder.address, "realised": realised}
                    await alice.do(Act.ACT_INFORM, negotiation_id, said)
            ratings = [await rated(bidder, ROUNDS) for bidder in bidders]
            assert ratings[0] < 0.5, ratings
            assert ratings[1:] == [1.0] * (BIDDERS - 1)

            liar, honest = pair
            asked = {"direction": "allocate", "fairness": {"by_rating": True}}
            opened = await alice.call_for(crowd.topic("pair"), **asked)
            await liar.offer(opened.negotiation_id, 30)
            await honest.offer(opened.negotiation_id, 20)
            outcome = await alice.outcome(opened.negotiation_id)
            assert outcome["winners"][0]["agent"] == honest.address
    with running(folder, **kept) as gateway:
        async with Crowd(gateway) as crowd:
            again = RawAgent(liar.name, gateway.token(liar.name), gateway.address)
            found = await standing(again)
            await again.close()
            assert (found.rating, found.tasks, found.awards) == (ratings[0], ROUNDS, ROUNDS)


async def test_kill_9_gives_back_no_token_that_was_spent_and_forgets_no_rating(
    tmp_path: Path,
) -> None:
    """What was answered is on disk: 3 of 8 tokens are spent, and half of a claim came true."""
    catalogue = tmp_path / "catalogue.toml"
    catalogue.write_text('[[limits]]\nname = "search"\nrate = 100.0\nburst = 40.0\n')
    folder = tmp_path / "gateway"
    kept = {
        "mailbox__file": tmp_path / "kept.db",
        "market__store": "memory",
        "market__catalogue": catalogue,
    }

    async def bid(agent: RawAgent, count: int) -> int:
        request = BidForTokensRequest(limit="search", tokens=count)
        asked = TokenServiceStub(agent.channel).BidForTokens(request, metadata=agent.metadata)
        return (await asked).sale.tokens

    with running(folder, exit_code=-SIGKILL, **kept) as gateway:
        async with Crowd(gateway) as crowd:
            alice = await crowd.open("alice")
            (bob,) = await crowd.contractors("bob")
            async with asyncio.timeout(SECONDS_MAX):
                while not await bid(bob, 8):
                    pass
            spend = SpendTokensRequest(limit="search", tokens=3)
            stub = TokenServiceStub(bob.channel)
            left = (await stub.SpendTokens(spend, metadata=bob.metadata)).held
            named = await worked(alice, [bob], crowd.topic())
            await alice.do(Act.ACT_INFORM, named, {"realised": 15})
            rating = await rated(bob, 1)
            gateway.process.send_signal(SIGKILL)
            gateway.process.wait()
    with running(folder, **kept) as gateway:
        again = RawAgent(bob.name, gateway.token(bob.name), gateway.address)
        listed = TokenServiceStub(again.channel).ListLimits(
            ListLimitsRequest(), metadata=again.metadata
        )
        (limit,) = (await listed).limits
        found = await standing(again)
        await again.close()
    assert limit.held == left
    assert (found.rating, found.tasks) == (rating, 1)
