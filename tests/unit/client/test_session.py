"""The one stream and its life across reconnects, against a small gateway."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import pytest

import llmx
from llmx.v1.envelope_pb2 import Act
from llmx.v1.refusal_pb2 import Refusal, RefusalCode
from tests.support.tiny_gateway import TinyGateway
from tests.unit.client.conftest import AgentMaker


class Listener:
    """Notes what an agent hears."""

    def __init__(self, agent: llmx.Agent, expected: int) -> None:
        self.heard: list[str] = []
        self.all = asyncio.Event()
        self._expected = expected
        agent.on_message(self._hear)

    async def _hear(self, message: llmx.Message) -> None:
        self.heard.append(message.text)
        if len(self.heard) >= self._expected:
            self.all.set()


async def test_a_message_arrives_and_is_acknowledged(agent: AgentMaker):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address)
        listener = Listener(bob, 1)
        async with bob, agent("alice", gateway.address) as alice:
            msg_id = await alice.send("agent://bob", "hi", ttl=9)
            await listener.all.wait()
            await gateway.until(lambda: gateway.acked[msg_id] == 1)
    assert listener.heard == ["hi"]
    assert gateway.tokens == ["Bearer bob", "Bearer alice"]


async def test_a_message_without_a_handler_is_acknowledged_too(agent: AgentMaker):
    async with (
        TinyGateway() as gateway,
        agent("bob", gateway.address),
        agent("alice", gateway.address) as alice,
    ):
        msg_id = await alice.send("agent://bob", "hi")
        await gateway.until(lambda: gateway.acked[msg_id] == 1)


async def test_a_repeat_is_acknowledged_and_not_handed_on(agent: AgentMaker):
    async with TinyGateway() as gateway:
        gateway.copies = 3
        bob = agent("bob", gateway.address)
        listener = Listener(bob, 2)
        async with bob, agent("alice", gateway.address) as alice:
            first = await alice.send("agent://bob", "one")
            await alice.send("agent://bob", "two")
            await listener.all.wait()
            await gateway.until(lambda: gateway.acked[first] == 3)
    assert listener.heard == ["one", "two"]


async def test_a_refused_message_raises_and_the_session_lives_on(agent: AgentMaker):
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        code = RefusalCode.REFUSAL_CODE_CONSENT_MISSING
        gateway.judge = lambda envelope: Refusal(code=code, pointer="/envelope/to", reason="no")
        with pytest.raises(llmx.Refused) as refused:
            await alice.send("agent://alice", "hi")
        assert (refused.value.code, refused.value.pointer) == ("CONSENT_MISSING", "/envelope/to")
        gateway.judge = lambda envelope: None
        await alice.send("agent://alice", "hi")


async def test_what_is_queued_goes_into_one_frame(agent: AgentMaker):
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        async with asyncio.TaskGroup() as tasks:
            for number in range(50):
                tasks.create_task(alice.send("agent://nobody", str(number)))
        assert len(gateway.received) == 50
        assert max(gateway.envelopes_per_frame) == 50


async def test_sending_waits_when_too_much_is_unconfirmed(agent: AgentMaker):
    async with TinyGateway() as gateway:
        gateway.is_mute = True
        async with agent("alice", gateway.address, unconfirmed_max=2, close_timeout=0) as alice:
            async with asyncio.TaskGroup() as tasks:
                sends = [tasks.create_task(alice.send("agent://x", f"{n}")) for n in range(3)]
                await gateway.until(lambda: len(gateway.received) == 2)
                assert not sends[2].done()
                gateway.is_mute = False
                # Confirming the frame that is in flight makes room for the third.
                gateway.members["agent://alice"].tell(1)
                await gateway.until(lambda: len(gateway.received) == 3)
            assert all(send.done() for send in sends)


async def test_nothing_is_lost_or_repeated_when_the_gateway_restarts(agent: AgentMaker):
    """Unconfirmed messages go to the gateway that takes the lost one's place, once each."""
    async with contextlib.AsyncExitStack() as stack:
        async with TinyGateway() as first:
            first.is_mute = True
            bob = agent("bob", first.address)
            listener = Listener(bob, 6)
            await stack.enter_async_context(bob)
            alice = await stack.enter_async_context(agent("alice", first.address))
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            sends = [tasks.create_task(alice.send("agent://bob", f"{n}")) for n in range(3)]
            await first.until(lambda: len(first.received) == 3)
        sends += [tasks.create_task(alice.send("agent://bob", f"{n}")) for n in range(3, 6)]
        second = TinyGateway(first.port)
        # Alice comes back after Bob: this gateway keeps nothing for the absent.
        second.admits = lambda name: name == "agent://bob" or "agent://bob" in second.members
        await stack.enter_async_context(second)
        await asyncio.gather(*sends)
        await listener.all.wait()
        assert listener.heard == [str(n) for n in range(6)]


