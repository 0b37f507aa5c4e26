"""How messages arrive: acknowledged, repeated, given up; and who has allowed what."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from llmx.v1.agent_pb2 import Group
from llmx.v1.consent_pb2 import Consent
from llmx.v1.control_service_pb2 import (
    GrantConsentRequest,
    ListAgentsRequest,
    ListConsentsRequest,
    PutGroupRequest,
    RegisterAgentRequest,
    RevokeConsentRequest,
    SubscribeRequest,
    UnsubscribeRequest,
)
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.raw_agent import Crowd, RawAgent, at_most_once, refused

EVERYBODY = [Consent(grantee="*")]


def said(envelope: Envelope) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(envelope.payload)
    return payload


async def grant(agent: RawAgent, consent: Consent) -> str:
    """Let `agent` consent to something; returns the id of the grant."""
    request = GrantConsentRequest(consent=consent)
    answer = await agent.control.GrantConsent(request, metadata=agent.metadata)
    consent_id: str = answer.consent.consent_id
    return consent_id


async def revoke(agent: RawAgent, consent_id: str) -> None:
    request = RevokeConsentRequest(consent_id=consent_id)
    await agent.control.RevokeConsent(request, metadata=agent.metadata)


async def test_messages_arrive_in_the_order_in_which_they_were_sent(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob = await crowd.open("bob", consents=EVERYBODY)
    sent = [alice.text(str(number), bob.address) for number in range(500)]
    await alice.send(*sent[:250])
    await alice.send(*sent[250:])
    arrived = [said(await bob.message())["text"] for _ in sent]
    assert arrived == [str(number) for number in range(500)]


@pytest.mark.slow
async def test_what_was_acknowledged_is_not_sent_again_and_what_was_not_is(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob = await crowd.open("bob", consents=EVERYBODY)
    bob.acknowledges = False
    acknowledged = await alice.say("one", bob.address)
    forgotten = await alice.say("two", bob.address)
    await bob.arrival(acknowledged)
    await bob.arrival(forgotten)
    await bob.acknowledge(acknowledged)
    await bob.copy(forgotten, 2)
    assert bob.copies == {acknowledged: 1, forgotten: 2}


@pytest.mark.slow
async def test_the_sender_hears_of_a_message_that_was_never_acknowledged(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob = await crowd.open("bob", consents=EVERYBODY)
    bob.acknowledges = False
    msg_id = await alice.say("hi", bob.address, ttl=0.9)
    await bob.copy(msg_id, 2)
    failure = await alice.message(Act.ACT_FAILURE)
    assert failure.in_reply_to == msg_id
    assert failure.sender == f"gateway://{crowd.gateway.gateway_id}"
    body = said(failure)
    assert body["$schema"].endswith("/Failure.json")
    assert (body["reason"], body["recipient"]) == ("expired", bob.address)
    assert body["failed_msg_id"] == msg_id
    await bob.is_served()


@pytest.mark.slow
async def test_a_message_that_shall_come_at_most_once_is_not_repeated(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob = await crowd.open("bob", consents=EVERYBODY)
    bob.acknowledges = False
    once = await alice.say("once", bob.address, **at_most_once())
    often = await alice.say("often", bob.address)
    await bob.copy(often, 2)
    assert bob.copies == {once: 1, often: 2}


async def test_two_senders_with_one_msg_id_are_told_apart(crowd: Crowd) -> None:
    """An acknowledgement names nothing but the id, so the second has to choose another."""
    alice, carol = await crowd.open("alice"), await crowd.open("carol")
    bob = await crowd.open("bob", consents=EVERYBODY)
    bob.acknowledges = False
    await alice.say("hi", bob.address, msg_id=crowd.tag)
    await bob.arrival(crowd.tag)
    same = carol.text("ho", bob.address, msg_id=crowd.tag)
    await refused(carol, same, "DUPLICATE", "/envelope/msg_id", remedy="new msg_id")
    await bob.acknowledge(crowd.tag)
    await bob.confirmation()
    await carol.send(same)
    await bob.copy(crowd.tag, 2)


async def test_what_came_while_an_agent_was_away_waits_for_it(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob = await crowd.open("bob", consents=EVERYBODY)
    await bob.is_served()
    bob.call.cancel()
    sent = [await alice.say(str(number), bob.address) for number in range(3)]
    await alice.confirmation()
    back = await crowd.open("bob", consents=EVERYBODY)
    for msg_id in sent:
        await back.arrival(msg_id)


async def test_consent_given_in_words_and_taken_back_midway(crowd: Crowd) -> None:
    alice, bob = await crowd.open("alice"), await crowd.open("bob")
    await refused(alice, alice.text("hi", bob.address), "CONSENT_MISSING", "/envelope/to/0")
    consent_id = await grant(bob, Consent(grantee=alice.address))
    await bob.arrival(await alice.say("hi", bob.address))
    listed = await bob.control.ListConsents(ListConsentsRequest(), metadata=bob.metadata)
    assert [one.grantee for one in listed.consents] == [alice.address]
    await revoke(bob, consent_id)
    await refused(alice, alice.text("hi", bob.address), "CONSENT_MISSING", "/envelope/to/0")


async def test_what_waits_under_a_consent_that_is_taken_back_is_withheld(crowd: Crowd) -> None:
    alice, bob = await crowd.open("alice"), await crowd.open("bob")
    consent_id = await grant(bob, Consent(grantee=alice.address))
    bob.acknowledges = False
    msg_id = await alice.say("hi", bob.address)
    await bob.arrival(msg_id)
    await revoke(bob, consent_id)
    failure = await alice.message(Act.ACT_FAILURE)
    assert said(failure)["reason"] == "consent_revoked"
    again = await crowd.open("bob")
    await again.is_served()
    assert msg_id not in again.copies


async def test_a_consent_that_is_taken_back_ends_the_agents_part_in_a_negotiation(
    crowd: Crowd,
) -> None:
    alice, bob, carol = [await crowd.open(name) for name in ("alice", "bob", "carol")]
    consent_id = await grant(bob, Consent(grantee=alice.address))
    await grant(carol, Consent(grantee=alice.address))
    opened = await alice.call_for(bob.address, carol.address)
    await bob.message(Act.ACT_CFP)
    await revoke(bob, consent_id)
    await carol.offer(opened.negotiation_id, 10)
    outcome = await alice.outcome(opened.negotiation_id)
    assert outcome["winners"][0]["agent"] == carol.address
    assert outcome["complete"] is False


async def test_a_consent_for_a_topic_does_not_allow_direct_messages(crowd: Crowd) -> None:
    alice, bob = await crowd.open("alice"), await crowd.open("bob")
    await grant(bob, Consent(grantee=alice.address, topics=["gpu"]))
    await refused(alice, alice.text("hi", bob.address), "CONSENT_MISSING", "/envelope/to/0")


async def test_a_consent_that_has_ended_allows_nothing(crowd: Crowd) -> None:
    alice, bob = await crowd.open("alice"), await crowd.open("bob")
    consent = Consent(grantee=alice.address)
    consent.expires_at.FromSeconds(1_000_000_000)
    await grant(bob, consent)
    await refused(alice, alice.text("hi", bob.address), "CONSENT_MISSING", "/envelope/to/0")


async def test_a_grant_to_what_is_no_agent_says_what_would_be(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await grant(alice, Consent(grantee="everybody"))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "agent://NAME" in (caught.value.details() or "")


async def test_a_group_reaches_its_members_that_consent(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob = await crowd.open("bob", consents=EVERYBODY)
    carol = await crowd.open("carol")
    group = Group(
        group_id=f"group://{crowd.tag}", members=[bob.address, carol.address, "agent://nobody"]
    )
    made = await alice.control.PutGroup(PutGroupRequest(group=group), metadata=alice.metadata)
    assert (made.group.group_id, made.group.owner) == (crowd.tag, alice.address)
    msg_id = await alice.say("hi", f"group://{crowd.tag}")
    await bob.arrival(msg_id)
    await carol.is_served()
    assert msg_id not in carol.copies
    opened = await alice.call_for(f"group://{crowd.tag}")
    assert list(opened.eligible) == [bob.address]


async def test_a_group_belongs_to_its_owner(crowd: Crowd) -> None:
    alice, bob = await crowd.open("alice"), await crowd.open("bob")
    group = Group(group_id=crowd.tag, members=[alice.address])
    await alice.control.PutGroup(PutGroupRequest(group=group), metadata=alice.metadata)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bob.control.PutGroup(PutGroupRequest(group=group), metadata=bob.metadata)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    empty = PutGroupRequest(group=Group(group_id=crowd.tag))
    await alice.control.PutGroup(empty, metadata=alice.metadata)
    gone = alice.text("hi", f"group://{crowd.tag}")
    await refused(alice, gone, "NO_RECIPIENTS", "/envelope/to/0")


async def test_subscribing_and_unsubscribing_beside_the_stream(crowd: Crowd) -> None:
    alice, bob = await crowd.open("alice"), await crowd.open("bob")
    topic = crowd.topic()
    await bob.control.Subscribe(SubscribeRequest(topics=[topic]), metadata=bob.metadata)
    await bob.arrival(await alice.say("hi", topic))
    listed = await alice.control.ListAgents(ListAgentsRequest(topic=topic), metadata=alice.metadata)
    assert [(one.agent_id, one.connected) for one in listed.agents] == [(bob.address, True)]
    await bob.control.Unsubscribe(UnsubscribeRequest(topics=[topic]), metadata=bob.metadata)
    await refused(alice, alice.text("hi", topic), "NO_RECIPIENTS", "/envelope/to")


async def test_registering_beside_the_stream_replaces_what_the_hello_said(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob = await crowd.open("bob", capabilities=["listen"], topics=[crowd.topic("old")])
    request = RegisterAgentRequest(capabilities=["propose"], topics=[crowd.topic("new")])
    answer = await bob.control.RegisterAgent(request, metadata=bob.metadata)
    assert list(answer.agent.capabilities) == ["propose"]
    old = alice.text("hi", crowd.topic("old"))
    await refused(alice, old, "NO_RECIPIENTS", "/envelope/to")
    await bob.arrival(await alice.say("hi", crowd.topic("new"), capabilities=["propose"]))


async def test_an_agent_lists_only_its_own_tenant(crowd: Crowd) -> None:
    tenant = {"tenant": f"t-{crowd.tag}"}
    alice = await crowd.open("alice", claims=tenant)
    await crowd.open("bob")
    listed = await alice.control.ListAgents(ListAgentsRequest(), metadata=alice.metadata)
    assert [one.agent_id for one in listed.agents] == [alice.address]


@pytest.mark.slow
async def test_an_unacknowledged_call_counts_as_no_answer(crowd: Crowd) -> None:
    """Whoever cannot be reached is not waited for until the deadline."""
    alice = await crowd.open("alice")
    bob, carol = await crowd.contractors("bob", "carol")
    carol.acknowledges = False
    call = alice.cfp(crowd.topic(), reply_within=20)
    call.scope.ttl.FromMilliseconds(300)
    await alice.send(call)
    opened = await alice.opened(call.msg_id)
    await carol.message(Act.ACT_CFP)
    await bob.offer(opened.negotiation_id, 10)
    outcome = await alice.outcome(opened.negotiation_id)
    assert outcome["winners"][0]["agent"] == bob.address
    assert outcome["closed_at"] - outcome["opened_at"] < 5
