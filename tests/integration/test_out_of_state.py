"""Acts that a negotiation cannot take: refused by code, and the negotiation stays as it was."""

from __future__ import annotations

import json

import pytest

from llmx.v1.envelope_pb2 import Act
from llmx.v1.negotiation_pb2 import NegotiationOpened
from tests.support.raw_agent import Crowd, RawAgent, refused


class Net:
    """A call of alice's that bob and carol may answer, and dave who is no party."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.alice: RawAgent
        self.bob: RawAgent
        self.carol: RawAgent
        self.dave: RawAgent
        self.id = ""

    async def open(self, **fields: object) -> NegotiationOpened:
        self.alice = await self.crowd.open("alice")
        self.dave = await self.crowd.open("dave")
        self.bob, self.carol = await self.crowd.contractors("bob", "carol")
        opened = await self.alice.call_for(self.crowd.topic(), **fields)
        self.id = opened.negotiation_id
        return opened

    async def refused(
        self, agent: RawAgent, act: Act, code: str, pointer: str, **payload: object
    ) -> None:
        """Expect that an act is refused, with the negotiation named."""
        envelope = agent.envelope(act, payload, negotiation_id=self.id)
        refusal = await refused(agent, envelope, code, pointer)
        assert refusal.negotiation_id == self.id

    async def ends_well(self) -> None:
        """Expect that the round can still be brought to its end."""
        await self.bob.offer(self.id, 10)
        await self.carol.offer(self.id, 12)
        await self.bob.message(Act.ACT_ACCEPT, self.id)
        await self.carol.message(Act.ACT_REJECT, self.id)
        outcome = await self.alice.outcome(self.id)
        assert [winner["agent"] for winner in outcome["winners"]] == [self.bob.address]


@pytest.fixture
def net(crowd: Crowd) -> Net:
    return Net(crowd)


@pytest.mark.parametrize(
    "negotiation_id",
    ["nowhere", "local.0.0", "local.999.x", "local.-1.x", "other.0.abc-def", "local.²." + "x",
     "x" * 10_000, "../../etc/passwd", "local.0." + "9" * 500],
)  # fmt: skip
async def test_an_act_of_an_unknown_negotiation_is_refused(net: Net, negotiation_id: str) -> None:
    await net.open()
    envelope = net.bob.envelope(Act.ACT_OFFER, {"value": 1}, negotiation_id=negotiation_id)
    await refused(
        net.bob, envelope, "UNKNOWN_NEGOTIATION", "/envelope/negotiation_id", remedy="call"
    )
    await net.ends_well()


async def test_an_act_that_names_no_negotiation_is_refused(net: Net) -> None:
    await net.open()
    envelope = net.bob.envelope(Act.ACT_OFFER, {"value": 1})
    await refused(net.bob, envelope, "UNKNOWN_NEGOTIATION", "/envelope/negotiation_id")
    await net.ends_well()


async def test_the_negotiation_of_another_tenant_does_not_exist(net: Net) -> None:
    """Not even that it is there is to be learned."""
    await net.open()
    stranger = await net.crowd.open("stranger", claims={"tenant": "others"})
    for act, payload in ((Act.ACT_OFFER, {"value": 1}), (Act.ACT_CANCEL, {})):
        envelope = stranger.envelope(act, payload, negotiation_id=net.id)
        refusal = await refused(
            stranger, envelope, "UNKNOWN_NEGOTIATION", "/envelope/negotiation_id"
        )
        guess = stranger.envelope(act, payload, negotiation_id="local.0.guess")
        guessed = await refused(stranger, guess, "UNKNOWN_NEGOTIATION", "/envelope/negotiation_id")
        assert (refusal.reason, refusal.remedy) == (guessed.reason, guessed.remedy)
    await net.ends_well()


async def test_an_offer_of_an_agent_that_was_not_called_is_refused(net: Net) -> None:
    await net.open()
    await net.refused(net.dave, Act.ACT_OFFER, "NOT_A_PARTY", "/envelope/from", value=1)
    await net.ends_well()


async def test_an_offer_of_the_initiator_itself_is_refused(net: Net) -> None:
    await net.open()
    await net.refused(net.alice, Act.ACT_OFFER, "NOT_A_PARTY", "/envelope/from", value=1)
    await net.ends_well()


async def test_a_second_offer_is_refused_and_the_first_stands(net: Net) -> None:
    await net.open()
    await net.bob.offer(net.id, 10)
    await net.refused(net.bob, Act.ACT_OFFER, "ALREADY_ANSWERED", "/envelope/act", value=9)
    await net.carol.offer(net.id, 12)
    outcome = await net.alice.outcome(net.id)
    assert outcome["winners"][0]["value"] == 10


async def test_an_offer_after_a_refusal_is_refused(net: Net) -> None:
    await net.open()
    await net.bob.do(Act.ACT_REFUSE, net.id, {"reason": "busy"})
    await net.refused(net.bob, Act.ACT_OFFER, "ALREADY_ANSWERED", "/envelope/act", value=9)
    await net.carol.offer(net.id, 12)
    outcome = await net.alice.outcome(net.id)
    assert (outcome["offers"], outcome["refusals"]) == (1, 1)


async def test_a_counter_offer_is_refused_by_a_contract_net(net: Net) -> None:
    await net.open()
    await net.refused(
        net.bob, Act.ACT_COUNTER, "WRONG_STATE", "/envelope/act", offer_id="o", value=1
    )
    await net.ends_well()


async def test_an_accept_by_one_who_did_not_call_is_refused(net: Net) -> None:
    await net.open(decider="initiator")
    offer_id = await net.bob.offer(net.id, 10)
    await net.alice.message(Act.ACT_OFFER)
    await net.refused(
        net.carol, Act.ACT_ACCEPT, "NOT_A_PARTY", "/envelope/from",
        offer_id=offer_id, decision="accepted",
    )  # fmt: skip
    await net.refused(
        net.dave, Act.ACT_ACCEPT, "NOT_A_PARTY", "/envelope/from",
        offer_id=offer_id, decision="accepted",
    )  # fmt: skip


async def test_an_accept_where_the_engine_decides_is_refused(net: Net) -> None:
    await net.open()
    await net.refused(
        net.alice, Act.ACT_ACCEPT, "WRONG_STATE", "/envelope/act",
        offer_id="any", decision="accepted",
    )  # fmt: skip
    await net.ends_well()


async def test_an_accept_before_the_close_is_refused(net: Net) -> None:
    await net.open(decider="initiator")
    offer_id = await net.bob.offer(net.id, 10)
    await net.alice.message(Act.ACT_OFFER)
    await net.refused(
        net.alice, Act.ACT_ACCEPT, "WRONG_STATE", "/envelope/act",
        offer_id=offer_id, decision="accepted",
    )  # fmt: skip


async def test_an_accept_of_an_offer_that_does_not_exist_is_refused(net: Net) -> None:
    await net.open(decider="initiator")
    offer_id = await net.bob.offer(net.id, 10)
    await net.carol.do(Act.ACT_REFUSE, net.id)
    await net.alice.message(Act.ACT_INFORM, net.id)
    await net.refused(
        net.alice, Act.ACT_ACCEPT, "UNKNOWN_OFFER", "/payload/offer_id",
        offer_id="nothing", decision="accepted",
    )  # fmt: skip
    await net.alice.do(Act.ACT_ACCEPT, net.id, {"offer_id": offer_id, "decision": "accepted"})
    await net.bob.message(Act.ACT_ACCEPT, net.id)


@pytest.mark.parametrize(
    ("act", "payload"),
    [
        (Act.ACT_CONFIRM, {"offer_id": "o"}),
        (Act.ACT_INFORM, {"done": True}),
        (Act.ACT_FAILURE, {"reason": "broken"}),
    ],
)
async def test_an_act_of_a_winner_while_offers_are_taken_is_refused(
    net: Net, act: Act, payload: dict[str, object]
) -> None:
    await net.open()
    await net.refused(net.bob, act, "WRONG_STATE", "/envelope/act", **payload)
    await net.ends_well()


@pytest.mark.parametrize("act", [Act.ACT_CANCEL, Act.ACT_INFORM, Act.ACT_CONFIRM, Act.ACT_REFUSE])
async def test_an_act_of_one_who_is_no_party_is_refused(net: Net, act: Act) -> None:
    await net.open()
    payload = {"offer_id": "o"} if act == Act.ACT_CONFIRM else {}
    await net.refused(net.dave, act, "NOT_A_PARTY", "/envelope/from", **payload)
    await net.ends_well()


async def test_a_binding_offer_cannot_be_withdrawn_and_a_revocable_one_can(net: Net) -> None:
    await net.open()
    await net.bob.offer(net.id, 10)
    await net.refused(net.bob, Act.ACT_CANCEL, "OFFER_BINDING", "/envelope/act")
    await net.carol.offer(net.id, 5, revocable=True)
    outcome = await net.alice.outcome(net.id)
    assert outcome["winners"][0]["agent"] == net.carol.address


async def test_a_revocable_offer_that_was_withdrawn_does_not_win(net: Net) -> None:
    await net.open()
    await net.carol.offer(net.id, 5, revocable=True)
    await net.carol.do(Act.ACT_CANCEL, net.id)
    await net.alice.message(Act.ACT_CANCEL, net.id)
    await net.bob.offer(net.id, 10)
    outcome = await net.alice.outcome(net.id)
    assert [winner["agent"] for winner in outcome["winners"]] == [net.bob.address]


async def test_a_cancelled_negotiation_takes_nothing_more(net: Net) -> None:
    await net.open()
    await net.bob.offer(net.id, 10)
    await net.alice.message(Act.ACT_OFFER)
    await net.alice.do(Act.ACT_CANCEL, net.id, {"reason": "no longer needed"})
    outcome = await net.alice.outcome(net.id)
    assert (outcome["state"], outcome["reason"]) == ("cancelled", "no longer needed")
    for agent in (net.bob, net.carol):
        told = await agent.message(Act.ACT_CANCEL, net.id)
        assert json.loads(told.payload)["reason"] == "no longer needed"
    await net.refused(net.alice, Act.ACT_CANCEL, "WRONG_STATE", "/envelope/act")
    await net.refused(
        net.alice, Act.ACT_ACCEPT, "WRONG_STATE", "/envelope/act",
        offer_id="any", decision="accepted",
    )  # fmt: skip


async def test_an_act_after_the_end_is_refused_for_everybody(net: Net) -> None:
    await net.open()
    await net.ends_well()
    await net.refused(net.carol, Act.ACT_INFORM, "WRONG_STATE", "/envelope/act", done=True)
    await net.refused(net.carol, Act.ACT_CONFIRM, "WRONG_STATE", "/envelope/act", offer_id="o")
    await net.refused(net.carol, Act.ACT_REFUSE, "ALREADY_ANSWERED", "/envelope/act")
    await net.refused(net.bob, Act.ACT_OFFER, "ALREADY_ANSWERED", "/envelope/act", value=1)


async def test_an_offer_for_another_round_is_refused(net: Net) -> None:
    await net.open(round=3)
    await net.refused(net.bob, Act.ACT_OFFER, "WRONG_STATE", "/envelope/act", value=1, round=2)
    await net.ends_well()


async def test_a_repeat_of_an_act_changes_nothing(net: Net) -> None:
    await net.open()
    offer = net.bob.envelope(Act.ACT_OFFER, {"value": 10}, negotiation_id=net.id)
    await net.bob.send(offer, offer)
    await refused(net.bob, offer.msg_id, "DUPLICATE", "/envelope/msg_id")
    await net.carol.offer(net.id, 12)
    outcome = await net.alice.outcome(net.id)
    assert outcome["offers"] == 2


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"policy": "flow/magic"}, "POLICY_INVALID", "/payload/policy"),
        ({"policy": {"profile": "nope"}}, "POLICY_INVALID", "/payload/policy"),
        ({"policy": {"on_expiry": "decide_if"}}, "POLICY_INVALID", "/payload/policy"),
        (
            {"policy": {"select": "vickrey"}, "utility": "-value"},
            "POLICY_INVALID",
            "/payload/utility",
        ),
        ({"utility": "value +"}, "UTILITY_INVALID", "/payload/utility"),
        ({"utility": "__import__('os')"}, "UTILITY_INVALID", "/payload/utility"),
        ({"utility": "value ** 9"}, "UTILITY_INVALID", "/payload/utility"),
        ({"deadline": "2020-01-01T00:00Z"}, "DEADLINE_INVALID", "/payload/deadline"),
        ({"deadline": "2099-01-01T00:00Z"}, "DEADLINE_INVALID", "/payload/deadline"),
        ({"deadline": "2026-02-31T00:00Z"}, "DEADLINE_INVALID", "/payload/deadline"),
    ],
)
async def test_a_call_that_cannot_be_opened_says_why(
    crowd: Crowd, fields: dict[str, object], code: str, pointer: str
) -> None:
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    await refused(alice, alice.cfp(crowd.topic(), **fields), code, pointer)
    opened = await alice.call_for(crowd.topic())
    await bob.offer(opened.negotiation_id, 1)
    assert (await alice.outcome(opened.negotiation_id))["state"] == "committed"