async def test_a_repeat_that_the_gateway_knows_counts_as_admitted(agent: AgentMaker):
    async with TinyGateway() as gateway:
        gateway.resumes = False
        async with agent("alice", gateway.address) as alice, asyncio.TaskGroup() as tasks:
            gateway.is_mute = True
            send = tasks.create_task(alice.send("agent://x", "hi"))
            await gateway.until(lambda: len(gateway.received) == 1)
            gateway.is_mute = False
            gateway.say_goodbye("agent://alice", "stopping")
            await send
        assert [envelope.msg_id for envelope in gateway.received] == [send.result()] * 2


async def test_unacknowledged_messages_come_again_in_a_new_session(agent: AgentMaker):
    async with TinyGateway() as gateway:
        gateway.resumes = False
        bob = agent("bob", gateway.address)
        listener = Listener(bob, 1)
        async with bob, agent("alice", gateway.address) as alice:
            msg_id = await alice.send("agent://bob", "one")
            await gateway.until(lambda: gateway.acked[msg_id] == 1)
            letter = gateway.received[0]
            gateway.members["agent://bob"].unacked[msg_id, ""] = letter  # its ack got lost
            gateway.say_goodbye("agent://bob", "slow_consumer")
            await gateway.until(lambda: gateway.acked[msg_id] == 2)
    assert listener.heard == ["one"]


async def test_a_token_from_a_function_is_renewed_in_band(agent: AgentMaker):
    tokens = iter(("first", "second", "third"))
    async with TinyGateway(token_life=0.05) as gateway:
        async with agent("alice", gateway.address, token=lambda: next(tokens)):
            await gateway.until(lambda: len(gateway.tokens) == 2)
        assert gateway.tokens == ["Bearer first", "second"]


async def test_an_expired_token_is_replaced_when_there_is_a_source_of_fresh_ones(
    agent: AgentMaker,
):
    tokens = iter(("first", "second"))
    async with (
        TinyGateway() as gateway,
        agent("alice", gateway.address, token=lambda: next(tokens)) as alice,
    ):
        gateway.say_goodbye("agent://alice", "token_expired")
        await gateway.until(lambda: gateway.tokens == ["Bearer first", "Bearer second"])
        await alice.send("agent://x", "still here")


async def test_who_was_replaced_learns_it_and_stays_away(agent: AgentMaker):
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        gateway.say_goodbye("agent://alice", "replaced")
        assert isinstance(await alice.closed(), llmx.Replaced)
        with pytest.raises(llmx.Replaced):
            await alice.send("agent://x", "hi")
        assert len(gateway.tokens) == 1


async def test_a_token_that_is_not_taken_is_said_when_connecting(agent: AgentMaker):
    async with TinyGateway() as gateway:
        gateway.refuse_stream = grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(llmx.Unauthenticated, match="not today"):
            async with agent("alice", gateway.address):
                pass


async def test_a_gateway_that_is_not_there_is_unreachable_after_the_timeout(agent: AgentMaker):
    async with TinyGateway() as gateway:
        address = gateway.address
    with pytest.raises(llmx.Unreachable, match=address):
        async with agent("alice", address, connect_timeout=0.1):
            pass


async def test_closing_sends_what_is_queued(agent: AgentMaker):
    async with TinyGateway() as gateway:
        async with agent("alice", gateway.address) as alice:
            alice._session.post(alice._drafts.write(Act.ACT_MESSAGE, {}, "agent://x"))
        assert len(gateway.received) == 1
        with pytest.raises(llmx.SessionClosed):
            await alice.send("agent://x", "too late")


def early(code: RefusalCode, seconds: float) -> Refusal:
    refusal = Refusal(code=code, reason="too early")
    refusal.retry_after.FromNanoseconds(int(seconds * 1e9))
    return refusal


@pytest.mark.parametrize(
    "code", [RefusalCode.REFUSAL_CODE_RATE_EXCEEDED, RefusalCode.REFUSAL_CODE_QUOTA_EXCEEDED]
)
async def test_a_message_that_came_too_early_is_sent_once_more_under_its_id(
    agent: AgentMaker, code: RefusalCode
):
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        refusals = [early(code, 0.01)]
        gateway.judge = lambda envelope: refusals.pop() if refusals else None
        msg_id = await alice.send("agent://nobody", "hi")
        assert [envelope.msg_id for envelope in gateway.received] == [msg_id, msg_id]


async def test_a_message_that_is_too_early_twice_raises(agent: AgentMaker):
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        code = RefusalCode.REFUSAL_CODE_RATE_EXCEEDED
        gateway.judge = lambda envelope: early(code, 0.01)
        with pytest.raises(llmx.Refused):
            await alice.send("agent://nobody", "hi")
        assert len(gateway.received) == 2


async def test_a_long_wait_is_left_to_the_author(agent: AgentMaker):
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        code = RefusalCode.REFUSAL_CODE_QUOTA_EXCEEDED
        gateway.judge = lambda envelope: early(code, 100.0)
        with pytest.raises(llmx.Refused) as refused:
            await alice.send("agent://nobody", "hi")
        assert refused.value.retry_after == 100.0
        assert len(gateway.received) == 1
