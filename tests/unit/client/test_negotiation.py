"""Negotiations as their initiator sees them, against a small gateway."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest

import llmx
from llmx import strategies
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.refusal_pb2 import Refusal, RefusalCode
from tests.support.tiny_gateway import TinyGateway
from tests.unit.client.conftest import AgentMaker

GPU: dict[str, Any] = {"task": {"gpus": 4}, "reply_within": 5}
SOON = {**GPU, "reply_within": 0.4}


def bidder(agent: AgentMaker, name: str, gateway: TinyGateway, value: float) -> llmx.Agent:
    contractor = agent(name, gateway.address, topics=["topic://gpu"], capabilities=["propose"])
    contractor.follow(strategies.build("fixed", value=value))
    return contractor


async def test_the_events_tell_the_whole_negotiation_and_the_outcome_is_last(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob, carol = bidder(agent, "bob", gateway, 40), bidder(agent, "carol", gateway, 35)
        mute = agent("mute", gateway.address, topics=["gpu"])
        async with (
            bob,
            carol,
            mute,
            agent("alice", gateway.address) as alice,
            alice.negotiate(GPU, to="topic://gpu", policy="high") as n,
        ):
            events = [event async for event in n]
    kinds = [type(event).__name__ for event in events]
    assert (kinds[0], kinds[-1]) == ("Opened", "Outcome")
    assert sorted(kinds[1:-1]) == ["OfferMade", "OfferMade", "OfferRefused"]
    assert n.outcome is events[-1]
    assert n.outcome.winner is not None and n.outcome.winner.agent == "agent://carol"
    assert len(n.offers) == 2


async def test_the_initiator_decides_with_a_function_of_its_own(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob, carol = bidder(agent, "bob", gateway, 40), bidder(agent, "carol", gateway, 35)
        async with bob, carol, agent("alice", gateway.address) as alice:
            outcome = await alice.call(GPU, to="topic://gpu", choose=lambda offers: offers[-1])
            cheapest = await alice.call(GPU, to="topic://gpu", choose=strategies.cheapest)
    assert outcome.winner is not None and outcome.winner.agent == "agent://bob"
    assert cheapest.winner is not None and cheapest.winner.agent == "agent://carol"


async def test_a_refused_call_raises_at_the_door(agent: AgentMaker):
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        code = RefusalCode.REFUSAL_CODE_POLICY_INVALID
        gateway.judge = lambda envelope: Refusal(code=code, reason="no such policy")
        with pytest.raises(llmx.Refused, match="no such policy"):
            async with alice.negotiate(GPU, to="topic://gpu", policy="nonsense"):
                pytest.fail("the negotiation was not opened")


async def test_leaving_before_the_outcome_cancels(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        cancelled = asyncio.Event()

        @bob.on_cfp
        async def think(call: llmx.Call) -> None:
            await cancelled.wait()

        async with bob, agent("alice", gateway.address) as alice:
            async with alice.negotiate(GPU, to="topic://gpu"):
                pass
            await gateway.until(lambda: gateway.received[-1].act == Act.ACT_INFORM)
            cancelled.set()
        acts = [envelope.act for envelope in gateway.received]
        assert acts == [Act.ACT_CFP, Act.ACT_CANCEL, Act.ACT_INFORM]


async def test_a_cancelled_negotiation_ends_with_its_outcome(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        gate = asyncio.Event()

        @bob.on_cfp
        async def think(call: llmx.Call) -> None:
            await gate.wait()

        async with bob, agent("alice", gateway.address) as alice:
            async with alice.negotiate(GPU, to="topic://gpu") as n:
                await n.cancel("changed_mind")
                events = [event async for event in n]
            gate.set()
    assert isinstance(events[-1], llmx.Outcome) and events[-1].state == "cancelled"


async def test_an_open_call_is_opened_anew_by_the_gateway_that_comes_after(agent: AgentMaker):
    """The contractors answer again by themselves: their authors are not asked twice."""
    asked: list[str] = []
    async with contextlib.AsyncExitStack() as stack:
        gate = asyncio.Event()
        async with TinyGateway() as first:
            bob = agent("bob", first.address, topics=["gpu"])
            carol = agent("carol", first.address, topics=["gpu"])

            @bob.on_cfp
            def quote(call: llmx.Call) -> llmx.Offer:
                asked.append(call.negotiation_id)
                return call.offer(40)

            @carol.on_cfp
            async def slow(call: llmx.Call) -> llmx.Offer:
                asked.append(call.negotiation_id)
                await gate.wait()
                return call.offer(50)

            alice = agent("alice", first.address)
            for one in (bob, carol, alice):
                await stack.enter_async_context(one)
            n = await stack.enter_async_context(alice.negotiate(SOON, to="topic://gpu"))
            await first.until(lambda: any(e.act == Act.ACT_OFFER for e in first.received))
        second = TinyGateway(first.port)
        # Alice comes back last, so that both contractors hear the call again.
        second.admits = lambda name: name != alice.agent_id or len(second.members) == 2
        await stack.enter_async_context(second)
        await second.until(lambda: any(round_.offers for round_ in second.rounds.values()))
        gate.set()
        events = [event async for event in n]
    opened = [event.negotiation_id for event in events if isinstance(event, llmx.Opened)]
    assert len(set(opened)) == 2
    assert sorted(asked) == [opened[0]] * 2
    assert [offer.value for offer in n.offers] == [40, 50]
    assert n.outcome is not None and n.outcome.negotiation_id == opened[1]


async def test_a_session_that_ends_for_good_loses_the_negotiation(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        gate = asyncio.Event()

        @bob.on_cfp
        async def think(call: llmx.Call) -> None:
            await gate.wait()

        async with bob, agent("alice", gateway.address) as alice:
            async with alice.negotiate(GPU, to="topic://gpu") as n:
                assert isinstance(await anext(aiter(n)), llmx.Opened)
                gateway.say_goodbye("agent://alice", "replaced")
                with pytest.raises(llmx.NegotiationLost, match=r"tiny\."):
                    await anext(aiter(n))
            gate.set()


async def test_a_gateway_that_tells_no_outcome_is_not_awaited_for_ever(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        gate = asyncio.Event()

        @bob.on_cfp
        async def think(call: llmx.Call) -> None:
            await gate.wait()

        cfp = {"reply_within": 0.01, "decide_within": 0.01, "confirm_within": 0.01}
        async with bob, agent("alice", gateway.address, patience=0.01) as alice:
            with pytest.raises(llmx.NegotiationLost, match="no outcome in time"):
                await alice.call(cfp, to="topic://gpu")
            gate.set()


async def test_an_initiator_says_what_the_work_was_worth(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])

        @bob.on_cfp
        def quote(call: llmx.Call) -> llmx.Offer:
            return call.offer(40, claimed=90)

        async with bob, agent("alice", gateway.address) as alice:
            async with alice.negotiate(SOON, to="topic://gpu") as n:
                async for _ in n:
                    pass
            await n.realised(45)
            await n.realised(60, bob.agent_id)
        said = [one for one in gateway.received if one.sender == alice.agent_id]
        bodies = [json.loads(one.payload) for one in said if one.act == Act.ACT_INFORM]
    assert [(one["realised"], one.get("agent")) for one in bodies] == [
        (45, None),
        (60, "agent://bob"),
    ]
    assert {one.negotiation_id for one in said if one.act == Act.ACT_INFORM} == {
        n.outcome.negotiation_id if n.outcome else ""
    }


async def test_offers_are_told_to_the_hook_too(agent: AgentMaker):
    async with TinyGateway() as gateway:
        heard: list[float] = []
        alice = agent("alice", gateway.address)

        @alice.on_offer
        def note(offer: llmx.OfferMade) -> None:
            heard.append(offer.value)

        async with bidder(agent, "bob", gateway, 40), alice:
            await alice.call(GPU, to="topic://gpu")
            await alice._dispatch.idle()
    assert heard == [40]


def claim(n: llmx.Negotiation, sender: str) -> Envelope:
    """Return somebody's word that the negotiation is over and that it has won."""
    outcome = {"state": "committed", "winners": [{"agent": sender, "offer_id": "o", "value": 1}]}
    return Envelope(
        msg_id=f"claim-of-{sender}",
        sender=sender,
        act=Act.ACT_INFORM,
        negotiation_id=n.negotiation_id,
        payload=json.dumps({"outcome": outcome, "result": "L-17"}).encode(),
    )


