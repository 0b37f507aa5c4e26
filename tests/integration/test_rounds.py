"""Whole rounds on the wire: the levels, who decides, who sees what, and when it is over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmx.v1.consent_pb2 import Consent
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.raw_agent import Crowd, RawAgent, refused


def said(envelope: Envelope) -> dict[str, Any]:
    """Return what a message says."""
    payload: dict[str, Any] = json.loads(envelope.payload)
    return payload


class Round:
    """Alice and three contractors, who have heard her call."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.alice: RawAgent
        self.bob: RawAgent
        self.carol: RawAgent
        self.dave: RawAgent
        self.id = ""

    async def call(self, **fields: object) -> str:
        """Let alice call; returns which policy counts."""
        self.alice = await self.crowd.open("alice")
        self.bob, self.carol, self.dave = await self.crowd.contractors("bob", "carol", "dave")
        opened = await self.alice.call_for(self.crowd.topic(), **fields)
        self.id = opened.negotiation_id
        contractors = (self.bob, self.carol, self.dave)
        assert sorted(opened.eligible) == sorted(agent.address for agent in contractors)
        for agent in contractors:
            heard = await agent.message(Act.ACT_CFP)
            assert heard.negotiation_id == self.id
        return opened.policy

    async def accepted(self, agent: RawAgent, offer_id: str, price: float) -> dict[str, Any]:
        """Expect that an agent hears that its offer has won."""
        told = await agent.message(Act.ACT_ACCEPT, self.id)
        assert told.sender == f"gateway://{self.crowd.gateway.gateway_id}"
        assert told.in_reply_to == offer_id
        body = said(told)
        assert (body["offer_id"], body["decision"]) == (offer_id, "accepted")
        assert body["price"] == price
        return body

    async def rejected(self, agent: RawAgent, reason: str) -> None:
        """Expect that an agent hears that its offer has lost, and why."""
        body = said(await agent.message(Act.ACT_REJECT, self.id))
        assert (body["decision"], body["reason"]) == ("rejected", reason)

    async def hears(self, *offer_ids: str) -> None:
        """Expect that the initiator gets these offers."""
        for offer_id in offer_ids:
            await self.alice.arrival(offer_id)


@pytest.fixture
def round_(crowd: Crowd) -> Round:
    return Round(crowd)


async def test_low_takes_the_first_offer_and_tells_who_comes_later_that_it_is_late(
    round_: Round,
) -> None:
    assert await round_.call(policy="low") == "flow/low@1"
    first = await round_.bob.offer(round_.id, 50)
    await round_.accepted(round_.bob, first, 50)
    outcome = await round_.alice.outcome(round_.id)
    assert (outcome["state"], outcome["closed_by"]) == ("committed", "quorum")
    await round_.carol.offer(round_.id, 10)
    await round_.rejected(round_.carol, "late")
    await round_.carol.is_served()


async def test_medium_takes_the_best_of_half_of_the_agents(round_: Round) -> None:
    assert await round_.call(policy="medium") == "flow/medium@1"
    await round_.bob.offer(round_.id, 50)
    best = await round_.carol.offer(round_.id, 10)
    await round_.accepted(round_.carol, best, 10)
    await round_.rejected(round_.bob, "outbid")
    outcome = await round_.alice.outcome(round_.id)
    assert (outcome["offers"], outcome["complete"]) == (2, False)


async def test_high_takes_the_best_of_all(round_: Round) -> None:
    assert await round_.call(policy="high", task={"gpus": 4}) == "flow/high@1"
    offers = [
        await agent.offer(round_.id, value)
        for agent, value in ((round_.bob, 30), (round_.carol, 20), (round_.dave, 40))
    ]
    await round_.hears(*offers)
    await round_.accepted(round_.carol, offers[1], 20)
    for agent in (round_.bob, round_.dave):
        await round_.rejected(agent, "outbid")
    outcome = await round_.alice.outcome(round_.id)
    assert outcome["complete"] is True
    assert outcome["policy"] == "flow/high@1"
    ranked = [entry["agent"] for entry in outcome["ranking"]]
    assert ranked == [agent.address for agent in (round_.carol, round_.bob, round_.dave)]


async def test_a_call_that_names_no_policy_is_decided_by_the_default(round_: Round) -> None:
    assert await round_.call() == "flow/high@1"


async def test_who_refuses_hears_neither_accept_nor_reject(round_: Round) -> None:
    await round_.call()
    await round_.bob.do(Act.ACT_REFUSE, round_.id, {"reason": "busy"})
    heard = await round_.alice.message(Act.ACT_REFUSE, round_.id)
    assert said(heard)["reason"] == "busy"
    await round_.dave.do(Act.ACT_NOT_UNDERSTOOD, round_.id, {"reason": "what is a gpu?"})
    await round_.carol.offer(round_.id, 20)
    outcome = await round_.alice.outcome(round_.id)
    assert (outcome["offers"], outcome["refusals"]) == (1, 2)
    for agent in (round_.bob, round_.dave):
        await agent.is_served()
        assert not [message for message in agent.messages if message.negotiation_id == round_.id]


