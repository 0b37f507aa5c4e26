"""Bargains between two over a real gateway: how they are played, and what is refused in them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.raw_agent import Crowd, RawAgent, refused


def body_of(envelope: Envelope) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(envelope.payload)
    return body


class Bargain:
    """Alice, who has called bob to bargain, and carol who is no party."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.alice: RawAgent
        self.bob: RawAgent
        self.carol: RawAgent
        self.id = ""
        self.call = ""

    async def open(self, protocol: str = "alternating-offers", **rules: object) -> Envelope:
        """Let alice call; returns what bob hears."""
        self.alice = await self.crowd.open("alice")
        self.carol = await self.crowd.open("carol")
        (self.bob,) = await self.crowd.contractors("bob")
        opened = await self.alice.call_for(
            self.crowd.topic(), protocol=protocol, bargaining={"max_rounds": 6, **rules}
        )
        self.id, self.call = opened.negotiation_id, opened.msg_id
        return await self.bob.message(Act.ACT_CFP, self.id)

    async def counters(
        self, agent: RawAgent, to: RawAgent, offer_id: str, **fields: object
    ) -> Envelope:
        """Let an agent counter, and return what the other one hears."""
        said = {"offer_id": offer_id, **fields}
        await agent.do(Act.ACT_COUNTER, self.id, said)
        return await to.message(Act.ACT_COUNTER, self.id)

    async def accepts(self, agent: RawAgent, offer_id: str) -> str:
        said = {"offer_id": offer_id, "decision": "accepted"}
        return await agent.do(Act.ACT_ACCEPT, self.id, said)

    async def is_refused(
        self, agent: RawAgent, act: Act, code: str, pointer: str, **payload: object
    ) -> None:
        envelope = agent.envelope(act, payload, negotiation_id=self.id)
        refusal = await refused(agent, envelope, code, pointer)
        assert refusal.negotiation_id == self.id

    async def outcome(self) -> dict[str, Any]:
        """Return what both parties are told, which is the same."""
        told, same = await self.alice.outcome(self.id), await self.bob.outcome(self.id)
        assert told == same
        return told


@pytest.fixture
def bargain(crowd: Crowd) -> Bargain:
    return Bargain(crowd)


async def test_two_parties_propose_in_turn_until_one_accepts(bargain: Bargain) -> None:
    """N-3.5: what is agreed are the terms of the standing proposal, and both hear the same hash."""
    call = await bargain.open()
    assert (call.turn.round, call.turn.rounds_left) == (1, 5)
    await bargain.bob.offer(bargain.id, 60, terms={"price": 60, "start": "08:00"})
    first = await bargain.alice.message(Act.ACT_OFFER, bargain.id)
    assert (first.turn.round, first.turn.standing_offer.value) == (2, 60)
    assert first.turn.standing_offer.offer_id == first.msg_id
    assert first.turn.own_last_msg_id == bargain.call
    terms = {"start": "08:00", "price": 45}
    second = await bargain.counters(bargain.alice, bargain.bob, first.msg_id, value=45, terms=terms)
    assert second.turn.own_last_msg_id == first.msg_id
    await bargain.accepts(bargain.bob, second.msg_id)
    outcome = await bargain.outcome()
    assert (outcome["state"], outcome["ended_by"]) == ("committed", "agreement")
    agreement = outcome["agreement"]
    assert agreement["by"] == bargain.alice.address and agreement["terms"] == terms
    canonical = json.dumps(terms, sort_keys=True, separators=(",", ":")).encode()
    assert agreement["terms_sha256"] == hashlib.sha256(canonical).hexdigest()
    (won,) = outcome["winners"]
    assert (won["agent"], won["price"]) == (bargain.bob.address, 45)


async def test_terms_alone_are_a_proposal(bargain: Bargain) -> None:
    await bargain.open()
    await bargain.bob.do(Act.ACT_OFFER, bargain.id, {"terms": {"when": "noon"}})
    heard = await bargain.alice.message(Act.ACT_OFFER, bargain.id)
    await bargain.accepts(bargain.alice, heard.msg_id)
    outcome = await bargain.outcome()
    assert outcome["agreement"]["terms"] == {"when": "noon"}
    assert "value" not in outcome["agreement"]