async def test_only_a_gateway_is_believed_when_it_tells_the_outcome(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        gate = asyncio.Event()

        @bob.on_cfp
        async def quote(call: llmx.Call) -> llmx.Offer:
            await gate.wait()
            return call.offer(40)

        async with (
            bob,
            agent("alice", gateway.address) as alice,
            alice.negotiate(GPU, to="topic://gpu") as n,
        ):
            letter = claim(n, "agent://mallory")
            gateway.deliver("agent://alice", letter)
            await gateway.until(lambda: gateway.acked[letter.msg_id] == 1)
            assert n.outcome is None
            gate.set()
            events = [event async for event in n]
    assert [type(event).__name__ for event in events] == ["Opened", "OfferMade", "Outcome"]
    assert n.outcome is not None and n.outcome.winner is not None
    assert n.outcome.winner.agent == "agent://bob"


async def test_a_report_that_looks_like_an_outcome_is_a_report(agent: AgentMaker):
    async with (
        TinyGateway() as gateway,
        bidder(agent, "bob", gateway, 40),
        agent("alice", gateway.address) as alice,
        alice.negotiate(GPU, to="topic://gpu") as n,
    ):
        async for _ in n:
            pass
        told = n.outcome
        letter = claim(n, "agent://bob")
        gateway.deliver("agent://alice", letter)
        await gateway.until(lambda: gateway.acked[letter.msg_id] == 1)
        reports = await n.reports()
        assert n.outcome is told
    assert [(report.agent, report.succeeded, report.result) for report in reports] == [
        ("agent://bob", True, "L-17")
    ]


async def test_an_initiator_hears_who_thinks_and_for_how_long_it_is_waited_for(agent: AgentMaker):
    async def think(call: llmx.Call) -> None:
        await asyncio.Event().wait()

    async with (
        TinyGateway() as gateway,
        agent("mute", gateway.address, topics=["gpu"]) as mute,
        agent("alice", gateway.address) as alice,
    ):
        mute.on_cfp(think)
        n = await alice.negotiate(GPU, to="topic://gpu").__aenter__()
        thought = Envelope(
            msg_id="hm",
            sender=mute.agent_id,
            act=Act.ACT_THINKING,
            negotiation_id=n.negotiation_id,
            payload=b'{"seconds": 20}',
        )
        thought.turn.answer_in.FromSeconds(19)
        gateway.deliver("agent://alice", thought)
        while not isinstance(event := await anext(n), llmx.Thought):
            pass
    assert (event.agent, event.seconds) == ("agent://mute", 20)
    assert event.granted == 19, "less than it has asked for"
    assert llmx.Thought("agent://mute", 20).granted is None


async def test_an_initiator_that_decides_asks_for_more_time(agent: AgentMaker):
    async with (
        TinyGateway() as gateway,
        bidder(agent, "bob", gateway, 40),
        agent("alice", gateway.address) as alice,
        alice.negotiate({**GPU, "decider": "initiator"}, to="topic://gpu") as n,
    ):
        async for event in n:
            if isinstance(event, llmx.Ranked):
                await n.thinking(45)
                await n.accept(event.offers[0])
    (asked,) = [one for one in gateway.received if one.act == Act.ACT_THINKING]
    assert (asked.sender, asked.negotiation_id) == ("agent://alice", n.negotiation_id)
    assert json.loads(asked.payload)["seconds"] == 45
