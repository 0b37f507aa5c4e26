"""Negotiations of one gateway: opened, fed, carried out; and kept apart by tenant."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.consents import ConsentGrant
from gateway.members import Member
from llmx.v1.envelope_pb2 import Act, Envelope, QualityOfService
from tests.support.gateway_parts import SCHEMAS, Parts, envelope, received, stream_of


@pytest.fixture
def parts() -> Parts:
    return Parts()


def names(messages: list[Envelope]) -> list[str]:
    return [Act.Name(one.act).removeprefix("ACT_").lower() for one in messages]


def call(parts: Parts, alice: Member, *to: str, msg_id: str = "call", **body: Any) -> str:
    """Open a negotiation and return its id."""
    addresses = to or ("agent://bob", "agent://carol")
    wanted = {"reply_within": 5} | body
    parts.admit(alice, envelope("alice", Act.ACT_CFP, *addresses, msg_id=msg_id, body=wanted))
    return stream_of(alice).opened[-1].negotiation_id


def send(parts: Parts, member: Member, act: Act, negotiation_id: str, **body: Any) -> None:
    name = member.agent_id.removeprefix("agent://")
    parts.admit(
        member,
        envelope(name, act, msg_id=f"{name}-{act}", body=body, negotiation_id=negotiation_id),
    )


def joined(parts: Parts) -> tuple[Member, Member, Member]:
    return parts.join("alice"), parts.join("bob"), parts.join("carol")


def test_a_round_from_the_call_to_the_outcome(parts: Parts) -> None:
    alice, bob, carol = joined(parts)
    negotiation = call(parts, alice)
    opened = stream_of(alice).opened[0]
    assert (opened.msg_id, opened.policy) == ("call", "flow/high@1")
    assert list(opened.eligible) == ["agent://bob", "agent://carol"]
    (heard,) = received(bob)
    assert (heard.msg_id, heard.negotiation_id) == ("call", negotiation)
    send(parts, bob, Act.ACT_OFFER, negotiation, value=40)
    send(parts, carol, Act.ACT_OFFER, negotiation, value=35)
    assert names(received(bob)) == ["reject"]
    assert names(received(carol)) == ["cfp", "accept"]
    *offers, outcome = received(alice)
    assert [(one.sender, one.msg_id) for one in offers] == [
        ("agent://bob", "bob-3"),
        ("agent://carol", "carol-3"),
    ]
    told = orjson.loads(outcome.payload)["outcome"]
    assert told["state"] == "committed" and told["winners"][0]["agent"] == "agent://carol"
    assert parts.metrics.finished == {"committed": 1} and parts.metrics.calls == 1
    assert [record.call.negotiation_id for record in parts.recorder.recent] == [negotiation]


def test_a_call_that_comes_again_is_told_which_negotiation_it_opened(parts: Parts) -> None:
    alice, *_ = joined(parts)
    first, again = call(parts, alice), call(parts, alice)
    assert first == again and stream_of(alice).codes() == ["DUPLICATE"]
    assert stream_of(alice).refusals[0].negotiation_id == first
    assert parts.metrics.calls == 1 and len(parts.negotiations) == 1


def test_an_agent_of_another_tenant_hears_that_there_is_no_such_negotiation(parts: Parts) -> None:
    alice, *_ = joined(parts)
    eve = parts.join("bob", "umbrella")  # of the same name as a party
    negotiation = call(parts, alice)
    send(parts, eve, Act.ACT_OFFER, negotiation, value=1)
    assert stream_of(eve).codes() == ["UNKNOWN_NEGOTIATION"]
    assert received(alice) == []


@pytest.mark.parametrize(
    "negotiation", ["x", "gw.0.1", "gw.9.1", "gw..", "gw.0", "other.0.1", "gw.٣.1", "."]
)
def test_an_id_that_nobody_minted_is_no_negotiation(parts: Parts, negotiation: str) -> None:
    bob = parts.join("bob")
    for unique in ("", bob.tenant.tag):
        assert parts.admit(
            bob,
            envelope(
                "bob",
                Act.ACT_OFFER,
                msg_id=f"m{len(unique)}",
                body={"value": 1},
                negotiation_id=negotiation + unique,
            ),
        )
    assert stream_of(bob).codes() == ["UNKNOWN_NEGOTIATION"] * 2


def test_who_was_not_called_is_no_party(parts: Parts) -> None:
    alice, *_ = joined(parts)
    dave = parts.join("dave")
    send(parts, dave, Act.ACT_OFFER, call(parts, alice), value=1)
    assert stream_of(dave).codes() == ["NOT_A_PARTY"] and received(alice) == []


def test_an_offer_that_breaks_its_schema_is_refused_once_and_the_right_one_counts(
    parts: Parts,
) -> None:
    alice, bob, _ = joined(parts)
    negotiation = call(parts, alice, "agent://bob")
    send(parts, bob, Act.ACT_OFFER, negotiation, value="cheap")
    assert stream_of(bob).codes() == ["SCHEMA_VIOLATION"]
    send(parts, bob, Act.ACT_OFFER, negotiation, value=3)
    assert names(received(bob)) == ["cfp", "accept"]


def test_a_deadline_without_offers_ends_in_no_award(parts: Parts) -> None:
    alice, *_ = joined(parts)
    call(parts, alice)
    parts.now += 5
    parts.run()
    (outcome,) = received(alice)
    assert orjson.loads(outcome.payload)["outcome"]["state"] == "no_award"


def test_who_offered_hears_the_outcome_though_the_initiator_is_gone(parts: Parts) -> None:
    alice, bob, _ = joined(parts)
    send(parts, bob, Act.ACT_OFFER, call(parts, alice), value=3)
    parts.members.forget(alice)
    parts.negotiations.leave([alice])
    parts.now += 5
    parts.run()
    assert parts.metrics.finished == {"committed": 1}
    assert names(received(bob)) == ["cfp", "accept"]


def test_when_a_called_agent_is_gone_nobody_waits_for_it(parts: Parts) -> None:
    alice, bob, carol = joined(parts)
    send(parts, bob, Act.ACT_OFFER, call(parts, alice), value=3)
    parts.members.forget(carol)
    parts.negotiations.leave([carol])
    parts.run()
    assert names(received(alice)) == ["offer", "inform"]


def test_consent_that_is_revoked_ends_only_what_came_by_it(parts: Parts) -> None:
    """Who was called by a topic has consented by listening to it."""
    alice, bob, _ = joined(parts)
    bob.tenant.listen(bob, ["gpu"])
    call(parts, alice, "topic://gpu", msg_id="by-topic")
    direct = call(parts, alice, "agent://bob", msg_id="directly")
    bob.consents["dave"] = ConsentGrant("dave", "agent://dave")
    parts.negotiations.revoked(bob)
    parts.run()
    assert parts.metrics.finished == {}
    del bob.consents["all"]
    parts.negotiations.revoked(bob)
    parts.run()
    assert parts.metrics.finished == {"no_award": 1}
    assert received(alice)[0].negotiation_id == direct


def test_a_call_that_cannot_reach_an_agent_does_not_wait_for_it() -> None:
    parts = Parts(outbox_messages_max=1)
    alice, bob, carol = joined(parts)
    parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://carol", msg_id="full"))
    negotiation = call(parts, alice)
    failures = received(alice)
    assert [orjson.loads(one.payload)["reason"] for one in failures] == ["recipient_overloaded"]
    alice.outbox.confirm([one.msg_id for one in failures], parts.now)
    bob.outbox.confirm([one.msg_id for one in received(bob)], parts.now)
    send(parts, bob, Act.ACT_OFFER, negotiation, value=3)
    assert parts.metrics.finished == {"committed": 1}
    assert stream_of(carol).closed == ["slow_consumer"]


def test_shards_take_turns_and_ids_never_repeat(parts: Parts) -> None:
    alice, *_ = joined(parts)
    ids = [parts.negotiations.mint(alice.tenant) for _ in range(100)]
    assert len(set(ids)) == 100
    assert {one.split(".")[1] for one in ids} == {"0", "1"}
    for one in ids:
        shard = parts.negotiations.shard_of(one, alice.tenant)
        assert shard is not None and str(shard.number) == one.split(".")[1]


def test_a_gateway_with_too_many_open_negotiations_refuses_the_next() -> None:
    parts = Parts(open_max=2)  # one in each shard
    alice, *_ = joined(parts)
    for number in range(3):
        call(parts, alice, msg_id=f"call{number}")
    assert stream_of(alice).codes() == ["OVERLOADED"]
    assert parts.metrics.calls == 2 and len(stream_of(alice).opened) == 2


def test_nobody_can_take_the_id_of_a_verdict_before_it_is_told(parts: Parts) -> None:
    """Or whoever watches a negotiation could keep its winner from hearing that it won."""
    alice, bob, _ = joined(parts)
    mallory = parts.join("mallory")
    negotiation = call(parts, alice, "agent://bob")
    for address, number in (("agent://bob", 1), ("agent://alice", 2)):
        forged = envelope("mallory", Act.ACT_MESSAGE, address, msg_id=f"{negotiation}:{number}")
        parts.admit(mallory, forged)
    assert stream_of(mallory).codes() == ["MALFORMED_ENVELOPE"] * 2
    send(parts, bob, Act.ACT_OFFER, negotiation, value=3)
    assert names(received(bob)) == ["cfp", "accept"] and names(received(alice))[-1] == "inform"


def test_a_verdict_that_finds_a_full_outbox_is_accounted_for() -> None:
    parts = Parts(outbox_messages_max=1)
    alice, bob, _ = joined(parts)
    send(parts, bob, Act.ACT_OFFER, call(parts, alice, "agent://bob"), value=3)
    # The accept to bob, the outcome to alice, and that bob could not be reached.
    assert parts.metrics.undelivered == 3
    assert stream_of(bob).closed == ["slow_consumer"]


def test_a_call_that_was_refused_for_want_of_room_may_come_again_under_its_id() -> None:
    parts = Parts(open_max=2)  # one for each shard
    alice, *_ = joined(parts)
    held = [call(parts, alice, msg_id=f"held{n}") for n in range(2)]
    refused = envelope("alice", Act.ACT_CFP, "agent://bob", msg_id="c", body={"reply_within": 5})
    parts.admit(alice, refused)
    assert stream_of(alice).codes() == ["OVERLOADED"]
    for negotiation in held:
        parts.admit(
            alice,
            envelope(
                "alice",
                Act.ACT_CANCEL,
                msg_id=f"stop{held.index(negotiation)}",
                body={"reason": "enough"},
                negotiation_id=negotiation,
            ),
        )
    parts.admit(alice, refused)
    assert stream_of(alice).codes() == ["OVERLOADED"] and len(stream_of(alice).opened) == 3


def test_a_tenant_that_comes_back_hears_of_its_negotiations(parts: Parts) -> None:
    alice, bob, carol = joined(parts)
    call(parts, alice, "agent://bob")
    for member in (alice, bob, carol):
        parts.members.forget(member)
    assert not parts.members.tenants
    alice = parts.join("alice")
    parts.now += 5
    parts.run()
    assert names(received(alice)) == ["inform"]


def test_nobody_bids_in_a_round_of_its_own(parts: Parts) -> None:
    """Or it could set the price that the winner of its sealed auction pays."""
    alice, *_ = joined(parts)
    call(parts, alice, "agent://alice", "agent://bob")
    assert list(stream_of(alice).opened[0].eligible) == ["agent://bob"]
    body = {"reply_within": 5}
    alone = envelope("alice", Act.ACT_CFP, "agent://alice", msg_id="alone", body=body)
    parts.admit(alice, alone)
    assert stream_of(alice).codes() == ["NO_RECIPIENTS"]


@pytest.mark.parametrize("bounds", [{"open_max_agent": 1}, {"open_max_tenant": 1}])
def test_nobody_takes_the_room_of_others(bounds: dict[str, int]) -> None:
    parts = Parts(**bounds)
    alice, bob, _ = joined(parts)
    negotiation = call(parts, alice, "agent://bob")
    second = envelope(
        "alice", Act.ACT_CFP, "agent://bob", msg_id="second", body={"reply_within": 5}
    )
    parts.admit(alice, second)
    assert stream_of(alice).codes() == ["OVERLOADED"]
    others = parts.join("alice", "umbrella")
    parts.join("bob", "umbrella")
    call(parts, others, "agent://bob")
    send(parts, bob, Act.ACT_OFFER, negotiation, value=3)
    parts.admit(alice, second)
    assert stream_of(alice).codes() == ["OVERLOADED"] and len(stream_of(alice).opened) == 2


def test_only_a_broken_offer_counts_as_malformed(parts: Parts) -> None:
    """What the gateway could not judge is no fault of the agent's."""
    alice, bob, _ = joined(parts)
    negotiation = call(parts, alice, "agent://bob", policy="proto/low")
    unknown = envelope(
        "bob", Act.ACT_OFFER, msg_id="x", schema="Unheard", negotiation_id=negotiation
    )
    parts.admit(bob, unknown)
    assert stream_of(bob).codes() == ["UNKNOWN_SCHEMA"] and parts.metrics.finished == {}
    send(parts, bob, Act.ACT_OFFER, negotiation, value="dear")
    assert parts.metrics.finished == {"no_award": 1}