async def test_what_is_said_out_of_turn_is_refused_and_changes_nothing(bargain: Bargain) -> None:
    """N-3.1: strict turn taking."""
    await bargain.open()
    await bargain.is_refused(
        bargain.alice, Act.ACT_OFFER, "NOT_YOUR_TURN", "/envelope/act", value=40
    )
    await bargain.bob.offer(bargain.id, 60)
    heard = await bargain.alice.message(Act.ACT_OFFER, bargain.id)
    for act, said in (
        (Act.ACT_COUNTER, {"offer_id": heard.msg_id, "value": 50}),
        (Act.ACT_ACCEPT, {"offer_id": heard.msg_id, "decision": "accepted"}),
        (Act.ACT_REFUSE, {}),
    ):
        await bargain.is_refused(bargain.bob, act, "NOT_YOUR_TURN", "/envelope/act", **said)
    await bargain.accepts(bargain.alice, heard.msg_id)
    assert (await bargain.outcome())["agreement"]["value"] == 60


async def test_an_offer_that_does_not_stand_cannot_be_accepted(bargain: Bargain) -> None:
    """N-3.3: an accept of anything but the standing offer is stale."""
    await bargain.open()
    await bargain.is_refused(
        bargain.bob,
        Act.ACT_ACCEPT,
        "UNKNOWN_OFFER",
        "/payload/offer_id",
        offer_id=bargain.call,
        decision="accepted",
    )
    await bargain.bob.offer(bargain.id, 60)
    first = await bargain.alice.message(Act.ACT_OFFER, bargain.id)
    second = await bargain.counters(bargain.alice, bargain.bob, first.msg_id, value=40)
    stale = {"offer_id": first.msg_id, "decision": "accepted"}
    await bargain.is_refused(
        bargain.bob, Act.ACT_ACCEPT, "STALE_OFFER", "/payload/offer_id", **stale
    )
    await bargain.is_refused(
        bargain.bob,
        Act.ACT_COUNTER,
        "STALE_OFFER",
        "/payload/offer_id",
        offer_id=first.msg_id,
        value=50,
    )
    await bargain.accepts(bargain.bob, second.msg_id)
    assert (await bargain.outcome())["agreement"]["value"] == 40


async def test_an_offer_whose_validity_has_ended_cannot_be_accepted(bargain: Bargain) -> None:
    """N-3.4: its receiver is still to move."""
    await bargain.open()
    await bargain.bob.offer(bargain.id, 60, valid_for=1e-6)
    heard = await bargain.alice.message(Act.ACT_OFFER, bargain.id)
    said = {"offer_id": heard.msg_id, "decision": "accepted"}
    await bargain.is_refused(bargain.alice, Act.ACT_ACCEPT, "OFFER_EXPIRED", "/payload", **said)
    second = await bargain.counters(bargain.alice, bargain.bob, heard.msg_id, value=50)
    await bargain.accepts(bargain.bob, second.msg_id)
    assert (await bargain.outcome())["agreement"]["value"] == 50


async def test_a_stranger_cannot_speak_in_a_bargain(bargain: Bargain) -> None:
    await bargain.open()
    await bargain.is_refused(bargain.carol, Act.ACT_OFFER, "NOT_A_PARTY", "/envelope/from", value=1)
    await bargain.bob.do(Act.ACT_REFUSE, bargain.id, {"reason": "too_far"})
    outcome = await bargain.outcome()
    assert (outcome["state"], outcome["ended_by"]) == ("no_award", "end")
    assert outcome["reason"] == "too_far"


async def test_a_party_that_must_concede_and_does_not_is_refused(bargain: Bargain) -> None:
    """N-3.9: the optional rule of conceding."""
    await bargain.open(must_concede=True, step_min=5)
    await bargain.bob.offer(bargain.id, 60)
    first = await bargain.alice.message(Act.ACT_OFFER, bargain.id)
    second = await bargain.counters(bargain.alice, bargain.bob, first.msg_id, value=40)
    said = {"offer_id": second.msg_id, "value": 58}
    await bargain.is_refused(bargain.bob, Act.ACT_COUNTER, "MUST_CONCEDE", "/payload", **said)
    third = await bargain.counters(bargain.bob, bargain.alice, second.msg_id, value=55)
    await bargain.accepts(bargain.alice, third.msg_id)
    assert (await bargain.outcome())["agreement"]["value"] == 55


