"""Alternating offers, played: whose turn it is, what may be done in it, and every end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from policy.bargain_turns import ASIDES_MAX
from policy.events import OfferReceived
from policy.states import Phase
from tests.support import plays
from tests.support.bargains import Bargain, both, leave, make_bargain, propose, take

Open = Callable[..., Bargain]


# -------------------------------------------------------------------------------- whose turn


def test_the_first_proposer_is_fixed_at_the_opening():
    """N-3.1: first proposer fixed at opening."""
    responder = Bargain(make_bargain())
    responder.then("relay to bob: round 1 until 10")
    responder.at(1, propose("bob", 60)).then("relay to alice: round 2 until 10, bob-60 stands")
    initiator = Bargain(make_bargain(first="initiator"))
    initiator.then("relay to bob")
    initiator.at(1, propose("alice", 40)).then("relay to bob: round 2 until 10, alice-40 stands")


def test_turns_alternate_strictly(bargain: Open):
    """N-3.1: two parties, strict turn taking."""
    (
        bargain()
        .at(1, propose("bob", 60))
        .then("relay to alice: round 2 until 10, bob-60 stands")
        .at(2, propose("alice", 40))
        .then("relay to bob: round 3 until 10, alice-40 stands")
        .at(3, propose("bob", 55))
        .then("relay to alice: round 4 until 10, bob-55 stands")
    )


@pytest.mark.parametrize(
    "act",
    [
        propose("alice", 40),
        plays.offer("alice", 40),
        take("alice", "bob-60"),
        leave("alice"),
        plays.refusal("alice"),
        plays.not_understood("alice"),
        plays.report("alice"),
        plays.thinking("alice"),
    ],
    ids=lambda act: type(act).__name__,
)
def test_a_message_out_of_turn_is_refused_and_changes_nothing(bargain: Open, act: Any):
    """N-3.1: a message out of turn gets NOT_YOUR_TURN, and the state is unchanged."""
    game = bargain()
    before = game.state
    game.at(1, act).then("refuse alice NOT_YOUR_TURN")
    assert game.state == before


def test_who_has_moved_cannot_take_it_back(bargain: Open):
    game = (
        bargain().at(1, propose("bob", 60)).then("relay to alice: round 2 until 10, bob-60 stands")
    )
    game.at(2, plays.cancellation("bob")).then("refuse bob NOT_YOUR_TURN")


def test_a_stranger_is_not_heard(bargain: Open):
    bargain().at(1, propose("carol", 5)).then("refuse carol NOT_A_PARTY")


def test_an_initiator_may_open_with_a_proposal_in_its_call():
    game = Bargain(make_bargain(opening={"value": 40, "valid_for": 5}))
    game.then("relay to bob: round 2 until 10, call stands")
    game.at(1, take("bob", "call")).then("relay to alice", *both("committed, call"))
    assert game.outcome["agreement"]["terms"] == {"value": 40}
    game.end()


# ------------------------------------------------------------------------- what a turn is for


def test_on_its_turn_a_party_accepts_or_counters_or_ends(bargain: Open):
    """N-3.2: on its turn a party does exactly one of accept, counter, end."""
    for act, told in (
        (take("alice", "bob-60"), ("relay to bob", *both("committed, bob-60"))),
        (propose("alice", 40), ("relay to bob: round 3 until 10, alice-40 stands",)),
        (leave("alice", "bob-60"), ("relay to bob", *both("no_award, end"))),
        (plays.refusal("alice"), ("relay to bob", *both("no_award, end"))),
        (
            plays.not_understood("alice"),
            ("relay to bob", *both("no_award, end (not_understood)")),
        ),
    ):
        game = bargain().at(1, propose("bob", 60))
        game.then("relay to alice: round 2 until 10, bob-60 stands").at(2, act).then(*told)
        again = type(act)(**{**_fields(act), "msg_id": "another"})
        code = "NOT_YOUR_TURN" if game.state.phase is Phase.OPEN else None
        game.at(3, again)
        if code:
            game.then(f"refuse alice {code}")
        else:
            game.unclaimed = []
            assert game.state.is_final


def _fields(act: Any) -> dict[str, Any]:
    return {name: getattr(act, name) for name in act.__struct_fields__}


def test_a_message_without_terms_is_passed_on_and_moves_nobody(bargain: Open):
    """N-3.2: a message without terms is optional, and is no move."""
    game = bargain().at(1, plays.report("bob", msg_id="wait")).then("relay to alice")
    assert game.state.to_move == ("agent://bob",)
    game.at(2, propose("bob", 60)).then("relay to alice: round 2 until 10, bob-60 stands")


def test_messages_without_terms_are_bounded(bargain: Open):
    game = bargain()
    for number in range(ASIDES_MAX):
        game.at(1, plays.report("bob", msg_id=f"so-{number}")).then("relay to alice")
    game.at(1, plays.report("bob", msg_id="more")).then("refuse bob WRONG_STATE")
    game.at(1, plays.thinking("bob")).then("refuse bob WRONG_STATE")


def test_an_offer_is_a_proposal_like_a_counter(bargain: Open):
    fields = {"terms": {"price": 60}, "round": 1, "conditions": {"remark": "carried"}}
    offer = OfferReceived("agent://bob", "o", 60, fields)
    game = bargain().at(1, offer).then("relay to alice: round 2 until 10, o stands")
    game.at(2, take("alice", "o")).then("relay to bob", *both("committed, o"))
    assert game.outcome["agreement"]["terms"] == {"price": 60}


def test_a_proposal_names_terms_or_a_value(bargain: Open):
    bargain().at(1, propose("bob", None)).then("refuse bob TERMS_INVALID")


def test_a_proposal_that_says_its_round_says_the_right_one(bargain: Open):
    bargain().at(1, propose("bob", 1, round=2)).then("refuse bob WRONG_STATE")
    bargain().at(1, propose("bob", 1, round=1)).then(
        "relay to alice: round 2 until 10, bob-1 stands"
    )


def test_a_probe_is_no_proposal(bargain: Open):
    bargain().at(1, plays.probe(3)).then()


# ------------------------------------------------------------------------------- acceptance


def test_an_accept_names_the_standing_offer(bargain: Open):
    """N-3.3: accept refers to the standing offer's msg_id; anything else is STALE_OFFER."""
    game = bargain()
    game.at(1, propose("bob", 60)).then("relay to alice: round 2 until 10, bob-60 stands")
    game.at(2, propose("alice", 40)).then("relay to bob: round 3 until 10, alice-40 stands")
    game.at(3, propose("bob", 50)).then("relay to alice: round 4 until 10, bob-50 stands")
    before = game.state
    game.at(4, take("alice", "bob-60")).then("refuse alice STALE_OFFER")
    game.at(4, take("alice", "nonsense")).then("refuse alice STALE_OFFER")
    game.at(4, leave("alice", "bob-60")).then("refuse alice STALE_OFFER")
    game.at(4, propose("alice", 45, offer_id="bob-60")).then("refuse alice STALE_OFFER")
    assert game.state == before
    game.at(4, take("alice", "bob-50")).then("relay to bob", *both("committed, bob-50"))


