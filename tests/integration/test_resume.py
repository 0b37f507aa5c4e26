"""Sessions over real connections that break: what goes on, what begins anew, who hears of it."""

from __future__ import annotations

import json

import grpc

from llmx.v1.consent_pb2 import Consent
from llmx.v1.envelope_pb2 import Act, ReceiptRequest
from llmx.v1.exchange_service_pb2 import RequestBatch
from llmx.v1.receipt_pb2 import ReceiptStage
from tests.support.raw_agent import Crowd, RawAgent

EVERYBODY = [Consent(grantee="*")]


async def hang_up(agent: RawAgent) -> None:
    """Lose the connection without a word."""
    agent.call.cancel()
    await agent.call.code()


async def test_messages_that_came_before_a_break_do_not_come_again_after_it(crowd: Crowd) -> None:
    """Not even those that the agent has not acknowledged: it may still think about them."""
    alice, bob = await crowd.open("alice"), crowd.agent("bob")
    welcome = await bob.open(consents=EVERYBODY)
    bob.acknowledges = False
    early = [await alice.say(f"early {n}", bob.address) for n in range(5)]
    for msg_id in early:
        await bob.arrival(msg_id)
    await hang_up(bob)
    late = [await alice.say(f"late {n}", bob.address) for n in range(5)]
    await alice.confirmation()
    again = await bob.open(consents=EVERYBODY, resume_token=welcome.resume_token)
    assert again.resumed
    for msg_id in late:
        await bob.arrival(msg_id)
    assert [bob.copies[msg_id] for msg_id in early + late] == [1] * 10
    await bob.acknowledge(*early, *late)
    await bob.is_served()


async def test_a_batch_that_is_sent_again_after_a_break_counts_once(crowd: Crowd) -> None:
    alice = crowd.agent("alice")
    bob = await crowd.open("bob", consents=EVERYBODY)
    token = (await alice.open()).resume_token
    said = alice.text("once", bob.address)
    await alice.send(said)
    await bob.arrival(said.msg_id)
    await hang_up(alice)
    assert (await alice.open(resume_token=token)).resumed
    assert alice.confirmed == 1, "the gateway had handled it"
    alice.number -= 1
    await alice.send(said)
    await alice.is_served()
    assert not alice.refusals and bob.copies[said.msg_id] == 1


async def test_a_refusal_that_was_on_its_way_when_the_connection_broke_is_told(
    crowd: Crowd,
) -> None:
    alice = crowd.agent("alice")
    token = (await alice.open()).resume_token
    msg_id = await alice.say("hello", "agent://nobody-at-all")
    await alice.confirmation()
    await hang_up(alice)
    alice.seen = 0  # as if the answer had been lost
    alice.refusals.clear()
    await alice.open(resume_token=token)
    assert (await alice.refusal(msg_id)).pointer == "/envelope/to/0"


async def test_a_round_survives_that_everybody_in_it_reconnects(crowd: Crowd) -> None:
    alice, bob = crowd.agent("alice"), crowd.agent("bob")
    alice_token = (await alice.open()).resume_token
    bob_token = (await bob.open(topics=[crowd.topic()[8:]])).resume_token
    opened = await alice.call_for(crowd.topic(), reply_within=20)
    await bob.message(Act.ACT_CFP)
    await hang_up(bob)
    await hang_up(alice)
    await bob.open(topics=[crowd.topic()[8:]], resume_token=bob_token)
    await bob.offer(opened.negotiation_id, 7)
    assert (await bob.message(Act.ACT_ACCEPT)).negotiation_id == opened.negotiation_id
    await alice.open(resume_token=alice_token)
    assert (await alice.outcome(opened.negotiation_id))["winners"]


async def test_receipts_tell_what_was_admitted_and_what_arrived(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob = await crowd.open("bob", consents=EVERYBODY)
    bob.acknowledges = False
    asked = {"receipt": ReceiptRequest.RECEIPT_REQUEST_DELIVERED}
    msg_id = await alice.say("hello", bob.address, **asked)
    while not alice.receipts:
        await alice.read()
    await bob.arrival(msg_id)
    await bob.acknowledge(msg_id)
    while len(alice.receipts) < 2:
        await alice.read()
    assert [(one.msg_id, one.stage, one.recipient) for one in alice.receipts] == [
        (msg_id, ReceiptStage.RECEIPT_STAGE_ADMITTED, ""),
        (msg_id, ReceiptStage.RECEIPT_STAGE_DELIVERED, bob.address),
    ]


async def test_a_small_window_holds_back_what_the_agent_has_not_asked_for(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob = await crowd.open("bob", consents=EVERYBODY, window_messages=2)
    bob.acknowledges = False
    sent = [await alice.say(str(number), bob.address) for number in range(5)]
    await alice.confirmation()
    for msg_id in sent[:2]:
        await bob.arrival(msg_id)
    assert sum(bob.copies[msg_id] > 0 for msg_id in sent) == 2
    await bob.acknowledge(sent[0])
    await bob.arrival(sent[2])
    bob.acknowledges = True
    await bob.acknowledge(*sent[1:3])
    texts = [json.loads((await bob.arrival(msg_id)).payload)["text"] for msg_id in sent[3:]]
    assert texts == ["3", "4"]


async def test_a_gap_in_the_numbers_is_an_end_that_says_so(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    alice.number += 3
    await alice.write(batch=RequestBatch(acked_msg_ids=["x"]))
    ended = await alice.end()
    assert ended.code is grpc.StatusCode.OUT_OF_RANGE
    assert ended.goodbye is not None and ended.goodbye.reason == "out_of_order"
    alice.number = 0
    alice.acknowledges = True
    assert (await alice.open(resume_token=ended.goodbye.resume_token)).resumed
    await alice.is_served()
