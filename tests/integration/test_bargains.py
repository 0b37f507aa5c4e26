"""Agents of the library play every protocol through a real gateway."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import llmx
from tests.support.raw_agent import Crowd


def agent(crowd: Crowd, name: str, **options: Any) -> llmx.Agent:
    """Return an agent of the library on the gateway of the crowd, which hears everybody."""
    called = crowd.name(name)
    token = crowd.gateway.token(called)
    return llmx.Agent(
        f"agent://{called}", crowd.gateway.address, token=token, consents=["*"], **options
    )


@pytest.mark.parametrize("window", [0, 1])
async def test_two_agents_bargain_to_an_agreement(crowd: Crowd, window: int) -> None:
    """Also one that asks for a message at a time: its handler runs while more come."""
    alice, bob = agent(crowd, "alice"), agent(crowd, "bob", window_messages=window)
    heard: list[llmx.Bargain] = []

    @bob.on_bargain
    async def sell(bargain: llmx.Bargain) -> None:
        heard.append(bargain)
        async for turn in bargain:
            asked = 70 - 5 * turn.round
            standing = bargain.standing
            if standing is not None and standing.value is not None and standing.value >= asked:
                await bargain.accept()
            else:
                await bargain.propose(value=asked, terms={"price": asked}, text="Best price!")

    async with bob, alice, alice.bargain({"reply_within": 5}, to=bob.agent_id) as bargain:
        async for turn in bargain:
            assert bargain.standing is not None and bargain.standing.text == "Best price!"
            await bargain.propose(value=20 + 5 * turn.round)
    assert bargain.outcome is not None
    agreement = bargain.outcome.agreement
    assert agreement is not None and bargain.outcome.ended_by == "agreement"
    assert (agreement.by, agreement.value) == (alice.agent_id, 50)
    assert [proposal.by for proposal in bargain.proposals] == [bob.agent_id, alice.agent_id] * 3
    assert [proposal.value for proposal in bargain.proposals] == [65, 30, 55, 40, 45, 50]
    assert heard[0].proposals == bargain.proposals
    assert heard[0].outcome is not None and heard[0].outcome.agreement == agreement


async def test_strategies_concede_until_their_deals_meet(crowd: Crowd) -> None:
    alice, bob = agent(crowd, "alice"), agent(crowd, "bob")

    def concede(start: float, step: float) -> Any:
        return lambda bargain: llmx.Propose(value=start + step * bargain.turn.round)

    @bob.on_bargain
    async def sell(bargain: llmx.Bargain) -> None:
        await bargain.play(concede(70, -10))

    rules = {"concession": "both", "step_min": 5, "max_rounds": 10}
    called = alice.bargain(
        {"reply_within": 5, "bargaining": rules}, to=bob.agent_id, protocol="monotonic-concession"
    )
    async with bob, alice, called as bargain:
        outcome = await bargain.play(concede(20, 10))
    assert outcome.agreement is not None and outcome.agreement.value in (40, 50)
    assert bargain.standing is not None and bargain.own is not None


async def test_who_calls_may_propose_first(crowd: Crowd) -> None:
    alice, bob = agent(crowd, "alice"), agent(crowd, "bob")

    @bob.on_bargain
    async def take(bargain: llmx.Bargain) -> None:
        await bargain.play(lambda bargain: llmx.Accept())

    rules = {"first": "initiator", "max_rounds": 4}
    async with bob, alice:
        call = {"reply_within": 5, "bargaining": rules}
        async with alice.bargain(call, to=bob.agent_id) as bargain:
            outcome = await bargain.play(lambda _: llmx.Propose(terms={"when": "noon"}))
        opening = {"reply_within": 5, "bargaining": {"opening": {"value": 7}}}
        async with alice.bargain(opening, to=bob.agent_id) as opened:
            assert [turn async for turn in opened] == []
    assert outcome.agreement is not None and outcome.agreement.terms == {"when": "noon"}
    assert opened.outcome is not None and opened.outcome.agreement is not None
    assert opened.outcome.agreement.value == 7


async def test_a_move_that_breaks_a_rule_is_raised_and_may_be_mended(crowd: Crowd) -> None:
    alice, bob = agent(crowd, "alice"), agent(crowd, "bob")

    @bob.on_bargain
    async def sell(bargain: llmx.Bargain) -> None:
        await bargain.play(lambda bargain: llmx.Propose(value=60 - bargain.turn.round))

    call = {"reply_within": 5, "bargaining": {"must_concede": True, "step_min": 1}}
    async with bob, alice, alice.bargain(call, to=bob.agent_id) as bargain:
        async for turn in bargain:
            if turn.round < 4:
                await bargain.propose(value=30)
                continue
            with pytest.raises(llmx.Refused) as worse:
                await bargain.propose(value=20)
            assert bargain.turn is not None, "it is still to move"
            await bargain.accept()
    assert worse.value.code == "MUST_CONCEDE"
    assert bargain.outcome is not None and bargain.outcome.agreement is not None
    assert bargain.outcome.agreement.value == 57


@pytest.mark.parametrize("how", ["no handler", "returns", "fails", "ends", "refuses to move"])
async def test_a_bargain_that_nobody_goes_on_with_is_ended(crowd: Crowd, how: str) -> None:
    alice, bob = agent(crowd, "alice"), agent(crowd, "bob")

    async def bargain_on(bargain: llmx.Bargain) -> None:
        if how == "fails":
            raise RuntimeError("not today")
        if how == "ends":
            await bargain.play(lambda bargain: llmx.End("too_far"))
        if how == "refuses to move":
            await bargain.play(lambda bargain: llmx.Propose())

    if how != "no handler":
        bob.on_bargain(bargain_on)
    async with bob, alice, alice.bargain({"reply_within": 5}, to=bob.agent_id) as bargain:
        async for _ in bargain:
            pytest.fail("bob is to move, and ends it")
    assert bargain.outcome is not None and bargain.outcome.ended_by == "end"
    reasons = {
        "no handler": "no_handler",
        "returns": "left",
        "fails": "handler_failed",
        "ends": "too_far",
        "refuses to move": "no_legal_move",
    }
    assert bargain.outcome.reason == reasons[how]


async def test_leaving_a_bargain_cancels_it(crowd: Crowd) -> None:
    alice, bob = agent(crowd, "alice"), agent(crowd, "bob")
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @bob.on_bargain
    async def wait(bargain: llmx.Bargain) -> None:
        async for _ in bargain:
            await bargain.propose(value=1)
        assert bargain.outcome is not None
        ended.set_result(bargain.outcome.state)

    async with bob, alice:
        async with alice.bargain({"reply_within": 5}, to=bob.agent_id) as bargain:
            async for _ in bargain:
                break
        async with asyncio.timeout(5):
            assert await ended == "cancelled"


async def test_a_party_thinks_and_remarks_within_its_turn(crowd: Crowd) -> None:
    alice, bob = agent(crowd, "alice"), agent(crowd, "bob")

    @bob.on_bargain
    async def ponder(bargain: llmx.Bargain) -> None:
        async for _ in bargain:
            await bargain.thinking(1)
            await bargain.remark({"words": "Let me see."})
            await bargain.propose(value=9)

    async with bob, alice, alice.bargain({"reply_within": 5}, to=bob.agent_id) as bargain:
        async for _ in bargain:
            await bargain.accept()
    (remark,) = bargain.remarks
    assert remark.body["result"] == {"words": "Let me see."}


async def test_an_initiator_calls_the_best_to_another_round(crowd: Crowd) -> None:
    alice = agent(crowd, "alice")
    contractors = [agent(crowd, name, topics=[crowd.topic()]) for name in ("bob", "carol", "dave")]
    prices = iter((50, 40, 60))
    heard: list[tuple[int, int]] = []
    verdicts: list[llmx.Verdict] = []
    all_heard = asyncio.Event()

    def hear(verdict: llmx.Verdict) -> None:
        verdicts.append(verdict)
        if len(verdicts) == len(contractors):
            all_heard.set()

    for contractor in contractors:
        price = next(prices)
        contractor.on_outcome(hear)

        @contractor.on_cfp
        def quote(call: llmx.Call, price: int = price) -> llmx.Offer:
            assert call.turn is not None
            heard.append((call.turn.round, call.turn.rounds_left))
            return call.offer(value=price - 5 * (call.turn.round - 1))

    call = {
        "reply_within": 5,
        "protocol": "iterated-contract-net",
        "decider": "initiator",
        "iterations": {"rounds_max": 2},
    }
    bob, carol, dave = contractors
    rounds: list[list[float | None]] = []
    async with (
        bob,
        carol,
        dave,
        alice,
        alice.negotiate(call, to=crowd.topic(), policy="high") as negotiation,
    ):
        async for event in negotiation:
            if not isinstance(event, llmx.Ranked):
                continue
            rounds.append([offer.value for offer in event.offers])
            if len(rounds) == 1:
                await negotiation.revise(event.offers[:2], {"reserve": 45})
            else:
                await negotiation.accept(event.offers[0])
        async with asyncio.timeout(5):
            await all_heard.wait()
        assert not sum(len(contractor._contractor) for contractor in contractors)
    assert rounds == [[40, 50, 60], [35, 45]]
    outcome = negotiation.outcome
    assert outcome is not None and outcome.winner is not None
    assert (outcome.winner.agent, outcome.winner.price) == (carol.agent_id, 35)
    assert sorted(heard) == [(1, 1)] * 3 + [(2, 0)] * 2


async def test_contractors_commit_their_bids_and_reveal_them_by_themselves(crowd: Crowd) -> None:
    alice = agent(crowd, "alice")
    bob, carol = (agent(crowd, name, topics=[crowd.topic()]) for name in ("bob", "carol"))
    verdicts: list[llmx.Verdict] = []
    for contractor, value in ((bob, 40.5), (carol, 45)):
        contractor.follow(llmx.strategies.build("fixed", value=value, terms={"gpus": 4}))
    bob.on_outcome(verdicts.append)
    call = {
        "reply_within": 5,
        "protocol": "sealed-bid",
        "sealed": {"price": "second", "commit": True, "reveal_within": 3},
    }
    async with bob, carol, alice:
        outcome = await alice.call(call, to=crowd.topic(), policy="high")
    assert outcome.winner is not None
    assert (outcome.winner.agent, outcome.winner.price) == (bob.agent_id, 45)
    assert [(verdict.won, verdict.price) for verdict in verdicts] == [(True, 45)]