def test_an_expired_offer_cannot_be_accepted_and_the_same_party_is_to_move(bargain: Open):
    """N-3.4: accept after `valid_until` gets OFFER_EXPIRED, the same player to move."""
    game = bargain().at(1, propose("bob", 60, valid_until=3))
    game.then("relay to alice: round 2 until 10, bob-60 stands")
    before = game.state
    game.at(3.5, take("alice", "bob-60")).then("refuse alice OFFER_EXPIRED")
    assert game.state == before
    game.at(4, propose("alice", 60)).then("relay to bob: round 3 until 10, alice-60 stands")


def test_an_offer_is_good_to_the_last_instant_of_its_validity(bargain: Open):
    game = bargain().at(1, propose("bob", 60, valid_until=3))
    game.then("relay to alice: round 2 until 10, bob-60 stands")
    game.at(3, take("alice", "bob-60")).then("relay to bob", *both("committed, bob-60"))


def test_an_offer_that_has_ended_before_it_came_is_refused(bargain: Open):
    bargain().at(2, propose("bob", 60, valid_until=1)).then("refuse bob OFFER_EXPIRED")


def test_an_offer_cannot_be_accepted_before_its_validity_begins(bargain: Open):
    game = bargain().at(1, propose("bob", 60, valid_from=3))
    game.then("relay to alice: round 2 until 10, bob-60 stands")
    game.at(2, take("alice", "bob-60")).then("refuse alice WRONG_STATE")
    game.at(3, take("alice", "bob-60", "now")).then("relay to bob", *both("committed, bob-60"))


def test_the_agreement_is_the_standing_offer_byte_for_byte(bargain: Open):
    """N-3.5: the same terms and hash in both final messages and in the log."""
    terms = {"price": 60, "region": "eu", "since": {"b": 1, "a": [1.5, "ü"]}}
    game = bargain().at(1, propose("bob", None, terms=terms))
    game.then("relay to alice: round 2 until 10, bob-terms stands")
    game.at(2, take("alice", "bob-terms")).then("relay to bob", *both("committed, bob-terms"))
    _, effects = game.history[-1]
    told = [dict(effect.body)["outcome"] for effect in effects if hasattr(effect, "body")]
    logged = effects[-1].outcome
    assert told == [logged, logged]
    spelled = '{"price":60,"region":"eu","since":{"a":[1.5,"ü"],"b":1}}'
    agreement = logged["agreement"]
    assert agreement["terms"] == terms
    assert agreement["terms_sha256"] == hashlib.sha256(spelled.encode()).hexdigest()
    assert "value" not in agreement
    assert logged["winners"] == [{"agent": "agent://bob", "offer_id": "bob-terms", "rank": 1}]


def test_nothing_can_be_accepted_before_something_is_proposed(bargain: Open):
    """N-3.7: no standing offer, so the accept is an error, and not an end."""
    game = bargain()
    game.at(1, take("bob", "call")).then("refuse bob UNKNOWN_OFFER")
    game.at(2, propose("bob", 60)).then("relay to alice: round 2 until 10, bob-60 stands")


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"field": "terms.price", "operator": "<=", "value": 60}, True),
        ({"field": "terms.price", "operator": "<", "value": 60}, False),
        ({"field": "round", "operator": "<=", "value": 2}, True),
        ({"field": "round", "operator": "<", "value": 2}, False),
    ],
)
def test_conditions_that_a_machine_reads_are_judged(
    bargain: Open, condition: dict[str, Any], holds: bool
):
    """N-3.8: a simple comparison list is evaluated by the gateway."""
    game = bargain().at(1, propose("bob", None, terms={"price": 60}, conditions=(condition,)))
    game.then("relay to alice: round 2 until 10, bob-terms stands")
    game.at(2, take("alice", "bob-terms"))
    if holds:
        game.then("relay to bob", *both("committed, bob-terms"))
    else:
        game.then("refuse alice TERMS_INVALID")


def test_conditions_in_any_other_form_are_carried(bargain: Open):
    """N-3.8: what is not machine-readable is otherwise carried."""
    fields = {"value": 60, "conditions": {"mood": "must be good"}}
    game = bargain().at(1, OfferReceived("agent://bob", "o", 60, fields))
    game.then("relay to alice: round 2 until 10, o stands")
    game.at(2, take("alice", "o")).then("relay to bob", *both("committed, o"))
