"""What an author writes, against a small gateway."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import llmx
from llmx import strategies
from llmx.v1.consent_pb2 import Consent
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.tiny_gateway import TinyGateway
from tests.unit.client.conftest import AgentMaker

CFP: dict[str, Any] = {"task": {"gpus": 4}, "reply_within": 5}


async def test_two_agents_of_ten_lines_negotiate():
    """The README's sample, with the gateway as an argument."""

    class Bob(llmx.Agent):
        async def on_cfp(self, call: llmx.Call) -> llmx.Offer | llmx.Refusal | None:
            return call.offer(value=40, conditions={"start_in": 2})

    async with TinyGateway() as gateway:
        bob = Bob("agent://bob", gateway.address, topics=["gpu"], capabilities=["propose"])
        async with bob, llmx.Agent("agent://alice", gateway.address) as alice:
            cfp = {"task": {"gpus": 4}, "reply_within": 5}
            async with alice.negotiate(cfp, to="topic://gpu", policy="high") as n:
                async for event in n:
                    if isinstance(event, llmx.OfferMade):
                        assert event.conditions == {"start_in": 2}
    assert n.outcome is not None and n.outcome.winner is not None
    assert n.outcome.winner.agent == "agent://bob"


async def test_hello_says_who_the_agent_is_and_what_it_hears(agent: AgentMaker):
    async with TinyGateway() as gateway:
        consents = ["agent://alice", Consent(grantee="*", topics=["gpu"])]
        options: dict[str, Any] = {"topics": ["gpu", "topic://cpu"], "capabilities": ["propose"]}
        async with agent("bob", gateway.address, consents=consents, **options):
            hello = gateway.members["agent://bob"].hello
    assert hello.agent_id == "agent://bob"
    assert list(hello.topics) == ["gpu", "cpu"]
    assert list(hello.capabilities) == ["propose"]
    assert [consent.grantee for consent in hello.consents] == ["agent://alice", "*"]
    assert hello.user_agent.startswith("llmx-python/")


def test_gateway_and_token_come_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LLMX_GATEWAY", "gw.example:7600")
    assert llmx.Agent("agent://bob").gateway == "gw.example:7600"
    monkeypatch.delenv("LLMX_GATEWAY")
    assert llmx.Agent("agent://bob").gateway == "127.0.0.1:7600"


async def test_a_call_without_a_time_gets_one_and_keeps_its_policy(agent: AgentMaker):
    alice = agent("alice", "127.0.0.1:1")
    sent = llmx.Message(
        alice.negotiate({"task": "x", "act": "CFP"}, to="agent://b", policy={"quorum": 1}).call
    )
    assert sent.body["reply_within"] == 10
    assert sent.body["policy"] == {"quorum": 1}
    assert sent.body["act"] == "cfp"
    dated = alice.negotiate({"deadline": "2030-01-01T00:00Z"}, to="agent://b").call
    assert "reply_within" not in llmx.Message(dated).body


def test_a_window_is_a_number_of_messages() -> None:
    with pytest.raises(ValueError, match="window_messages=-1: must be 0 or more"):
        llmx.Agent("agent://bob", window_messages=-1)


async def test_a_durable_negotiation_says_so_in_its_call(agent: AgentMaker) -> None:
    alice = agent("alice", "127.0.0.1:1")
    assert alice.negotiate(CFP, to="agent://b", durable=True).call.durable
    assert not alice.negotiate(CFP, to="agent://b").call.durable


async def test_a_message_that_could_not_be_delivered_is_told(agent: AgentMaker):
    async with TinyGateway() as gateway:
        heard: list[str] = []
        alice = agent("alice", gateway.address)

        @alice.on_failure
        def note(message: llmx.Message) -> None:
            heard.append(message.body["reason"])

        async with alice:
            failure = Envelope(
                msg_id="f",
                sender="gateway://tiny",
                act=Act.ACT_FAILURE,
                payload=b'{"reason":"late"}',
            )
            gateway.deliver("agent://alice", failure)
            await gateway.until(lambda: gateway.acked["f"] == 1)
            await alice._dispatch.idle()
    assert heard == ["late"]


