"""Envelopes that may not enter: each is told why, where, and what would have been right."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from llmx.v1.consent_pb2 import Consent
from llmx.v1.envelope_pb2 import Act
from tests.support.gateways import running
from tests.support.raw_agent import Crowd, honour, refused

EVERYBODY = [Consent(grantee="*")]


async def test_a_spoofed_sender_is_told_its_own_name(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    spoofed = alice.text("hi", alice.address, sender="agent://mallory")
    await refused(alice, spoofed, "SENDER_MISMATCH", "/envelope/from", remedy=alice.address)
    unnamed = alice.text("hi", alice.address, sender="")
    await refused(alice, unnamed, "SENDER_MISMATCH", "/envelope/from")


@pytest.mark.parametrize("msg_id", ["", "x" * 129, "two words", "línea", "a\nb", "a/b", "g:1"])
async def test_a_msg_id_that_is_no_id_is_refused(crowd: Crowd, msg_id: str) -> None:
    """One with a ":" could be taken for the gateway's own."""
    alice = await crowd.open("alice")
    envelope = alice.text("hi", alice.address, msg_id=msg_id)
    await refused(alice, envelope, "MALFORMED_ENVELOPE", "/envelope/msg_id", remedy="UUID")


@pytest.mark.parametrize("msg_id", ["x" * 128, "A-Z.a_z~0-9", "7"])
async def test_a_msg_id_of_the_characters_that_ids_have_is_taken(crowd: Crowd, msg_id: str) -> None:
    alice = await crowd.open("alice")
    await alice.say("hi", alice.address, msg_id=msg_id)
    await alice.arrival(msg_id)


@pytest.mark.parametrize("act", [0, 14, 99, -1])
async def test_an_unknown_act_is_refused(crowd: Crowd, act: int) -> None:
    alice = await crowd.open("alice")
    envelope = alice.text("hi", alice.address)
    envelope.act = act  # type: ignore[assignment]  # an open enum takes any number
    await refused(alice, envelope, "UNKNOWN_ACT", "/envelope/act")


async def test_an_act_that_the_token_does_not_allow_is_refused(crowd: Crowd) -> None:
    alice = await crowd.open("alice", claims={"acts": ["message", "offer"]})
    await crowd.contractors("bob")
    await refused(
        alice, alice.cfp(crowd.topic()), "ACT_NOT_ALLOWED", "/envelope/act", remedy="acts"
    )


async def test_a_renewed_token_brings_the_acts_that_it_allows(crowd: Crowd) -> None:
    alice = await crowd.open("alice", claims={"acts": ["message"]})
    await crowd.contractors("bob")
    await refused(alice, alice.cfp(crowd.topic()), "ACT_NOT_ALLOWED", "/envelope/act")
    await alice.renew(crowd.gateway.token(alice.name, acts=["message", "cfp"]))
    await alice.call_for(crowd.topic())


@pytest.mark.parametrize("ttl", [0, -1, -0.5, 3600.5, 1e9])
async def test_a_time_to_live_that_cannot_be_kept_is_refused(crowd: Crowd, ttl: float) -> None:
    alice = await crowd.open("alice")
    envelope = alice.text("hi", alice.address, ttl=ttl)
    await refused(alice, envelope, "TTL_INVALID", "/envelope/scope/ttl", remedy="3600")


