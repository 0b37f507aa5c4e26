"""When what comes counts as taken."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

import llmx
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.tiny_gateway import TinyGateway
from tests.unit.client.conftest import AgentMaker

BOB = "agent://bob"


def letter(name: str, sender: str) -> Envelope:
    return Envelope(msg_id=name, sender=sender, act=Act.ACT_MESSAGE, payload=b"{}")


class Thinker:
    """An agent whose handler ends when it is told to."""

    def __init__(self, agent: llmx.Agent) -> None:
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.gates: dict[str, asyncio.Event] = {}
        agent.on_message(self._think)

    async def _think(self, message: llmx.Message) -> None:
        gate = self.gates[message.msg_id] = asyncio.Event()
        self.begun.put_nowait(message.msg_id)
        await gate.wait()


async def test_an_agent_with_a_window_gets_no_more_than_it_can_think_about(
    agent: AgentMaker,
) -> None:
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, window_messages=2)
        thinker = Thinker(bob)
        async with bob:
            assert gateway.hellos[0].hello.window_messages == 2
            for number in range(3):
                gateway.deliver(BOB, letter(f"m{number}", f"agent://x{number}"))
            assert [await thinker.begun.get() for _ in range(2)] == ["m0", "m1"]
            assert not gateway.acked
            thinker.gates["m1"].set()
            assert await thinker.begun.get() == "m2"
            assert gateway.acked == {"m1": 1}
            for gate in thinker.gates.values():
                gate.set()
            await gateway.until(lambda: len(gateway.acked) == 3)


async def test_an_agent_without_a_window_acknowledges_what_it_has_handed_on(
    agent: AgentMaker,
) -> None:
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address)
        thinker = Thinker(bob)
        async with bob:
            gateway.deliver(BOB, letter("m", "agent://x"))
            await thinker.begun.get()
            await gateway.until(lambda: gateway.acked["m"] == 1)
            thinker.gates["m"].set()


async def test_a_repeat_of_what_is_being_thought_about_changes_nothing(agent: AgentMaker) -> None:
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, window_messages=1)
        thinker = Thinker(bob)
        async with bob:
            gateway.deliver(BOB, letter("m", "agent://x"))
            await thinker.begun.get()
            gateway.members[BOB].tell(0, batch={"envelopes": [letter("m", "agent://x")]})
            gateway.cut(BOB)
            await gateway.until(lambda: len(gateway.hellos) == 2)
            thinker.gates["m"].set()
            await gateway.until(lambda: gateway.acked["m"] == 1)
        assert thinker.begun.empty()


async def test_what_was_not_thought_through_when_the_agent_left_comes_again(
    agent: AgentMaker,
) -> None:
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, window_messages=1)
        thinker = Thinker(bob)
        async with bob:
            gateway.deliver(BOB, letter("m", "agent://x"))
            await thinker.begun.get()
        assert not gateway.acked
        assert ("m", "") in gateway.members[BOB].unacked


async def test_in_one_conversation_nothing_overtakes_a_message_that_found_no_room(
    agent: AgentMaker,
) -> None:
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address)
        bob._dispatch._waiting_max = 1
        heard: list[str] = []
        bob.on_message(lambda message: heard.append(message.msg_id))
        async with bob:
            member = gateway.members[BOB]
            first, second, third = (letter(name, "agent://x") for name in "abc")
            member.tell(0, batch={"envelopes": [first, second]})
            await gateway.until(lambda: gateway.acked["a"] == 1)
            await bob._dispatch.idle()
            member.tell(0, batch={"envelopes": [third]})  # there is room for it
            member.tell(0, batch={"envelopes": [letter("d", "agent://y")]})
            await gateway.until(lambda: gateway.acked["d"] == 1)
            for late in (second, third):  # the gateway tries again
                await bob._dispatch.idle()
                member.tell(0, batch={"envelopes": [late]})
                await gateway.until(partial(gateway.acked.__contains__, late.msg_id))
    assert heard == ["a", "d", "b", "c"]


async def test_a_handler_that_fails_is_told_with_its_agent_and_the_message(
    agent: AgentMaker, caplog: pytest.LogCaptureFixture
) -> None:
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address)

        @bob.on_message
        def stumble(message: llmx.Message) -> None:
            raise ValueError("no")

        async with bob:
            gateway.deliver(BOB, letter("m", "agent://alice"))
            await gateway.until(lambda: gateway.acked["m"] == 1)
            await bob._dispatch.idle()
    assert "agent://bob: on_message failed for message m from agent://alice" in caplog.messages
