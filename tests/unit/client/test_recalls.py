"""Open calls after a gateway was lost: the contractors have time to come back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

import llmx
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.exchange_service_pb2 import ResponseBatch
from llmx.v1.refusal_pb2 import Refusal, RefusalCode
from tests.support.tiny_gateway import TinyGateway
from tests.unit.client.conftest import AgentMaker

SOON = {"reply_within": 0.4}
NOBODY = RefusalCode.REFUSAL_CODE_NO_RECIPIENTS


def refusing(times: int, code: RefusalCode) -> Callable[[Envelope], Refusal | None]:
    """Return a judge that refuses so many calls."""
    left = [times]

    def judge(envelope: Envelope) -> Refusal | None:
        if envelope.act != Act.ACT_CFP or not left[0]:
            return None
        left[0] -= 1
        return Refusal(code=code, reason="nobody listens")

    return judge


async def ponder(call: llmx.Call) -> None:
    await asyncio.Event().wait()


async def lose(
    stack: contextlib.AsyncExitStack, agent: AgentMaker
) -> tuple[llmx.Negotiation, TinyGateway]:
    """Return a negotiation whose gateway is lost, and the one that comes after."""
    async with TinyGateway() as first:
        for name in ("bob", "carol"):
            contractor = agent(name, first.address, topics=["gpu"])
            contractor.on_cfp(ponder)
            await stack.enter_async_context(contractor)
        alice = await stack.enter_async_context(agent("alice", first.address))
        n = await stack.enter_async_context(alice.negotiate(SOON, to="topic://gpu"))
        await first.until(lambda: len(first.acked) == 1 and first.acked.total() == 2)
    return n, TinyGateway(first.port)


@pytest.mark.slow
async def test_a_repeated_call_waits_until_the_contractors_are_back(agent: AgentMaker):
    async with contextlib.AsyncExitStack() as stack:
        n, second = await lose(stack, agent)
        # Without a settling time the call would be there first.
        second.admits = lambda name: name == "agent://alice" or "agent://alice" in second.members
        await stack.enter_async_context(second)
        opened = [await anext(n), await anext(n)]
        await n.cancel()
    assert [len(event.eligible) for event in opened if isinstance(event, llmx.Opened)] == [2, 2]


@pytest.mark.slow
async def test_the_second_opening_names_who_is_missing(agent: AgentMaker):
    async with contextlib.AsyncExitStack() as stack:
        n, second = await lose(stack, agent)
        second.admits = lambda name: name != "agent://carol" or len(second.rounds) > 0
        await stack.enter_async_context(second)
        await anext(n)
        again = await anext(n)
        await n.cancel()
    assert isinstance(again, llmx.Opened)
    assert (again.eligible, again.missing) == (("agent://bob",), ("agent://carol",))


@pytest.mark.slow
async def test_a_repeat_that_finds_nobody_is_tried_again(agent: AgentMaker):
    async with contextlib.AsyncExitStack() as stack:
        n, second = await lose(stack, agent)
        second.judge = refusing(1, NOBODY)
        await stack.enter_async_context(second)
        first, again = await anext(n), await anext(n)
        await n.cancel()
    assert isinstance(first, llmx.Opened) and isinstance(again, llmx.Opened)
    assert first.negotiation_id != again.negotiation_id


@pytest.mark.slow
async def test_a_repeat_that_finds_nobody_until_its_time_is_over_raises(agent: AgentMaker):
    async with contextlib.AsyncExitStack() as stack:
        n, second = await lose(stack, agent)
        second.judge = refusing(10_000, NOBODY)
        await stack.enter_async_context(second)
        await anext(n)
        with pytest.raises(llmx.Refused, match="NO_RECIPIENTS"):
            await anext(n)
    assert sum(envelope.act == Act.ACT_CFP for envelope in second.received) > 1


async def test_a_first_call_that_finds_nobody_raises_at_once(agent: AgentMaker):
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        gateway.judge = refusing(10_000, NOBODY)
        with pytest.raises(llmx.Refused, match="NO_RECIPIENTS"):
            await alice.call(SOON, to="topic://gpu")
    assert len(gateway.received) == 1


FENCED = Refusal(code=RefusalCode.REFUSAL_CODE_FENCED, reason="not now")
FENCED.retry_after.FromMilliseconds(10)


def fenced(times: int) -> Callable[[Envelope], Refusal | None]:
    """Return a judge of a gateway that must not decide when so many calls come."""
    left = [times]

    def judge(envelope: Envelope) -> Refusal | None:
        if envelope.act != Act.ACT_CFP or not left[0]:
            return None
        left[0] -= 1
        told = Refusal()
        told.CopyFrom(FENCED)
        return told

    return judge


async def test_a_call_is_sent_again_to_a_gateway_that_must_not_decide_now(agent: AgentMaker):
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        gateway.judge = fenced(2)
        bob = agent("bob", gateway.address, topics=["gpu"])
        bob.on_cfp(lambda call: call.offer(value=4))
        async with bob:
            outcome = await alice.call(SOON, to="topic://gpu")
    assert [winner.agent for winner in outcome.winners] == ["agent://bob"]
    calls = [one for one in gateway.received if one.act == Act.ACT_CFP]
    assert [call.sent_before for call in calls] == [False] * 3, "nobody has opened it"


async def test_a_call_with_a_deadline_is_not_repeated_past_it(agent: AgentMaker):
    soon = (datetime.now(UTC) + timedelta(seconds=0.1)).isoformat()
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        gateway.judge = fenced(10_000)
        with pytest.raises(llmx.Refused, match="FENCED"):
            await alice.call({"deadline": soon}, to="topic://gpu")
    assert len(gateway.received) > 1


async def test_a_first_call_that_waited_for_a_fence_and_finds_nobody_raises(agent: AgentMaker):
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        answers = iter((FENCED, Refusal(code=NOBODY, reason="nobody listens")))
        gateway.judge = lambda envelope: next(answers)
        with pytest.raises(llmx.Refused, match="NO_RECIPIENTS"):
            await alice.call(SOON, to="topic://gpu")


def lost(negotiation: llmx.Negotiation) -> ResponseBatch:
    """Return what a gateway says when the one that decided a negotiation is gone."""
    refusal = Refusal(
        code=RefusalCode.REFUSAL_CODE_NEGOTIATION_LOST,
        msg_id=negotiation.call.msg_id,
        negotiation_id=negotiation.negotiation_id,
    )
    return ResponseBatch(refusals=[refusal])


async def test_a_call_is_sent_again_when_the_gateway_that_decided_it_is_gone(agent: AgentMaker):
    """Though the stream to the agent's own gateway lives."""
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        bob = agent("bob", gateway.address, topics=["gpu"])
        asked: list[llmx.Call] = []
        answers = asyncio.Event()

        async def answer(call: llmx.Call) -> llmx.Offer:
            asked.append(call)
            await answers.wait()
            return call.offer(value=4)

        bob.on_cfp(answer)
        async with bob, alice.negotiate({"reply_within": 0.1}, to="topic://gpu") as n:
            await gateway.until(lambda: gateway.acked.total() == 1)
            gateway.forget()
            word = lost(n)
            for _ in range(2):  # the second may come when the call is open anew
                gateway.members["agent://alice"].tell(0, batch=word)
            await gateway.until(lambda: bool(gateway.rounds))
            gateway.members["agent://alice"].tell(0, batch=word)
            answers.set()
            async for _ in n:
                pass
            assert n.outcome is not None and n.outcome.state == "committed"
    calls = [one for one in gateway.received if one.act == Act.ACT_CFP]
    assert [call.msg_id for call in calls] == 2 * [n.call.msg_id]
    assert [call.sent_before for call in calls] == [False, True]
    assert len(asked) == 1  # bob knows the call