async def test_a_time_to_live_of_a_moment_or_an_hour_is_taken(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    for ttl in (3600, 0.75):
        await alice.arrival(await alice.say("hi", alice.address, ttl=ttl))


async def test_a_message_from_the_future_is_refused_with_the_gateways_time(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    future = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    refusal = await refused(
        alice, alice.text("hi", alice.address, ts=future), "CLOCK_SKEW", "/envelope/ts"
    )
    assert f"{datetime.now(UTC):%Y-%m-%dT%H}" in refusal.remedy
    assert "600" in refusal.reason or "59" in refusal.reason


@pytest.mark.parametrize(
    "ts", ["", "now", "2026-11-21T08:00", "2026-13-01T00:00Z", "1800000000", "x" * 1000]
)
async def test_a_ts_that_is_no_time_with_a_zone_is_refused(crowd: Crowd, ts: str) -> None:
    alice = await crowd.open("alice")
    envelope = alice.text("hi", alice.address, ts=ts)
    await refused(alice, envelope, "CLOCK_SKEW", "/envelope/ts", reason="ISO 8601")


@pytest.mark.parametrize(
    "ts", ["2025-08-21T18:45Z", "2025-08-21T18:45:31+02:00", "1970-01-01T00:00:00Z"]
)
async def test_a_ts_of_the_past_is_evidence_and_comes_through_as_it_was_written(
    crowd: Crowd, ts: str
) -> None:
    alice = await crowd.open("alice")
    msg_id = await alice.say("hi", alice.address, ts=ts)
    assert (await alice.arrival(msg_id)).ts == ts


async def test_a_repeated_msg_id_is_told_and_not_delivered_again(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    envelope = alice.text("hi", alice.address)
    await alice.send(envelope)
    await alice.arrival(envelope.msg_id)
    refusal = await refused(alice, envelope, "DUPLICATE", "/envelope/msg_id")
    assert "nothing is lost" in refusal.remedy
    assert alice.copies[envelope.msg_id] == 1


async def test_a_repeated_call_is_told_again_which_negotiation_it_opened(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    call = alice.cfp(crowd.topic())
    await alice.send(call)
    first = await alice.opened(call.msg_id)
    await alice.send(call)
    again = await alice.opened(call.msg_id)
    assert again == first
    refusal = await refused(alice, call.msg_id, "DUPLICATE", "/envelope/msg_id")
    assert refusal.negotiation_id == first.negotiation_id
    await bob.message(Act.ACT_CFP)
    assert bob.copies[call.msg_id] == 1


async def test_a_refused_msg_id_may_be_used_for_the_corrected_message(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    wrong = alice.envelope(Act.ACT_MESSAGE, {"txet": "hi"}, recipients=[alice.address])
    await refused(alice, wrong, "SCHEMA_VIOLATION", "/payload/txet")
    right = alice.text("hi", alice.address, msg_id=wrong.msg_id)
    await alice.send(right)
    assert (await alice.arrival(wrong.msg_id)).payload == right.payload


async def test_the_same_msg_id_of_two_senders_is_two_messages(crowd: Crowd) -> None:
    alice, bob = await crowd.open("alice"), await crowd.open("bob")
    for agent in (alice, bob):
        await agent.say("hi", agent.address, msg_id=crowd.tag)
        await agent.arrival(crowd.tag)


@pytest.mark.parametrize(
    "address",
    ["", "bob", "agent://", "agent://two words", "mailto:bob@example.org", "agents://bob",
     "topic://", "topic://a b", "group://a b", "agent://" + "x" * 200, "TOPIC://gpu"],
)  # fmt: skip
async def test_a_recipient_that_is_no_address_is_pointed_at(crowd: Crowd, address: str) -> None:
    alice = await crowd.open("alice")
    envelope = alice.text("hi", alice.address, address)
    await refused(alice, envelope, "INVALID_ADDRESS", "/envelope/to/1", remedy="agent://NAME")


async def test_a_message_to_nobody_is_refused(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    await refused(alice, alice.text("hi"), "NO_RECIPIENTS", "/envelope/to")


async def test_a_topic_without_subscribers_is_refused(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    lonely = crowd.topic("lonely")
    await refused(
        alice, alice.text("hi", lonely), "NO_RECIPIENTS", "/envelope/to", remedy="subscribe"
    )
    await refused(alice, alice.cfp(lonely), "NO_RECIPIENTS", "/envelope/to")


async def test_a_topic_that_only_the_sender_listens_to_has_no_recipients(crowd: Crowd) -> None:
    (alice,) = await crowd.contractors("alice")
    await refused(alice, alice.cfp(crowd.topic()), "NO_RECIPIENTS", "/envelope/to")


async def test_an_unknown_group_is_refused(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    envelope = alice.text("hi", "group://nobodys")
    await refused(alice, envelope, "NO_RECIPIENTS", "/envelope/to/0", remedy="PutGroup")


async def test_an_absent_agent_is_refused(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    envelope = alice.text("hi", alice.address, "agent://nobody")
    await refused(alice, envelope, "AGENT_ABSENT", "/envelope/to/1", reason="agent://nobody")
    assert envelope.msg_id not in alice.copies, "all or nothing"


async def test_an_agent_that_has_not_consented_is_not_reached(crowd: Crowd) -> None:
    alice, bob = await crowd.open("alice"), await crowd.open("bob")
    envelope = alice.text("hi", bob.address)
    await refused(
        alice, envelope, "CONSENT_MISSING", "/envelope/to/0", remedy=f"grantee {alice.address}"
    )
    assert envelope.msg_id not in bob.copies


async def test_an_agent_without_the_capability_is_not_reached(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob = await crowd.open("bob", capabilities=["listen"], consents=EVERYBODY)
    envelope = alice.text("hi", bob.address, capabilities=["listen", "propose"])
    await refused(
        alice, envelope, "CAPABILITY_MISSING", "/envelope/to/0", reason="registered propose"
    )


async def test_a_topic_reaches_only_those_that_are_capable(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob", capabilities=["listen", "propose"])
    (carol,) = await crowd.contractors("carol", capabilities=["listen"])
    msg_id = await alice.say("hi", crowd.topic(), capabilities=["propose"])
    await bob.arrival(msg_id)
    envelope = alice.text("hi", crowd.topic(), capabilities=["fly"])
    await refused(alice, envelope, "NO_RECIPIENTS", "/envelope/to", remedy="capabilities")
    await carol.is_served()
    assert msg_id not in carol.copies


async def test_too_many_recipients_are_refused(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    envelope = alice.text("hi", *[alice.address] * 65)
    await refused(alice, envelope, "MALFORMED_ENVELOPE", "/envelope/to", remedy="at most 64")


async def test_too_many_capabilities_are_refused(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    envelope = alice.text("hi", alice.address, capabilities=[f"c{n}" for n in range(33)])
    await refused(
        alice, envelope, "MALFORMED_ENVELOPE", "/envelope/capabilities", remedy="at most 32"
    )


async def test_a_statement_of_consent_that_is_too_long_is_refused(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    envelope = alice.text("hi", alice.address)
    envelope.scope.consent = "opt-in" * 20
    await refused(alice, envelope, "MALFORMED_ENVELOPE", "/envelope/scope/consent")


async def test_an_agent_named_twice_gets_one_copy(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    msg_id = await alice.say("hi", alice.address, alice.address)
    await alice.arrival(msg_id)
    await alice.is_served()
    assert alice.copies[msg_id] == 1


async def test_agents_of_another_tenant_are_out_of_sight(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    stranger = {"tenant": f"t-{crowd.tag}"}
    bob = await crowd.open("bob", claims=stranger, topics=[crowd.topic()], consents=EVERYBODY)
    await refused(alice, alice.text("hi", bob.address), "AGENT_ABSENT", "/envelope/to/0")
    await refused(alice, alice.text("hi", crowd.topic()), "NO_RECIPIENTS", "/envelope/to")
    namesake = await crowd.open("alice", claims=stranger)
    msg_id = await namesake.say("hi", bob.address)
    await bob.arrival(msg_id)
    await alice.is_served()


@pytest.mark.slow
async def test_who_sends_too_fast_is_told_how_long_to_wait_and_that_is_enough(
    tmp_path: Path,
) -> None:
    settings = {"limits__rate_per_second": 4, "limits__burst": 3}
    with running(tmp_path / "gateway", **settings) as gateway:
        crowd = Crowd(gateway)
        alice = await crowd.open("alice")
        hasty = [alice.text("hi", alice.address) for _ in range(4)]
        await alice.send(*hasty)
        refusal = await alice.refusal(hasty[3].msg_id)
        for envelope in hasty[:3]:
            await alice.arrival(envelope.msg_id)
        assert refusal.reason
        told = re.match(r"wait (\S+) seconds", refusal.remedy)
        assert told is not None, refusal.remedy
        assert float(told[1]) == pytest.approx(refusal.retry_after.ToNanoseconds() / 1e9, abs=1e-3)
        assert 0 < refusal.retry_after.ToNanoseconds() <= 0.25e9
        await honour(refusal)
        await alice.send(hasty[3])
        await alice.arrival(hasty[3].msg_id)
        bob = await crowd.open("bob")
        await bob.is_served()
        await crowd.close()