def test_an_alternating_offer_is_an_offer_with_an_end(parts: Parts) -> None:
    alice, bob, _ = joined(parts)
    negotiation = call(parts, alice, "agent://bob")
    offer = {
        "act": "offer",
        "round": 1,
        "terms": {"price": 3},
        "value": 3,
        "valid_until": "2025-08-21T18:44Z",
        "conditions": [{"field": "terms.price", "operator": "<=", "value": 5}],
    }
    made = envelope(
        "bob",
        Act.ACT_OFFER,
        msg_id="past",
        schema="AlternatingOffer",
        body=offer,
        negotiation_id=negotiation,
    )
    parts.admit(bob, made)
    assert stream_of(bob).codes() == ["OFFER_EXPIRED"], stream_of(bob).refusals


def test_the_log_has_no_words_of_an_agent(parts: Parts, capsys: pytest.CaptureFixture[str]) -> None:
    alice, *_ = joined(parts)
    negotiation = call(parts, alice, "agent://bob")
    send(parts, alice, Act.ACT_CANCEL, negotiation, reason="my secret limit was 45")
    written = capsys.readouterr()
    assert parts.metrics.finished == {"cancelled": 1}
    assert "secret" not in written.out + written.err


def test_an_id_tells_nobody_how_much_others_negotiate(parts: Parts) -> None:
    alice, *_ = joined(parts)
    first, second = (call(parts, alice, "agent://bob", msg_id=f"c{n}") for n in range(2))
    unique = [one.rpartition(".")[2].removesuffix(alice.tenant.tag) for one in (first, second)]
    assert abs(int(unique[0], 16) - int(unique[1], 16)) > 1_000_000


