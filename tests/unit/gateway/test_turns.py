"""Each turn an agent is told how long it has, what stands, and what it did last."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from gateway.causes import Cause, redacted
from gateway.members import Member
from gateway.outbox import Parcel
from gateway.turns import ASKING, EVERYBODYS, Bearer, Turns, as_call, relayed
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.turn_pb2 import StandingOffer, Turn
from policy.effects import Tell
from policy.effects import Turn as ToldTurn
from policy.events import OfferReceived, RevisedCallReceived
from tests.support import plays
from tests.support.gateway_parts import Parts, envelope, received, stream_of


@pytest.fixture
def parts() -> Parts:
    return Parts()


def seconds(turn: Turn) -> tuple[float, float]:
    """Return for how long an answer counts, and for how long at most."""
    return turn.answer_in.ToNanoseconds() / 1e9, turn.deadline_in.ToNanoseconds() / 1e9


def standing(one: Envelope) -> tuple[str, float] | None:
    offer = one.turn.standing_offer
    return (offer.offer_id, offer.value) if one.turn.HasField("standing_offer") else None


class Round:
    """Alice, who has called bob, carol and dave."""

    def __init__(self, parts: Parts, **body: Any) -> None:
        self.parts = parts
        self.members = {name: parts.join(name) for name in ("alice", "bob", "carol", "dave")}
        to = ("agent://bob", "agent://carol", "agent://dave")
        wanted = {"reply_within": 20} | body
        alice = self.members["alice"]
        parts.admit(alice, envelope("alice", Act.ACT_CFP, *to, msg_id="call", body=wanted))
        self.id = stream_of(alice).opened[-1].negotiation_id

    def does(self, name: str, act: Act, msg_id: str, **body: Any) -> None:
        sent = envelope(name, act, msg_id=msg_id, body=body, negotiation_id=self.id)
        self.parts.admit(self.members[name], sent)

    def offers(self, name: str, value: float, **body: Any) -> None:
        self.does(name, Act.ACT_OFFER, f"{name}-offer", value=value, **body)

    def heard(self, name: str) -> list[Envelope]:
        return received(self.members[name], self.parts.now)

    def last(self, name: str) -> Envelope:
        return self.heard(name)[-1]


def test_a_call_says_how_long_its_round_is_and_how_long_at_most(parts: Parts) -> None:
    round_ = Round(parts, policy={"profile": "high", "window": 5})
    heard = [round_.last(name) for name in ("bob", "carol", "dave")]
    for one in heard:
        assert (one.act, one.negotiation_id) == (Act.ACT_CFP, round_.id)
        assert seconds(one.turn) == (5, 20)
        assert (one.turn.round, one.turn.rounds_left) == (1, 0)
        assert (standing(one), one.turn.own_last_msg_id) == (None, "")


def test_a_turn_names_the_times_until_which_it_lasts(parts: Parts) -> None:
    """A call that comes late to an agent that was away still tells what is left."""
    called_at = parts.now
    round_ = Round(parts, policy={"profile": "high", "window": 5})
    parts.now += 3
    turn = round_.last("bob").turn
    assert turn.answer_by.ToNanoseconds() == round((called_at + 5) * 1e9)
    assert turn.deadline_at.ToNanoseconds() == round((called_at + 20) * 1e9)


def test_a_call_without_a_window_is_answered_until_its_deadline(parts: Parts) -> None:
    assert seconds(Round(parts, round=3).last("bob").turn) == (20, 20)


def test_what_follows_the_turn_in_an_envelope_is_as_its_sender_wrote_it(parts: Parts) -> None:
    round_ = Round(parts, decider="initiator")
    sent = envelope("bob", Act.ACT_OFFER, msg_id="o", body={"value": 1}, negotiation_id=round_.id)
    parts.admit(round_.members["bob"], sent)
    heard = round_.last("alice")
    assert heard.HasField("turn")
    heard.ClearField("turn")
    assert heard == sent


def test_an_initiator_that_decides_sees_the_best_offer_so_far_with_each(parts: Parts) -> None:
    round_ = Round(parts, decider="initiator", decide_within=30)
    told = []
    for name, value in (("bob", 30), ("carol", 20), ("dave", 20)):
        parts.now += 1
        round_.offers(name, value)
        told.append(round_.heard("alice")[0])  # the question follows the last one
        round_.members["alice"].outbox.confirm([told[-1].msg_id], parts.now)
    assert [standing(one) for one in told] == [
        ("bob-offer", 30),
        ("carol-offer", 20),
        ("carol-offer", 20),
    ]
    assert [seconds(one.turn) for one in told] == [(49, 79), (48, 78), (30, 60)]
    assert {one.turn.own_last_msg_id for one in told} == {"call"}


def test_a_question_to_choose_says_how_long_and_what_stands(parts: Parts) -> None:
    round_ = Round(parts, decider="initiator", decide_within=7)
    for name, value in (("bob", 30), ("carol", 20), ("dave", 40)):
        round_.offers(name, value)
    question = round_.last("alice")
    assert question.act == Act.ACT_INFORM
    assert seconds(question.turn) == (7, 14)
    assert standing(question) == ("carol-offer", 20)
    assert question.turn.own_last_msg_id == "call"


def test_whoever_is_asked_again_is_told_what_it_did_last(parts: Parts) -> None:
    round_ = Round(parts, decider="initiator", policy={"profile": "high", "confirm": True})
    for name, value in (("bob", 30), ("carol", 20), ("dave", 40)):
        round_.offers(name, value)
    round_.does("alice", Act.ACT_ACCEPT, "too-much", offer_id="no-such", decision="accepted")
    round_.does("alice", Act.ACT_ACCEPT, "my-choice", offer_id="carol-offer", decision="accepted")
    accept = round_.last("carol")
    assert (accept.act, accept.turn.own_last_msg_id) == (Act.ACT_ACCEPT, "carol-offer")
    assert seconds(accept.turn) == (10, 20)
    round_.does("carol", Act.ACT_REFUSE, "rather-not")
    question = round_.last("alice")
    assert question.turn.own_last_msg_id == "my-choice"
    assert standing(question) == ("bob-offer", 30)


def test_an_initiator_hears_until_when_the_round_waits_for_who_thinks(parts: Parts) -> None:
    round_ = Round(parts, policy={"profile": "high", "window": 5})
    parts.now += 1
    round_.does("bob", Act.ACT_THINKING, "hm", seconds=9)
    heard = round_.last("alice")
    assert (heard.act, heard.sender, heard.msg_id) == (Act.ACT_THINKING, "agent://bob", "hm")
    assert seconds(heard.turn) == (9, 19)


def test_an_initiator_hears_how_long_a_winner_that_thinks_may_confirm(parts: Parts) -> None:
    round_ = Round(parts, policy={"profile": "high", "confirm": True}, confirm_within=4)
    for name, value in (("bob", 30), ("carol", 20), ("dave", 40)):
        round_.offers(name, value)
    parts.now += 3
    round_.does("carol", Act.ACT_THINKING, "hm")
    assert seconds(round_.last("alice").turn) == (5, 5)


def test_where_the_engine_decides_an_offer_is_passed_on_as_it_is(parts: Parts) -> None:
    """The hot path: nobody is asked anything."""
    round_ = Round(parts)
    round_.offers("bob", 30)
    heard = round_.last("alice")
    assert not heard.HasField("turn")
    for name in ("carol", "dave"):
        round_.offers(name, 40)
    assert not any(
        one.HasField("turn")
        for name in round_.members
        for one in round_.heard(name)
        if one.act != Act.ACT_CFP
    )


@pytest.mark.parametrize(
    ("body", "values", "best"),
    [
        ({"direction": "allocate"}, (10, 30, 20), "carol"),
        ({"utility": "0 - abs(value - 20)"}, (10, 30, 20), "dave"),
        ({"utility": "conditions.speed"}, (10, 30, 20), None),
        ({"reserve": 15}, (30, 20, 16), None),
        ({"reserve": 15}, (30, 12, 16), "carol"),
        ({"policy": {"profile": "high", "select": "first"}}, (30, 12, 16), "bob"),
    ],
)
def test_the_standing_offer_is_the_one_that_the_gateway_would_rank_first(
    parts: Parts, body: dict[str, Any], values: tuple[float, ...], best: str | None
) -> None:
    round_ = Round(parts, decider="initiator", **body)
    for name, value in zip(("bob", "carol", "dave"), values, strict=True):
        round_.offers(name, value)
    *_, offer, _question = [one for one in round_.heard("alice") if one.HasField("turn")]
    stands = standing(offer)
    assert (stands and stands[0]) == (best and f"{best}-offer")


def test_an_offer_that_was_withdrawn_or_has_ended_does_not_stand(parts: Parts) -> None:
    round_ = Round(parts, decider="initiator")
    round_.offers("bob", 10, revocable=True)
    round_.offers("carol", 20, valid_for=5)
    assert standing(round_.last("alice")) == ("bob-offer", 10)
    round_.does("bob", Act.ACT_CANCEL, "not-so-cheap")
    assert not round_.last("alice").HasField("turn")
    parts.now += 6
    round_.offers("dave", 30)
    offer = [one for one in round_.heard("alice") if one.act == Act.ACT_OFFER][-1]
    assert standing(offer) == ("dave-offer", 30)


def test_a_late_offer_that_is_recorded_asks_for_nothing_when_all_is_over(parts: Parts) -> None:
    round_ = Round(parts, decider="initiator", policy={"profile": "high", "late": "record"})
    round_.offers("bob", 10)
    parts.now += 20
    parts.run()
    assert standing(round_.last("alice")) == ("bob-offer", 10)
    round_.offers("carol", 5)
    late = round_.last("alice")
    assert (late.msg_id, standing(late), seconds(late.turn)) == (
        "carol-offer",
        ("bob-offer", 10),
        (30, 60),
    )
    round_.does("alice", Act.ACT_ACCEPT, "choice", offer_id="bob-offer", decision="accepted")
    round_.offers("dave", 4)
    assert not round_.last("alice").HasField("turn")


def test_nothing_is_kept_of_a_negotiation_that_is_over(parts: Parts) -> None:
    turns: Turns = parts.negotiations._turns
    round_ = Round(parts, decider="initiator")
    assert list(turns.deciding) == [round_.id]
    round_.does("alice", Act.ACT_CANCEL, "enough")
    assert turns.deciding == {}


def test_fields_that_are_sensitive_leave_the_turn_alone(parts: Parts) -> None:
    """A payload is written anew for some recipients, and what the gateway tells stays."""
    alice, bob = parts.join("alice"), parts.join("bob", consent=False)
    sent = envelope("alice", Act.ACT_CFP, body={"reply_within": 5, "text": "my secret"})
    turn = Turns(lambda: 0.0).opened(plays.make_call())
    parcel = Parcel("m1", sent.SerializeToString() + turn, 0.0, alice.agent_id, "", True)
    cause = Cause(alice, parcel, orjson.loads(sent.payload), ("/text",))
    told = Envelope.FromString(redacted(cause, bob, "gpu", 0.0))
    assert b"secret" not in told.payload
    assert seconds(told.turn) == (10, 10)


def test_only_a_message_that_asks_is_looked_at(parts: Parts) -> None:
    turns = Turns(lambda: 0.0)
    tell = Tell("agent://alice", "inform", "n:1", "call", {"outcome": {}})
    assert tell.act in ASKING and turns.asked(None, tell) == b""
    state = plays.Play(plays.make_call()).state
    assert turns.asked(state, tell) == b""
    report = Tell("agent://alice", "inform", "n:1", "call", {"result": {}, "done": False})
    assert turns.asked(state, report) == b""


def test_no_agent_can_say_what_only_a_gateway_tells(parts: Parts) -> None:
    round_ = Round(parts)
    forged = envelope(
        "bob",
        Act.ACT_OFFER,
        msg_id="o",
        body={"value": 1},
        negotiation_id=round_.id,
        turn=Turn(standing_offer=StandingOffer(offer_id="x", sender="agent://bob", value=0)),
    )
    member: Member = round_.members["bob"]
    parts.admit(member, forged)
    assert stream_of(member).codes() == ["MALFORMED_ENVELOPE"]
    assert stream_of(member).refusals[0].pointer == "/envelope/turn"


OWN_TURN = ToldTurn(2, 3, 15.0, 60.0, "b1", "a1", "agent://alice", 40.0)


def test_a_protocol_says_itself_whose_turn_it_is() -> None:
    told = Envelope.FromString(Turns(lambda: 10.0).told(OWN_TURN)).turn
    assert (told.round, told.rounds_left, told.own_last_msg_id) == (2, 3, "b1")
    assert seconds(told) == (5, 50)
    assert told.answer_by.ToNanoseconds() == 15e9 and told.deadline_at.ToNanoseconds() == 60e9
    offer = told.standing_offer
    assert (offer.offer_id, offer.sender, offer.value) == ("a1", "agent://alice", 40)


def test_a_turn_without_an_offer_that_stands_names_none() -> None:
    told = Envelope.FromString(Turns(lambda: 70.0).told(ToldTurn(1, 0, 15.0, 60.0))).turn
    assert not told.HasField("standing_offer") and seconds(told) == (0, 0), "it is over"
    terms_only = ToldTurn(1, 0, 15.0, 60.0, "", "a1", "agent://alice")
    offer = Envelope.FromString(Turns(lambda: 0.0).told(terms_only)).turn.standing_offer
    assert (offer.offer_id, offer.value) == ("a1", 0)


def message(parts: Parts) -> Cause:
    sent = envelope("alice", Act.ACT_CFP, body={"reply_within": 5})
    parcel = Parcel("m1", sent.SerializeToString(), 100.0, "agent://alice", "n", True)
    return Cause(parts.join("alice"), parcel)


def test_one_message_goes_to_each_agent_with_its_own_turn(parts: Parts) -> None:
    """And is put together once for all that have the same."""
    general = Envelope(turn=Turn(round=9)).SerializeToString()
    bearer = Bearer(Turns(lambda: 10.0), message(parts), general)
    heard = {
        word: Envelope.FromString(bearer.to(turn).parcel.envelope).turn.round
        for word, turn in (("own", OWN_TURN), ("everybody's", EVERYBODYS), ("none", None))
    }
    assert heard == {"own": 2, "everybody's": 9, "none": 0}
    same = ToldTurn(2, 3, 15.0, 60.0, "b1", "a1", "agent://alice", 40.0)
    assert bearer.to(OWN_TURN) is bearer.to(same)
    assert bearer.to(OWN_TURN, "gpu").parcel.heard_on == "gpu"
    assert bearer.to(OWN_TURN).parcel.heard_on is None


def test_the_call_of_another_round_is_a_call_and_an_offer_is_none(parts: Parts) -> None:
    """Nobody shall think in vain about what can be answered no more."""
    cause = message(parts)
    revised = RevisedCallReceived("agent://alice", "m1", 2, (), 40.0, 50.0)
    parcel = relayed(cause, revised).parcel
    assert parcel.is_call and parcel.expires_at == 50
    assert relayed(cause, OfferReceived("agent://bob", "o", 1.0)) is cause
    assert as_call(cause, 500.0).parcel.expires_at == 100, "its own time is over before"


def test_the_best_offer_of_a_round_is_none_of_the_next(parts: Parts) -> None:
    round_ = Round(
        parts,
        decider="initiator",
        policy="high",
        protocol="iterated-contract-net",
        iterations={"rounds_max": 2},
    )
    for name, value in (("bob", 50), ("carol", 40), ("dave", 60)):
        assert round_.last(name).turn.rounds_left == 1
        round_.offers(name, value)
    shown = round_.last("alice")
    assert standing(shown) == ("carol-offer", 40) and shown.turn.rounds_left == 1
    sent = envelope(
        "alice",
        Act.ACT_CFP,
        "agent://bob",
        "agent://dave",
        msg_id="again",
        body={"reply_within": 9},
        negotiation_id=round_.id,
    )
    parts.admit(round_.members["alice"], sent)
    again = round_.last("bob")
    assert (again.msg_id, again.turn.round, again.turn.rounds_left) == ("again", 2, 0)
    assert again.turn.own_last_msg_id == "bob-offer" and seconds(again.turn) == (9, 9)
    round_.does("dave", Act.ACT_OFFER, "dave-again", value=55)
    offered = round_.last("alice")
    assert standing(offered) == ("dave-again", 55), "carol's offer binds nobody any more"
    assert (offered.turn.round, offered.turn.own_last_msg_id) == (2, "again")
