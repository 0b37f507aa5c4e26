"""Agents that are away: what is sent to them waits, within bounds, and their senders hear."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmx.v1.consent_pb2 import Consent
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.gateways import Gateway, running
from tests.support.raw_agent import Crowd, RawAgent, refused

EVERYBODY = [Consent(grantee="*")]
KEPT_MAX = 5


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that waits for nobody: who is gone is away at once."""
    with running(
        tmp_path_factory.mktemp("mailbox"),
        limits__reconnect_grace_seconds=0,
        mailbox__messages_per_agent_max=KEPT_MAX,
        mailbox__file="none",
    ) as gateway:
        yield gateway


async def away(crowd: Crowd, name: str) -> RawAgent:
    """Return an agent that was there, has left, and is known to be away."""
    agent = await crowd.open(name, consents=EVERYBODY, topics=[crowd.topic()])
    await agent.call.done_writing()
    assert (await agent.end()).code.name == "OK"
    agent.acknowledges = True
    return agent


async def test_what_is_sent_to_an_agent_that_is_away_arrives_when_it_is_back(
    crowd: Crowd,
) -> None:
    alice, bob = await crowd.open("alice"), await away(crowd, "bob")
    direct = await alice.say("while you were out", bob.address)
    on_topic = await alice.say("news", crowd.topic())
    await alice.confirmation()
    await bob.open(consents=EVERYBODY, topics=[crowd.topic()])
    assert [(await bob.message()).msg_id for _ in range(2)] == [direct, on_topic]
    await bob.is_served()
    assert not alice.refusals


async def test_a_full_mailbox_answers_the_sender(crowd: Crowd) -> None:
    alice, bob = await crowd.open("alice"), await away(crowd, "bob")
    kept: list[str] = []
    # The first ones may still find its outbox, before it is known to be away.
    while not alice.refusals:
        kept.append(await alice.say(f"number {len(kept)}", bob.address))
        await alice.confirmation()
        assert len(kept) < 100
    refusal = alice.refusals[0]
    await refused(alice, refusal.msg_id, "RECIPIENT_OVERLOADED", "/envelope/to")
    assert refusal.retry_after.ToNanoseconds() > 0
    await bob.open(consents=EVERYBODY)
    assert [(await bob.message()).msg_id for _ in kept[:-1]] == kept[:-1]


async def test_what_waits_too_long_is_told_to_its_sender(crowd: Crowd) -> None:
    alice, bob = await crowd.open("alice"), await away(crowd, "bob")
    msg_id = await alice.say("quick", bob.address, ttl=0.5)
    failure = await alice.message(Act.ACT_FAILURE)
    assert failure.in_reply_to == msg_id
    assert json.loads(failure.payload)["reason"] == "expired"
    assert json.loads(failure.payload)["recipient"] == bob.address
    await bob.open(consents=EVERYBODY)
    await bob.is_served()
    assert msg_id not in bob.copies


async def test_a_failure_waits_for_a_sender_that_is_away_itself(crowd: Crowd) -> None:
    bob, alice = await away(crowd, "bob"), await crowd.open("alice")
    msg_id = await alice.say("quick", bob.address, ttl=0.5)
    await alice.confirmation()
    await alice.call.done_writing()
    await alice.end()
    alice.acknowledges = True
    await alice.open()
    failure: Envelope = await alice.message(Act.ACT_FAILURE)
    assert failure.in_reply_to == msg_id


async def test_who_is_away_is_not_called(crowd: Crowd) -> None:
    alice, bob = await crowd.open("alice"), await away(crowd, "bob")
    (carol,) = await crowd.contractors("carol")
    opened = await alice.call_for(crowd.topic())
    assert list(opened.eligible) == [carol.address]
    await refused(alice, alice.cfp(bob.address), "NO_RECIPIENTS", "/envelope/to", reason="away")


async def test_durable_messages_and_calls_are_refused_without_a_store(crowd: Crowd) -> None:
    alice = await crowd.open("alice", consents=EVERYBODY)
    (bob,) = await crowd.contractors("bob", consents=EVERYBODY)
    for envelope in (
        alice.text("keep this", bob.address, durable=True),
        alice.cfp(crowd.topic(), durable=True),
        alice.envelope(Act.ACT_CFP, {"reply_within": 5}, recipients=[bob.address], durable=True),
    ):
        await refused(
            alice, envelope, "STORE_UNAVAILABLE", "/envelope/durable", remedy="mailbox.file"
        )
    opened = await alice.call_for(crowd.topic())
    offer = bob.envelope(
        Act.ACT_OFFER, {"value": 3}, negotiation_id=opened.negotiation_id, durable=True
    )
    await refused(bob, offer, "STORE_UNAVAILABLE", "/envelope/durable", remedy="call")


async def test_a_store_that_cannot_be_is_said_at_the_start(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("remember the milk\n" * 100)
    with pytest.raises(AssertionError) as caught, running(tmp_path, mailbox__file=notes):
        pass
    assert "no store of a gateway" in (tmp_path / "stderr").read_text()
    assert caught.value is not None