def test_a_call_sent_once_that_was_refused_for_want_of_room_was_never_admitted() -> None:
    parts = Parts(open_max=2)  # one for each shard
    alice, *_ = joined(parts)
    for n in range(2):
        call(parts, alice, msg_id=f"held{n}")
    once = envelope("alice", Act.ACT_CFP, "agent://bob", msg_id="c", body={"reply_within": 5})
    once.quality_of_service = QualityOfService.QUALITY_OF_SERVICE_ONCE
    parts.admit(alice, once)
    parts.admit(alice, once)
    assert stream_of(alice).codes() == ["OVERLOADED"] * 2, "and no DUPLICATE"


def expire(parts: Parts, member: Member) -> list[str]:
    """Give up what a member has not acknowledged in time; returns what that was."""
    over = member.outbox.expire(parts.now)
    parts.router.undelivered(member, over, "expired")
    return [parcel.msg_id for parcel in over]


def test_a_call_expires_at_its_deadline_and_its_initiator_hears_the_outcome_only(
    parts: Parts,
) -> None:
    """Whoever comes back later shall not think about a call that is over."""
    alice, bob, _ = joined(parts)
    call(parts, alice)
    received(bob)
    parts.now += 5
    parts.run()
    assert expire(parts, bob) == ["call"]
    assert names(received(alice)) == ["inform"]