async def test_when_all_refuse_there_is_no_award(round_: Round) -> None:
    await round_.call()
    for agent in (round_.bob, round_.carol, round_.dave):
        await agent.do(Act.ACT_REFUSE, round_.id)
    outcome = await round_.alice.outcome(round_.id)
    assert (outcome["state"], outcome["reason"]) == ("no_award", "no_offers")


@pytest.mark.slow
async def test_the_deadline_closes_a_round_that_nobody_else_does(round_: Round) -> None:
    await round_.call(reply_within=0.3)
    offer = await round_.bob.offer(round_.id, 30)
    await round_.accepted(round_.bob, offer, 30)
    outcome = await round_.alice.outcome(round_.id)
    assert (outcome["closed_by"], outcome["complete"]) == ("deadline", False)
    assert 0.25 < outcome["closed_at"] - outcome["opened_at"] < 2
    await round_.carol.offer(round_.id, 1)
    await round_.rejected(round_.carol, "late")


async def test_a_utility_over_fields_of_the_offer_decides(round_: Round) -> None:
    await round_.call(utility="-value - 2 * conditions.start_in")
    await round_.bob.offer(round_.id, 10, conditions={"start_in": 30})
    soon = await round_.carol.offer(round_.id, 20, conditions={"start_in": 1})
    await round_.dave.offer(round_.id, 1)
    await round_.accepted(round_.carol, soon, 20)
    await round_.rejected(round_.bob, "outbid")
    await round_.rejected(round_.dave, "no_utility")


async def test_in_an_allocation_the_highest_bid_above_the_reserve_wins(round_: Round) -> None:
    await round_.call(direction="allocate", reserve=15)
    await round_.bob.offer(round_.id, 10)
    best = await round_.carol.offer(round_.id, 30)
    await round_.dave.offer(round_.id, 20)
    await round_.accepted(round_.carol, best, 30)
    await round_.rejected(round_.bob, "reserve")
    await round_.rejected(round_.dave, "outbid")


async def test_several_awards_go_to_the_best(round_: Round) -> None:
    await round_.call(max_awards=2)
    offers = [
        await agent.offer(round_.id, value)
        for agent, value in ((round_.bob, 30), (round_.carol, 20), (round_.dave, 10))
    ]
    await round_.accepted(round_.dave, offers[2], 10)
    await round_.accepted(round_.carol, offers[1], 20)
    await round_.rejected(round_.bob, "outbid")
    outcome = await round_.alice.outcome(round_.id)
    assert [winner["rank"] for winner in outcome["winners"]] == [1, 2]


async def test_an_initiator_that_decides_is_shown_the_offers_and_chooses(round_: Round) -> None:
    await round_.call(decider="initiator")
    offers = [
        await agent.offer(round_.id, value)
        for agent, value in ((round_.bob, 30), (round_.carol, 20), (round_.dave, 40))
    ]
    shown = said(await round_.alice.message(Act.ACT_INFORM, round_.id))["result"]
    assert [entry["offer_id"] for entry in shown["ranking"]] == [offers[1], offers[0], offers[2]]
    assert shown["max_awards"] == 1
    choice = {"offer_id": offers[2], "decision": "accepted"}
    await round_.alice.do(Act.ACT_ACCEPT, round_.id, choice)
    await round_.accepted(round_.dave, offers[2], 40)
    for agent in (round_.bob, round_.carol):
        body = said(await agent.message(Act.ACT_REJECT, round_.id))
        assert body["decision"] == "rejected"
    outcome = await round_.alice.outcome(round_.id)
    assert outcome["winners"][0]["agent"] == round_.dave.address


async def test_an_initiator_that_decides_may_reject_all(round_: Round) -> None:
    await round_.call(decider="initiator")
    for agent in (round_.bob, round_.carol, round_.dave):
        await agent.offer(round_.id, 30)
    await round_.alice.message(Act.ACT_INFORM, round_.id)
    await round_.alice.do(Act.ACT_REJECT, round_.id, {"decision": "rejected"})
    for agent in (round_.bob, round_.carol, round_.dave):
        await round_.rejected(agent, "rejected")
    assert (await round_.alice.outcome(round_.id))["state"] == "no_award"


@pytest.mark.slow
async def test_an_initiator_that_does_not_decide_in_time_awards_nothing(round_: Round) -> None:
    await round_.call(decider="initiator", decide_within=0.3)
    for agent in (round_.bob, round_.carol, round_.dave):
        await agent.offer(round_.id, 30)
    await round_.rejected(round_.bob, "not_decided")
    outcome = await round_.alice.outcome(round_.id)
    assert (outcome["state"], outcome["reason"]) == ("no_award", "not_decided")