async def test_an_unreadable_message_is_acknowledged_and_hurts_nobody(agent: AgentMaker):
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        for act in (Act.ACT_MESSAGE, Act.ACT_OFFER, Act.ACT_ACCEPT, Act.ACT_CFP):
            letter = Envelope(msg_id=f"bad-{act}", sender="agent://x", act=act, payload=b"{")
            letter.negotiation_id = "nowhere"
            gateway.deliver("agent://alice", letter)
            await gateway.until(lambda msg_id=letter.msg_id: gateway.acked[msg_id] == 1)
        await alice.send("agent://x", "still here")


async def test_an_inbox_that_is_full_leaves_the_rest_with_the_gateway(agent: AgentMaker):
    async with TinyGateway() as gateway:
        alice = agent("alice", gateway.address)
        alice._dispatch._waiting_max = 1
        alice.on_message(lambda message: None)
        async with alice:
            letters = [
                Envelope(msg_id=f"m{n}", sender="agent://x", act=Act.ACT_MESSAGE, payload=b"{}")
                for n in range(2)
            ]
            member = gateway.members["agent://alice"]
            member.tell(0, batch={"envelopes": letters})
            await gateway.until(lambda: gateway.acked["m0"] == 1)
            await alice._dispatch.idle()
            assert not gateway.acked["m1"]
            gateway.deliver("agent://alice", letters[1])  # the gateway tries again
            await gateway.until(lambda: gateway.acked["m1"] == 1)


async def test_a_strategy_answers_and_learns(agent: AgentMaker):
    async with TinyGateway() as gateway:
        strategy = strategies.Linear(start=50, limit=30, steps=2, delay=0.001)
        bob, carol = (agent(name, gateway.address, topics=["gpu"]) for name in ("bob", "carol"))
        bob.follow(strategy)
        carol.follow(strategies.Fixed(value=35))
        async with bob, carol, agent("alice", gateway.address) as alice:
            winners = []
            for _ in range(3):
                outcome = await alice.call({"reply_within": 5}, to="topic://gpu")
                assert outcome.winner is not None
                winners.append((outcome.winner.agent, outcome.winner.value))
                await gateway.until(lambda: not gateway.members["agent://bob"].unacked)
                await bob._dispatch.idle()
    assert winners == [("agent://carol", 35)] * 2 + [("agent://bob", 30)]


@pytest.mark.parametrize("names", ["the call", "the negotiation"])
async def test_a_plain_message_about_a_negotiation_is_heard_as_a_message(
    agent: AgentMaker, names: str
):
    async with TinyGateway() as gateway:
        bob = agent("bob", gateway.address, topics=["gpu"])
        alice = agent("alice", gateway.address)
        heard: list[tuple[str, str]] = []
        gate = asyncio.Event()

        @bob.on_cfp
        async def think(call: llmx.Call) -> None:
            await gate.wait()

        @alice.on_message
        def note(message: llmx.Message) -> None:
            heard.append((message.sender, message.body["text"]))

        async with bob, alice, alice.negotiate(CFP, to="topic://gpu") as n:
            question = Envelope(
                msg_id="q",
                sender="agent://bob",
                act=Act.ACT_MESSAGE,
                negotiation_id=n.negotiation_id if names == "the negotiation" else "",
                in_reply_to=n.call.msg_id if names == "the call" else "",
                payload=b'{"text":"which GPUs?"}',
            )
            gateway.deliver("agent://alice", question)
            await gateway.until(lambda: gateway.acked["q"] == 1)
            await alice._dispatch.idle()
            gate.set()
    assert heard == [("agent://bob", "which GPUs?")]


@pytest.mark.parametrize("option", ["topics", "capabilities", "consents"])
def test_one_word_where_a_list_belongs_is_refused_with_what_would_be_right(option: str) -> None:
    options: dict[str, Any] = {option: "gpu"}
    with pytest.raises(TypeError, match=rf'{option}=\["gpu"\]'):
        llmx.Agent("agent://bob", **options)


@pytest.mark.parametrize("name", ["bob", "", "agent://", "topic://bob"])
def test_what_is_no_address_of_an_agent_is_refused_with_one_that_is(name: str) -> None:
    with pytest.raises(ValueError, match='"agent://bob" would be one'):
        llmx.Agent(name)
