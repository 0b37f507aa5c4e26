"""The strategies of the library, played by agents through a real gateway."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import llmx
from llmx.bargain import Strategy
from llmx.concession import Concede
from llmx.rubinstein import Equilibrium
from llmx.zeuthen import Candidate, Zeuthen
from tests.support.raw_agent import Crowd

UTILITIES = {"initiator": "terms.a", "responder": "terms.b"}
DEALS = [(9, 1), (8, 3), (6, 5), (5, 7), (2, 9), (1, 4)]
"""What six deals are worth to both; the fourth has the greatest product."""


def deals_of(which: int) -> Zeuthen:
    return Zeuthen(
        candidates=[
            Candidate(deal[which], deal[1 - which], terms={"deal": n, "a": deal[0], "b": deal[1]})
            for n, deal in enumerate(DEALS)
        ]
    )


async def played(
    crowd: Crowd, protocol: str, rules: dict[str, Any], buys: Strategy, sells: Strategy
) -> llmx.Outcome:
    """Let alice call bob to a bargain, and return what both were told."""
    alice, bob = (
        llmx.Agent(
            f"agent://{called}",
            crowd.gateway.address,
            token=crowd.gateway.token(called),
            consents=["*"],
        )
        for called in map(crowd.name, ("alice", "bob"))
    )
    heard: asyncio.Queue[llmx.Outcome] = asyncio.Queue(1)

    @bob.on_bargain
    async def answer(bargain: llmx.Bargain) -> None:
        await heard.put(await bargain.play(sells))

    call = alice.bargain(
        {"reply_within": 20, "bargaining": rules}, to=bob.agent_id, protocol=protocol
    )
    async with bob, alice, call as bargain:
        told = await bargain.play(buys)
        async with asyncio.timeout(5):
            assert (await heard.get()).agreement == told.agreement
    return told


@pytest.mark.parametrize("first", ["initiator", "responder"])
async def test_two_who_know_each_others_patience_agree_at_once(crowd: Crowd, first: str) -> None:
    """N-5.2: (.9,.8) gives who is first 0.714286, here in whole credits of a thousand."""
    buyer, seller = (0.9, 0.8) if first == "initiator" else (0.8, 0.9)
    outcome = await played(
        crowd,
        "alternating-offers",
        {"first": first, "discount": {"kind": "round", "initiator": buyer, "responder": seller}},
        Equilibrium(low=0, high=1000, own=buyer, other=seller),
        Equilibrium(low=0, high=1000, own=seller, other=buyer),
    )
    assert outcome.agreement is not None
    assert outcome.agreement.body["round"] == 1
    exact = 1000 * (1 - 0.714286 if first == "initiator" else 0.714286)
    assert outcome.agreement.value == pytest.approx(exact, abs=1)


async def test_two_who_concede_by_their_risk_reach_the_greatest_product(crowd: Crowd) -> None:
    """N-4.7: over a wire as in theory."""
    rules = {"concession": "zeuthen", "utilities": UTILITIES}
    outcome = await played(crowd, "monotonic-concession", rules, deals_of(0), deals_of(1))
    assert outcome.agreement is not None
    assert outcome.agreement.terms["deal"] == 3


async def test_two_who_give_way_meet(crowd: Crowd) -> None:
    outcome = await played(
        crowd,
        "alternating-offers",
        {"max_rounds": 12, "must_concede": True},
        Concede(start=0, limit=60),
        Concede(start=100, limit=40),
    )
    assert outcome.agreement is not None and outcome.agreement.value is not None
    assert 40 <= outcome.agreement.value <= 60