def test_the_initiator_hears_of_a_call_that_expires_while_it_goes_on(parts: Parts) -> None:
    alice, bob, carol = joined(parts)
    short = envelope("alice", Act.ACT_CFP, "agent://bob", "agent://carol", msg_id="call")
    short.payload = orjson.dumps({"$schema": f"{SCHEMAS}Negotiation.json", "reply_within": 5})
    short.scope.ttl.FromSeconds(1)
    parts.admit(alice, short)
    assert received(carol)
    parts.now += 1
    assert expire(parts, bob) == ["call"]
    assert names(received(alice)) == ["failure"]


def test_a_call_that_is_decided_is_taken_back_from_those_that_are_away(parts: Parts) -> None:
    alice, bob, carol = joined(parts)
    dave = parts.join("dave")
    negotiation = call(
        parts,
        alice,
        "agent://bob",
        "agent://carol",
        "agent://dave",
        policy={"profile": "high", "quorum": 1},
    )
    received(carol)
    parts.members.part(carol, parts.now)
    parts.members.part(dave, parts.now)
    parts.absences.leave(dave)
    assert (len(carol.outbox), parts.mailbox.index.waiting(dave.key)) == (1, 1)
    send(parts, bob, Act.ACT_OFFER, negotiation, value=40)
    assert (len(carol.outbox), parts.mailbox.index.kept(dave.key)) == (0, 0)
    assert names(received(alice)) == ["offer", "inform"]