async def test_in_a_vickrey_auction_nothing_is_seen_before_the_close_and_the_second_price_counts(
    round_: Round,
) -> None:
    """N-6.1, N-6.2."""
    await round_.call(policy={"profile": "flow/high", "select": "vickrey"})
    await round_.bob.offer(round_.id, 30)
    best = await round_.carol.offer(round_.id, 20)
    await round_.carol.confirmation()
    for agent in (round_.bob, round_.carol, round_.alice):
        await agent.is_served()
    assert not round_.alice.messages
    assert not round_.dave.messages
    await round_.dave.offer(round_.id, 40)
    await round_.accepted(round_.carol, best, 30)
    outcome = await round_.alice.outcome(round_.id)
    assert outcome["winners"][0]["price"] == 30
    assert not [one for one in round_.alice.messages if one.act == Act.ACT_OFFER]


async def test_a_winner_that_must_confirm_confirms(round_: Round) -> None:
    assert await round_.call(policy="proto/medium") == "proto/medium@1"
    offer = await round_.bob.offer(round_.id, 30)
    body = await round_.accepted(round_.bob, offer, 30)
    assert body["award"]["confirm_within"] == 10
    await round_.bob.do(Act.ACT_CONFIRM, round_.id, {"offer_id": offer})
    await round_.alice.message(Act.ACT_CONFIRM, round_.id)
    assert (await round_.alice.outcome(round_.id))["state"] == "committed"


@pytest.mark.slow
async def test_the_award_goes_to_the_next_best_when_the_winner_does_not_confirm(
    round_: Round,
) -> None:
    await round_.call(policy={"profile": "flow/high", "confirm": True}, confirm_within=0.3)
    await round_.bob.offer(round_.id, 10)
    second = await round_.carol.offer(round_.id, 20)
    await round_.dave.do(Act.ACT_REFUSE, round_.id)
    await round_.accepted(round_.carol, second, 20)
    assert said(await round_.bob.message(Act.ACT_CANCEL))["reason"] == "not_confirmed"
    await round_.carol.do(Act.ACT_CONFIRM, round_.id, {"offer_id": second})
    outcome = await round_.alice.outcome(round_.id)
    assert outcome["winners"][0]["agent"] == round_.carol.address


async def test_a_winner_that_owes_a_report_brings_the_result(round_: Round) -> None:
    await round_.call(policy="low", report_within=20)
    offer = await round_.bob.offer(round_.id, 30)
    body = await round_.accepted(round_.bob, offer, 30)
    assert body["award"]["report_within"] == 20
    await round_.alice.outcome(round_.id)
    result = {"result": {"lease": "L-17"}, "done": True}
    report = await round_.bob.do(Act.ACT_INFORM, round_.id, result)
    heard = await round_.alice.arrival(report)
    assert said(heard)["result"] == {"lease": "L-17"}
    again = round_.bob.envelope(Act.ACT_INFORM, result, negotiation_id=round_.id)
    refusal = await refused(round_.bob, again, "ALREADY_ANSWERED", "/envelope/act")
    assert refusal.negotiation_id == round_.id


@pytest.mark.slow
async def test_a_winner_that_never_reports_has_failed(round_: Round) -> None:
    await round_.call(policy="low", report_within=0.3)
    offer = await round_.bob.offer(round_.id, 30)
    await round_.accepted(round_.bob, offer, 30)
    await round_.alice.outcome(round_.id)
    failure = said(await round_.alice.message(Act.ACT_FAILURE, round_.id))
    assert failure["reason"] == "not_reported"
    assert round_.bob.address in failure["detail"]


async def test_a_winner_that_reports_a_failure_has_failed(round_: Round) -> None:
    await round_.call(policy="low", report_within=20)
    offer = await round_.bob.offer(round_.id, 30)
    await round_.accepted(round_.bob, offer, 30)
    await round_.bob.do(Act.ACT_FAILURE, round_.id, {"reason": "on fire"})
    failure = await round_.alice.message(Act.ACT_FAILURE, round_.id)
    assert said(failure)["reason"] == "on fire"


async def test_a_call_to_named_agents_reaches_them_alone(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    named = await crowd.open("named", consents=[Consent(grantee=alice.address)])
    opened = await alice.call_for(named.address)
    assert list(opened.eligible) == [named.address]
    offer = await named.offer(opened.negotiation_id, 5)
    assert said(await named.message(Act.ACT_ACCEPT))["offer_id"] == offer
    await bob.is_served()
    assert not [one for one in bob.messages if one.act == Act.ACT_CFP]


async def test_fifty_rounds_at_once_each_find_their_own_end(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob, carol = await crowd.contractors("bob", "carol")
    calls = [alice.cfp(crowd.topic(), task=f"task {n}") for n in range(50)]
    await alice.send(*calls)
    for n in range(50):
        opened = await alice.opened(calls[n].msg_id)
        await bob.offer(opened.negotiation_id, n)
        await carol.offer(opened.negotiation_id, 25.5)  # no tie: nobody knows who is first
        winner = bob if n <= 25 else carol
        outcome = await alice.outcome(opened.negotiation_id)
        assert outcome["winners"][0]["agent"] == winner.address, n
