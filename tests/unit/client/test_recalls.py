"""Open calls after a gateway was lost: the contractors have time to come back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest

import llmx
from llmx.v1.envelope_pb2 import Act, Envelope
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
