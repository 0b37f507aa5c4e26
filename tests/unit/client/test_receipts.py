"""What became of a message whose sender wants to know."""

from __future__ import annotations

import asyncio
import gc

import pytest

import llmx
from llmx.messages import Drafts, Message
from llmx.receipts import MARGIN, Deliveries
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.receipt_pb2 import Receipt, ReceiptStage
from tests.support.tiny_gateway import TinyGateway
from tests.unit.client.conftest import AgentMaker

BOB, CAROL = "agent://bob", "agent://carol"


def letter(*to: str, ttl: float | None = None) -> Envelope:
    return Drafts("agent://alice").write(Act.ACT_MESSAGE, {}, to, ttl=ttl, receipt="delivered")


def receipt(envelope: Envelope, agent: str) -> Receipt:
    stage = ReceiptStage.RECEIPT_STAGE_DELIVERED
    return Receipt(msg_id=envelope.msg_id, stage=stage, recipient=agent)


def failure(envelope: Envelope, agent: str, sender: str = "gateway://g") -> Message:
    words = b'{"reason":"expired","recipient":"%b"}' % agent.encode()
    return Message(
        Envelope(
            msg_id="g:1",
            sender=sender,
            act=Act.ACT_FAILURE,
            in_reply_to=envelope.msg_id,
            payload=words,
        )
    )


async def test_whoever_asked_hears_that_its_message_was_delivered(agent: AgentMaker) -> None:
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        bob = agent("bob", gateway.address)
        async with bob:
            sent = await alice.send(BOB, "hi", receipt="delivered")
            assert await sent == (BOB,)
            await sent.to(BOB)
        assert sent.msg_id == gateway.received[0].msg_id


async def test_a_failure_of_the_gateway_ends_the_wait(agent: AgentMaker) -> None:
    async with TinyGateway() as gateway, agent("alice", gateway.address) as alice:
        sent = await alice.send(BOB, "hi", receipt="delivered", ttl=1)
        told = failure(gateway.received[0], BOB, sender="gateway://tiny")
        gateway.deliver("agent://alice", told.envelope)
        with pytest.raises(llmx.Undelivered) as undelivered:
            await sent
        assert undelivered.value.failed == {BOB: "expired"}
        assert undelivered.value.msg_id == sent.msg_id


async def test_the_end_of_the_session_ends_the_wait(agent: AgentMaker) -> None:
    async with TinyGateway() as gateway:
        async with agent("alice", gateway.address) as alice:
            sent = await alice.send(BOB, "hi", receipt="delivered")
        with pytest.raises(llmx.SessionClosed):
            await sent


async def test_a_delivery_is_over_when_every_named_agent_has_been_heard_of() -> None:
    deliveries, envelope = Deliveries(), letter(BOB, CAROL)
    delivery = deliveries.follow(envelope)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(delivery.to(CAROL))
        deliveries.take(receipt(envelope, BOB))
        await asyncio.sleep(0)  # one turn, in which it would have ended
        assert not waiting.done()
        deliveries.take(receipt(envelope, CAROL))
        deliveries.take(receipt(envelope, CAROL))
    assert await delivery == (BOB, CAROL)


async def test_who_was_reached_is_told_beside_who_was_not() -> None:
    deliveries, envelope = Deliveries(), letter(BOB, CAROL)
    delivery = deliveries.follow(envelope)
    deliveries.take_failure(failure(envelope, CAROL))
    deliveries.take(receipt(envelope, BOB))
    await delivery.to(BOB)
    with pytest.raises(llmx.Undelivered, match="carol \\(expired\\)") as undelivered:
        await delivery
    assert undelivered.value.delivered == (BOB,)
    with pytest.raises(llmx.Undelivered):
        await delivery.to(CAROL)


async def test_of_a_message_to_a_topic_the_first_word_counts() -> None:
    deliveries, envelope = Deliveries(), letter("topic://gpu")
    delivery = deliveries.follow(envelope)
    deliveries.take(receipt(envelope, CAROL))
    assert await delivery == (CAROL,)


async def test_without_any_word_the_wait_ends_some_time_after_the_message() -> None:
    """A gateway that is lost tells neither."""
    delivery = Deliveries().follow(letter(BOB, ttl=-MARGIN))
    with pytest.raises(llmx.Undelivered) as undelivered:
        await delivery
    assert undelivered.value.failed == {BOB: "no_word"}


async def test_only_a_gateway_says_that_a_message_was_not_delivered() -> None:
    deliveries, envelope = Deliveries(), letter(BOB)
    delivery = deliveries.follow(envelope)
    deliveries.take_failure(failure(envelope, BOB, sender="agent://mallory"))
    assert not delivery.failed


async def test_what_nobody_holds_is_not_kept() -> None:
    deliveries, envelope = Deliveries(), letter(BOB)
    deliveries.follow(envelope)
    gc.collect()
    assert not deliveries._held
    deliveries.take(receipt(envelope, BOB))
