"""A session outlives its streams, against a small gateway that breaks them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

import llmx
from llmx.link import CONFIRM_AFTER
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.refusal_pb2 import Refusal, RefusalCode
from tests.support.tiny_gateway import TinyGateway
from tests.unit.client.conftest import AgentMaker

ALICE, BOB = "agent://alice", "agent://bob"


def letters(*names: str) -> dict[str, list[Envelope]]:
    """Return a batch of messages that the gateway brings."""
    made = [
        Envelope(
            msg_id=name,
            sender="agent://x",
            act=Act.ACT_MESSAGE,
            payload=f'{{"text":"{name}"}}'.encode(),
        )
        for name in names
    ]
    return {"envelopes": made}


def noting(agent: llmx.Agent, expected: int) -> tuple[list[str], asyncio.Event]:
    """Return what an agent hears, and an event for when it has heard so much."""
    heard: list[str] = []
    complete = asyncio.Event()

    @agent.on_message
    def note(message: llmx.Message) -> None:
        heard.append(message.text)
        if len(heard) == expected:
            complete.set()

    return heard, complete


async def test_a_break_in_the_middle_of_the_batches_leaves_no_gap_and_no_repeat(
    agent: AgentMaker,
) -> None:
    """Two batches arrive, two are lost on their way, two come when the stream is broken."""
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address)
        heard, complete = noting(bob, 6)
        async with bob:
            member = gateway.members[BOB]
            member.tell(0, batch=letters("a"))
            member.tell(0, batch=letters("b"))
            await gateway.until(lambda: gateway.acked["b"] == 1)
            member.is_unheard = True
            member.tell(0, batch=letters("c"))
            member.tell(0, batch=letters("d"))
            gateway.cut(BOB)
            member.tell(0, batch=letters("e"))
            member.tell(0, batch=letters("f"))
            await complete.wait()
            await gateway.until(lambda: gateway.acked["f"] == 1)
        assert heard == list("abcdef")
        assert gateway.acked == dict.fromkeys("abcdef", 1)
        assert gateway.hellos[1].confirmed_number == 2
        assert gateway.hellos[1].hello.resume_token == member.token


async def test_only_what_the_gateway_did_not_handle_is_sent_again(agent: AgentMaker) -> None:
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        async with asyncio.TaskGroup() as tasks:
            member = gateway.members[ALICE]
            member.is_unheard = True
            first = tasks.create_task(alice.send("agent://x", "handled"))
            await gateway.until(lambda: len(gateway.received) == 1)
            member.is_deaf = True
            second = tasks.create_task(alice.send("agent://x", "lost"))
            await asyncio.sleep(0)  # it is queued
            gateway.cut(ALICE)
        received = [envelope.msg_id for envelope in gateway.received]
        assert received == [first.result(), second.result()]


async def test_a_refusal_that_was_lost_with_its_stream_is_still_heard(agent: AgentMaker) -> None:
    """That its frame was handled does not mean that a message was admitted."""
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        code = RefusalCode.REFUSAL_CODE_CONSENT_MISSING
        gateway.judge = lambda envelope: Refusal(code=code, reason="no")
        gateway.members[ALICE].is_unheard = True
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_refused(alice))
            await gateway.until(lambda: len(gateway.received) == 1)
            gateway.cut(ALICE)
        assert len(gateway.received) == 1


async def _refused(alice: llmx.Agent) -> None:
    with pytest.raises(llmx.Refused):
        await alice.send("agent://x", "hi")


async def test_acknowledgements_that_were_lost_are_sent_again(agent: AgentMaker) -> None:
    async with TinyGateway() as gateway, agent("bob", gateway.address) as bob:
        member = gateway.members[BOB]
        member.is_deaf = True
        heard = asyncio.Event()
        bob.on_message(lambda message: heard.set())
        member.tell(0, batch=letters("a"))
        await heard.wait()
        gateway.cut(BOB)
        await gateway.until(lambda: gateway.acked["a"] == 1)
        assert len(gateway.hellos) == 2


async def test_a_batch_that_comes_again_is_ignored_wholly(agent: AgentMaker) -> None:
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address)
        heard, complete = noting(bob, 2)
        async with bob:
            member = gateway.members[BOB]
            member.tell(0, batch=letters("a"))
            member.frames.put_nowait(member.kept[-1])
            member.tell(0, batch=letters("b"))
            await complete.wait()
            await gateway.until(lambda: gateway.acked["b"] == 1)
        assert heard == ["a", "b"]
        assert gateway.acked["a"] == 1, "not even acknowledged again"


async def test_a_gap_breaks_the_stream_and_is_mended_by_the_next(agent: AgentMaker) -> None:
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address)
        heard, complete = noting(bob, 3)
        async with bob:
            member = gateway.members[BOB]
            member.tell(0, batch=letters("a"))
            member.is_unheard = True
            member.tell(0, batch=letters("b"))
            member.is_unheard = False
            member.tell(0, batch=letters("c"))
            await complete.wait()
        assert heard == ["a", "b", "c"]
        assert [hello.confirmed_number for hello in gateway.hellos] == [0, 1]


async def test_a_session_that_is_not_resumed_begins_at_one_and_repeats_what_is_owed(
    agent: AgentMaker,
) -> None:
    async with TinyGateway() as gateway:
        gateway.resumes = False
        bob = agent("bob", gateway.address)
        heard, complete = noting(bob, 2)
        async with bob:
            member = gateway.members[BOB]
            gateway.deliver(BOB, letters("a")["envelopes"][0])
            await gateway.until(lambda: gateway.acked["a"] == 1)
            member.is_deaf = gateway.is_mute = True
            gateway.deliver(BOB, letters("b")["envelopes"][0])
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(bob.send("agent://x", "lost"))
                await complete.wait()
                gateway.is_mute = False
                gateway.cut(BOB)
            await gateway.until(lambda: gateway.acked["b"] == 1)
            assert gateway.members[BOB] is not member
            assert gateway.members[BOB].handled >= 1
        assert heard == ["a", "b"]


async def test_an_agent_that_only_listens_confirms_now_and_then(agent: AgentMaker) -> None:
    async with TinyGateway() as gateway, agent("bob", gateway.address):
        member = gateway.members[BOB]
        for _ in range(CONFIRM_AFTER):
            member.tell(0, batch={})
        await gateway.until(lambda: member.beats == 1)
        assert member.confirmed == CONFIRM_AFTER


async def test_a_silent_agent_shows_that_it_is_alive(agent: AgentMaker) -> None:
    async with TinyGateway() as gateway:
        gateway.heartbeat = 0.02
        async with agent("bob", gateway.address):
            member = gateway.members[BOB]
            await gateway.until(lambda: member.beats > 0)


async def test_a_silent_gateway_is_left_and_the_session_goes_on(agent: AgentMaker) -> None:
    async with TinyGateway() as gateway:
        gateway.heartbeat = 0.02
        async with agent("bob", gateway.address):
            await gateway.until(lambda: len(gateway.hellos) == 2)
            assert gateway.hellos[1].hello.resume_token == gateway.members[BOB].token


async def test_who_knows_other_gateways_does_not_go_back_to_a_silent_one(agent: AgentMaker) -> None:
    """It takes connections, for the kernel does that, and may never answer on them."""
    async with TinyGateway() as one, TinyGateway() as two:
        one.heartbeat = 0.02
        async with agent("bob", f"{one.address},{two.address}"):
            one.admits = lambda name: False
            await two.until(lambda: BOB in two.members)
        assert len(one.hellos) == 1


async def test_a_stopping_gateway_sends_its_agents_to_another_one(agent: AgentMaker) -> None:
    async with TinyGateway() as one, TinyGateway() as two:
        async with agent("bob", one.address) as bob:
            one.say_goodbye(BOB, "stopping", move_to=["127.0.0.1:1", two.address])
            await two.until(lambda: BOB in two.members)
            await bob.send("agent://x", "hi")
            assert len(two.received) == 1
        assert len(one.hellos) == 1


async def test_when_no_named_gateway_answers_the_configured_one_is_tried(agent: AgentMaker) -> None:
    async with TinyGateway() as gateway, agent("bob", gateway.address):
        gateway.say_goodbye(BOB, "stopping", move_to=["127.0.0.1:1"], resume_token="moved")
        await gateway.until(lambda: len(gateway.hellos) == 2)
        assert gateway.hellos[1].hello.resume_token == "moved"


@pytest.mark.parametrize(
    "reason", ["silent", "aged", "out_of_order", "stopping", "slow_consumer", "of_the_future"]
)
async def test_after_any_other_goodbye_the_session_goes_on(agent: AgentMaker, reason: str) -> None:
    async with TinyGateway() as gateway, agent("bob", gateway.address) as bob:
        gateway.say_goodbye(BOB, reason)
        await gateway.until(lambda: len(gateway.hellos) == 2)
        await bob.send("agent://x", "hi")
        assert gateway.hellos[1].hello.resume_token == gateway.members[BOB].token


async def test_a_slow_agent_is_warned_in_the_log_and_by_its_hook(
    agent: AgentMaker, caplog: pytest.LogCaptureFixture
) -> None:
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address)
        told: asyncio.Queue[llmx.SlowConsumer] = asyncio.Queue()
        bob.on_slow_consumer(told.put_nowait)
        with caplog.at_level(logging.WARNING, "llmx"):
            async with bob:
                warning = {"waiting_messages": 50, "waiting_messages_max": 100}
                gateway.members[BOB].tell(0, slow_consumer=warning)
                assert await told.get() == llmx.SlowConsumer(50, 100)
    assert "agent://bob is slow: 50 messages wait" in caplog.text


@pytest.mark.parametrize("breaks", [lambda g: g.cut(BOB), lambda g: g.say_goodbye(BOB, "aged")])
async def test_after_resuming_nothing_is_called_or_offered_again(
    agent: AgentMaker, breaks: Callable[[TinyGateway], None]
) -> None:
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        carol = agent("carol", gateway.address, topics=["gpu"])
        gate = asyncio.Event()
        bob.on_cfp(lambda call: call.offer(1))

        @carol.on_cfp
        async def think(call: llmx.Call) -> llmx.Offer:
            await gate.wait()
            return call.offer(2)

        async with (
            bob,
            carol,
            agent("alice", gateway.address) as alice,
            alice.negotiate({"reply_within": 5}, to="topic://gpu") as n,
        ):
            await gateway.until(lambda: len(gateway.received) == 2)
            breaks(gateway)
            gateway.cut(ALICE)
            await gateway.until(lambda: len(gateway.hellos) == 5)
            gate.set()
            events = [event async for event in n]
        acts = [envelope.act for envelope in gateway.received]
        assert acts == [Act.ACT_CFP, Act.ACT_OFFER, Act.ACT_OFFER]
        assert sum(isinstance(event, llmx.Opened) for event in events) == 1
