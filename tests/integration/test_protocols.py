"""Protocols of many over a real gateway: how they are played, and what is refused in them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.raw_agent import Crowd, refused


def body_of(envelope: Envelope) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(envelope.payload)
    return body


async def test_the_initiator_calls_some_of_those_that_offered_again(crowd: Crowd) -> None:
    """N-2.1: only who offered can be invited, and who is not invited is rejected."""
    alice = await crowd.open("alice")
    bob, carol, dave = await crowd.contractors("bob", "carol", "dave")
    opened = await alice.call_for(
        crowd.topic(),
        protocol="iterated-contract-net",
        decider="initiator",
        iterations={"rounds_max": 2},
        policy="high",
    )
    negotiation_id = opened.negotiation_id
    for agent, value in ((bob, 50), (carol, 55), (dave, 80)):
        call = await agent.message(Act.ACT_CFP, negotiation_id)
        assert (call.turn.round, call.turn.rounds_left) == (1, 1)
        await agent.offer(negotiation_id, value)
    shown = await alice.message(Act.ACT_INFORM, negotiation_id)
    assert (shown.turn.rounds_left, shown.turn.standing_offer.value) == (1, 50)
    stranger = alice.envelope(
        Act.ACT_CFP,
        {"reply_within": 5},
        negotiation_id=negotiation_id,
        recipients=["agent://nobody"],
    )
    await refused(alice, stranger, "INVALID_ADDRESS", "/envelope/to")
    revised = alice.envelope(
        Act.ACT_CFP,
        {"reply_within": 5, "round": 2, "reserve": 50, "text": "Can you do better?"},
        negotiation_id=negotiation_id,
        recipients=[bob.address, carol.address],
    )
    await alice.send(revised)
    assert body_of(await dave.message(Act.ACT_REJECT, negotiation_id))["reason"] == "not_invited"
    late = dave.envelope(Act.ACT_OFFER, {"value": 1}, negotiation_id=negotiation_id)
    await refused(dave, late, "LATE", "/envelope/act")
    for agent, value in ((bob, 48), (carol, 44)):
        again = await agent.message(Act.ACT_CFP, negotiation_id)
        assert (again.msg_id, again.turn.round, again.turn.rounds_left) == (revised.msg_id, 2, 0)
        assert body_of(again)["text"] == "Can you do better?"
        wrong = agent.envelope(
            Act.ACT_OFFER, {"value": value, "round": 1}, negotiation_id=negotiation_id
        )
        await refused(agent, wrong, "WRONG_STATE", "/envelope/act")
        await agent.offer(negotiation_id, value, round=2)
    shown = await alice.message(Act.ACT_INFORM, negotiation_id)
    ranking = body_of(shown)["result"]["ranking"]
    assert [one["value"] for one in ranking] == [44, 48]
    third = alice.envelope(
        Act.ACT_CFP,
        {"reply_within": 5},
        negotiation_id=negotiation_id,
        recipients=[carol.address],
    )
    await refused(alice, third, "WRONG_STATE", "/envelope/act", reason="the last")
    best = {"offer_id": ranking[0]["offer_id"], "decision": "accepted"}
    await alice.do(Act.ACT_ACCEPT, negotiation_id, best)
    await carol.message(Act.ACT_ACCEPT, negotiation_id)
    await bob.message(Act.ACT_REJECT, negotiation_id)
    outcome = await alice.outcome(negotiation_id)
    assert (outcome["round"], outcome["winners"][0]["price"]) == (2, 44)


async def test_a_round_is_called_by_names_and_in_time(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    await crowd.contractors("bob")
    opened = await alice.call_for(
        crowd.topic(), protocol="iterated-contract-net", decider="initiator"
    )
    for fields, to, code, pointer in (
        ({"reply_within": 5}, crowd.topic(), "INVALID_ADDRESS", "/envelope/to"),
        ({"deadline": "2020-01-01T00:00Z"}, "agent://bob", "DEADLINE_INVALID", "/payload/deadline"),
        ({"reply_within": 5}, "agent://bob", "WRONG_STATE", "/envelope/act"),
    ):
        revised = alice.envelope(
            Act.ACT_CFP, fields, negotiation_id=opened.negotiation_id, recipients=[to]
        )
        await refused(alice, revised, code, pointer)


async def test_a_contract_net_has_one_round_and_no_counter_offers(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    opened = await alice.call_for(crowd.topic())
    again = alice.envelope(
        Act.ACT_CFP,
        {"reply_within": 5},
        negotiation_id=opened.negotiation_id,
        recipients=[bob.address],
    )
    await refused(alice, again, "WRONG_STATE", "/envelope/act")
    for act, said, code, pointer in (
        (
            Act.ACT_COUNTER,
            {"offer_id": opened.msg_id, "value": 3},
            "WRONG_STATE",
            "/envelope/act",
        ),
        (Act.ACT_OFFER, {"terms": {"price": 3}}, "WRONG_STATE", "/envelope/act"),
        (Act.ACT_OFFER, {"commitment": "0" * 64}, "WRONG_STATE", "/envelope/act"),
    ):
        envelope = bob.envelope(act, said, negotiation_id=opened.negotiation_id)
        await refused(bob, envelope, code, pointer)


def seal(nonce: bytes, **bid: object) -> str:
    canonical = json.dumps(bid, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(nonce + canonical).hexdigest()


async def test_sealed_bids_are_committed_first_and_revealed_after_the_close(crowd: Crowd) -> None:
    """N-6.6: not even the exchange knows a bid before the close, and nobody changes one after."""
    alice = await crowd.open("alice")
    bob, carol, dave = await crowd.contractors("bob", "carol", "dave")
    opened = await alice.call_for(
        crowd.topic(),
        protocol="sealed-bid",
        sealed={"price": "second", "commit": True, "reveal_within": 1},
        policy="high",
    )
    negotiation_id = opened.negotiation_id
    early = bob.envelope(Act.ACT_OFFER, {"value": 40}, negotiation_id=negotiation_id)
    await refused(bob, early, "WRONG_STATE", "/envelope/act", remedy="commitment")
    bids = {bob: (b"b" * 32, 40), carol: (b"c" * 32, 45), dave: (b"d" * 32, 30)}
    for agent, (nonce, value) in bids.items():
        await agent.message(Act.ACT_CFP, negotiation_id)
        said = {"commitment": seal(nonce, value=value)}
        await agent.do(Act.ACT_OFFER, negotiation_id, said)
    for agent, (nonce, value) in bids.items():
        asked = await agent.message(Act.ACT_INFORM, negotiation_id)
        assert body_of(asked)["result"]["reveal_within"] == 1 and asked.HasField("turn")
        if agent is dave:
            break
        other = {"value": value - 5, "nonce": nonce.hex()}
        changed = agent.envelope(Act.ACT_OFFER, other, negotiation_id=negotiation_id)
        await refused(agent, changed, "OFFER_BINDING", "/envelope/act")
        await agent.do(Act.ACT_OFFER, negotiation_id, {"value": value, "nonce": nonce.hex()})
    await dave.do(Act.ACT_REFUSE, negotiation_id)
    outcome = await alice.outcome(negotiation_id)
    (won,) = outcome["winners"]
    assert (won["agent"], won["value"], won["price"]) == (bob.address, 40, 45)
    assert not [one for one in alice.messages if one.act == Act.ACT_OFFER]


async def test_sealed_bids_pay_what_they_bid_at_first_price(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob, carol = await crowd.contractors("bob", "carol")
    opened = await alice.call_for(
        crowd.topic(), protocol="sealed-bid", sealed={"price": "first"}, policy="high"
    )
    await bob.offer(opened.negotiation_id, 40)
    await carol.offer(opened.negotiation_id, 45)
    (won,) = (await alice.outcome(opened.negotiation_id))["winners"]
    assert (won["agent"], won["price"]) == (bob.address, 40)


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"protocol": "barter"}, "UNKNOWN_PROTOCOL", "/payload/protocol"),
        ({"bargaining": {}}, "OPTIONS_INVALID", "/payload/bargaining"),
        ({"options": {}}, "OPTIONS_INVALID", "/payload/options"),
        (
            {"protocol": "alternating-offers", "iterations": {"rounds_max": 2}},
            "OPTIONS_INVALID",
            "/payload/iterations",
        ),
        (
            {"protocol": "alternating-offers", "bargaining": {"concession": "both"}},
            "OPTIONS_INVALID",
            "/payload",
        ),
        ({"protocol": "sealed-bid", "decider": "initiator"}, "POLICY_INVALID", "/payload/decider"),
        ({"protocol": "iterated-contract-net"}, "POLICY_INVALID", "/payload/decider"),
        (
            {"protocol": "sealed-bid", "sealed": {"price": "third"}},
            "SCHEMA_VIOLATION",
            "/payload/sealed/price",
        ),
    ],
)
async def test_a_call_that_no_protocol_can_take_is_refused(
    crowd: Crowd, fields: dict[str, object], code: str, pointer: str
) -> None:
    alice = await crowd.open("alice")
    await crowd.contractors("bob")
    await refused(alice, alice.cfp(crowd.topic(), **fields), code, pointer)