async def test_the_call_may_make_the_first_proposal(bargain: Bargain) -> None:
    call = await bargain.open(opening={"value": 30, "terms": {"price": 30}})
    assert call.turn.standing_offer.offer_id == bargain.call
    await bargain.accepts(bargain.bob, bargain.call)
    agreement = (await bargain.outcome())["agreement"]
    assert (agreement["by"], agreement["terms"]) == (bargain.alice.address, {"price": 30})


async def test_a_turn_that_runs_out_ends_a_bargain(bargain: Bargain) -> None:
    """N-3.6: exactly one terminal event to both."""
    await bargain.open(turn_within=0.05)
    outcome = await bargain.outcome()
    assert (outcome["state"], outcome["ended_by"]) == ("no_award", "turn_timeout")


async def test_who_thinks_makes_its_turn_longer_and_the_other_hears_it(bargain: Bargain) -> None:
    await bargain.open()
    await bargain.bob.do(Act.ACT_THINKING, bargain.id, {"seconds": 1})
    assert body_of(await bargain.alice.message(Act.ACT_THINKING, bargain.id))["seconds"] == 1
    await bargain.alice.do(Act.ACT_CANCEL, bargain.id, {"reason": "enough"})
    outcome = await bargain.outcome()
    assert (outcome["state"], outcome["reason"]) == ("cancelled", "enough")


async def test_two_parties_concede_until_their_deals_meet(bargain: Bargain) -> None:
    """N-4.4: both concede in every step; nobody hears what the other tables before both have."""
    await bargain.open("monotonic-concession", concession="both", step_min=1)
    for low, high in ((40, 60), (45, 52)):
        await bargain.bob.offer(bargain.id, high)
        await bargain.alice.offer(bargain.id, low)
        for agent in (bargain.alice, bargain.bob):
            told = await agent.message(Act.ACT_INFORM, bargain.id)
            deals = body_of(told)["result"]["deals"]
            assert (deals["initiator"]["value"], deals["responder"]["value"]) == (low, high)
            assert told.turn.answer_by.ToNanoseconds() > 0
    await bargain.is_refused(bargain.bob, Act.ACT_OFFER, "MUST_CONCEDE", "/payload", value=53)
    await bargain.bob.offer(bargain.id, 48)
    await bargain.is_refused(bargain.bob, Act.ACT_OFFER, "NOT_YOUR_TURN", "/envelope/act", value=47)
    await bargain.alice.offer(bargain.id, 49)
    outcome = await bargain.outcome()
    assert outcome["ended_by"] == "agreement" and outcome["agreement"]["value"] in (48, 49)


async def test_a_deal_that_ends_before_the_bargain_cannot_be_tabled(bargain: Bargain) -> None:
    await bargain.open("monotonic-concession")
    said = {"value": 60, "valid_for": 1e-6}
    await bargain.is_refused(bargain.bob, Act.ACT_OFFER, "OFFER_EXPIRED", "/payload", **said)
    await bargain.bob.do(Act.ACT_REFUSE, bargain.id)
    assert (await bargain.outcome())["ended_by"] == "end"


async def test_when_nobody_concedes_there_is_no_deal(bargain: Bargain) -> None:
    """N-4.3: if neither concedes in a step, that is the conflict deal."""
    await bargain.open("monotonic-concession", concession="either")
    await bargain.bob.offer(bargain.id, 60)
    await bargain.alice.offer(bargain.id, 40)
    for agent, value in ((bargain.bob, 60), (bargain.alice, 40)):
        await agent.message(Act.ACT_INFORM, bargain.id)
        await agent.offer(bargain.id, value)
    outcome = await bargain.outcome()
    assert (outcome["state"], outcome["ended_by"]) == ("no_award", "conflict")


async def test_a_bargain_is_between_two(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    await crowd.contractors("bob", "carol")
    call = alice.cfp(crowd.topic(), protocol="alternating-offers")
    await refused(alice, call, "OPTIONS_INVALID", "/payload")
