"""How alternating offers end, and what the rules of the call add."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policy.alternating_offers import objection, open_call, step
from policy.issues import issues_of
from policy.states import Phase
from tests.support import plays
from tests.support.bargains import Bargain, both, make_bargain, propose, refusal_of, take

Open = Callable[..., Bargain]


def test_it_ends_with_the_last_round(bargain: Open):
    """N-3.6: terminates at round ≥ max_rounds."""
    game = bargain(max_rounds=3)
    game.at(1, propose("bob", 60)).then("relay to alice: round 2 until 10, bob-60 stands")
    game.at(2, propose("alice", 40)).then("relay to bob: round 3 until 10, alice-40 stands")
    game.at(3, propose("bob", 50)).then(*both("no_award, rounds"))
    last = bargain(max_rounds=2).at(1, propose("bob", 60))
    last.then("relay to alice: round 2 until 10, bob-60 stands")
    last.at(2, take("alice", "bob-60")).then("relay to bob", *both("committed, bob-60"))


def test_it_ends_at_the_deadline(bargain: Open):
    """N-3.6: terminates at now ≥ deadline, with one terminal event to both."""
    game = bargain(turn_within=20).at(1, propose("bob", 60))
    game.then("relay to alice: round 2 until 10, bob-60 stands")
    game.at(9.9, plays.TIME_UP).then()
    game.at(10, plays.TIME_UP).then(*both("no_award, deadline"))
    game.at(10, plays.TIME_UP).then()


def test_an_act_after_the_deadline_finds_it_passed(bargain: Open):
    game = bargain().at(11, propose("bob", 60))
    game.then(*both("no_award, deadline"), "refuse bob LATE")
    game.at(12, take("alice", "bob-60")).then("refuse alice WRONG_STATE")
    game.at(12, plays.cancellation()).then("refuse alice WRONG_STATE")
    game.at(12, plays.malformed("bob"), plays.gone("bob")).then()


def test_a_silent_party_ends_it_where_the_rules_say_so(bargain: Open):
    """N-3.6: per-turn timeout, policy forfeit = end."""
    game = bargain(turn_within=3).at(1, propose("bob", 60))
    game.then("relay to alice: round 2 until 4, bob-60 stands")
    game.at(4, plays.TIME_UP).then(*both("no_award, turn_timeout"))


def test_a_silent_party_repeats_itself_where_the_rules_say_so(bargain: Open):
    """N-3.6: per-turn timeout, policy auto-repeat."""
    game = bargain(turn_within=2, on_timeout="repeat", max_rounds=4)
    game.at(1, propose("bob", 60)).then("relay to alice: round 2 until 3, bob-60 stands")
    game.at(2, propose("alice", 40)).then("relay to bob: round 3 until 4, alice-40 stands")
    game.at(4, plays.TIME_UP).then(
        "bob-60 again, to bob", "bob-60 again, to alice: round 4 until 6, bob-60 stands"
    )
    late = game.at(6, plays.TIME_UP)
    late.then(*both("no_award, rounds"))


def test_what_was_repeated_can_be_accepted(bargain: Open):
    game = bargain(turn_within=2, on_timeout="repeat")
    game.at(1, propose("bob", 60)).then("relay to alice: round 2 until 3, bob-60 stands")
    game.at(2, propose("alice", 40)).then("relay to bob: round 3 until 4, alice-40 stands")
    game.at(5, take("alice", "bob-60")).then(
        "bob-60 again, to bob",
        "bob-60 again, to alice: round 4 until 7, bob-60 stands",
        "relay to bob",
        *both("committed, bob-60"),
    )
    game.shows(round=4, offers=3)
    assert game.outcome["agreement"]["round"] == 3, "as late as it was said again"


def test_who_has_proposed_nothing_has_nothing_to_repeat(bargain: Open):
    game = bargain(turn_within=2, on_timeout="repeat")
    game.at(2, plays.TIME_UP).then(*both("no_award, turn_timeout"))


def test_the_initiator_may_take_its_call_back_at_any_time(bargain: Open):
    game = bargain().at(1, plays.cancellation(reason="sold"))
    game.then("relay to bob", *both("cancelled, end (sold)")).is_in(Phase.CANCELLED, 31)
    again = bargain().at(1, plays.cancellation())
    again.then("relay to bob", *both("cancelled, end (cancelled)"))


def test_a_responder_ends_it_by_cancelling_on_its_turn(bargain: Open):
    bargain().at(1, plays.cancellation("bob")).then("relay to alice", *both("no_award, end"))


def test_who_is_to_move_and_cannot_be_reached_ends_it(bargain: Open):
    bargain().at(1, plays.gone("alice")).then()
    bargain().at(1, plays.gone("bob")).then(*both("no_award, end (unreachable)"))


def test_thinking_makes_a_turn_longer_and_at_most_twice_as_long(bargain: Open):
    game = bargain(turn_within=3).at(1, plays.thinking("bob", 3)).then("relay to alice")
    assert game.state.due == 4
    game.at(2, plays.thinking("bob", 60, "more")).then("relay to alice")
    assert game.state.due == 6
    game.at(2, plays.thinking("bob", 1, "less")).then("relay to alice")
    assert game.state.due == 6
    game.at(6, plays.TIME_UP).then(*both("no_award, turn_timeout"))


def test_thinking_never_reaches_beyond_the_deadline(bargain: Open):
    game = bargain(turn_within=9).at(1, plays.thinking("bob", 60)).then("relay to alice")
    assert game.state.due == 10
    without = bargain().at(1, plays.thinking("bob", 60)).then("relay to alice")
    assert without.state.due == 10


def test_a_repetition_changes_nothing_and_is_answered_by_nothing(bargain: Open):
    game = bargain().at(1, propose("bob", 60))
    game.then("relay to alice: round 2 until 10, bob-60 stands")
    game.at(2, propose("bob", 60)).then()
    game.at(2, take("alice", "bob-60")).then("relay to bob", *both("committed, bob-60"))
    game.at(3, take("alice", "bob-60")).then()


def test_a_confirmation_means_nothing_here(bargain: Open):
    bargain().at(1, plays.confirmation("bob")).then("refuse bob WRONG_STATE")


# ------------------------------------------------------------------------- rules of the call


def test_the_terms_keep_to_the_issues_of_the_call(bargain: Open):
    issues = issues_of([{"name": "gpus", "type": "integer", "min": 1, "max": 8}])
    game = bargain(call={"issues": issues})
    game.at(1, propose("bob", None, terms={"gpus": 9})).then("refuse bob TERMS_INVALID")
    game.at(1, propose("bob", None, terms={"gpus": 8})).then(
        "relay to alice: round 2 until 10, bob-terms stands"
    )


def test_who_must_concede_never_makes_it_worse_for_the_other(bargain: Open):
    """N-3.9: optional `must_concede`, the monotone rule of N-4.2."""
    game = bargain(must_concede=True)
    game.at(1, propose("bob", 60)).then("relay to alice: round 2 until 10, bob-60 stands")
    game.at(2, propose("alice", 40)).then("relay to bob: round 3 until 10, alice-40 stands")
    before = game.state
    game.at(3, propose("bob", 61)).then("refuse bob MUST_CONCEDE")
    assert refusal_of(game) == (
        "your last proposal said 60, and this one says 61",
        "propose a value of at most 60, accept, or end",
    )
    assert game.state == before
    game.at(3, propose("bob", 60, "again")).then("relay to alice: round 4 until 10, again stands")
    game.at(4, propose("alice", 39)).then("refuse alice MUST_CONCEDE")
    game.at(4, propose("alice", 41)).then("relay to bob: round 5 until 10, alice-41 stands")


def test_a_concession_has_its_least_size(bargain: Open):
    game = bargain(must_concede=True, step_min=0.1)
    game.at(1, propose("bob", 0.3)).then("relay to alice: round 2 until 10, bob-0.3 stands")
    game.at(2, propose("alice", 0)).then("relay to bob: round 3 until 10, alice-0 stands")
    game.at(3, propose("bob", 0.25)).then("refuse bob MUST_CONCEDE")
    game.at(3, propose("bob", 0.3, "same")).then("refuse bob MUST_CONCEDE")
    game.at(3, propose("bob", 0.2)).then("relay to alice: round 4 until 10, bob-0.2 stands")


def test_a_concession_is_measured_by_what_the_call_declares(bargain: Open):
    """N-4.2: computed on declared utility or declared price."""
    game = bargain(
        must_concede=True, utilities={"initiator": "terms.speed", "responder": "-terms.speed"}
    )
    game.at(1, propose("bob", None, "b1", terms={"speed": 1}))
    game.then("relay to alice: round 2 until 10, b1 stands")
    game.at(2, propose("alice", None, "a1", terms={"speed": 9}))
    game.then("relay to bob: round 3 until 10, a1 stands")
    game.at(3, propose("bob", None, "b2", terms={"speed": 0})).then("refuse bob MUST_CONCEDE")
    game.at(3, propose("bob", None, "b3", terms={"slow": 0})).then("refuse bob TERMS_INVALID")


def test_the_record_says_what_waiting_left(bargain: Open):
    """N-5.8: u·δ^(round−1) or u·exp(−r·elapsed); which one is a field."""
    by_round = bargain(discount={"kind": "round", "initiator": 0.9, "responder": 0.5})
    by_round.at(1, propose("bob", 60)).then("relay to alice: round 2 until 10, bob-60 stands")
    by_round.at(2, propose("alice", 40)).then("relay to bob: round 3 until 10, alice-40 stands")
    by_round.at(3, take("bob", "alice-40")).then("relay to alice", *both("committed, alice-40"))
    assert by_round.outcome["agreement"]["discount"] == {
        "kind": "round",
        "initiator": 0.9,
        "responder": 0.5,
    }
    by_time = bargain(discount={"kind": "time", "initiator": 0.1})
    by_time.at(1, propose("bob", 60)).then("relay to alice: round 2 until 10, bob-60 stands")
    by_time.at(5, take("alice", "bob-60")).then("relay to bob", *both("committed, bob-60"))
    left = by_time.outcome["agreement"]["discount"]
    assert left == {"kind": "time", "initiator": pytest.approx(0.60653, abs=1e-5), "responder": 1}


def test_what_both_hear_is_the_published_outcome(bargain: Open):
    game = bargain().at(1, propose("bob", 60))
    game.then("relay to alice: round 2 until 10, bob-60 stands")
    game.at(2, take("alice", "bob-60")).then("relay to bob", *both("committed, bob-60"))
    game.shows(
        negotiation_id="g.0.n",
        state="committed",
        ended_by="agreement",
        round=2,
        offers=1,
        winners=[
            {"agent": "agent://bob", "offer_id": "bob-60", "value": 60, "price": 60, "rank": 1}
        ],
        opened_at=0,
        closed_at=2,
    )


def test_a_bargain_is_opened_as_the_table_does():
    call = make_bargain()
    assert objection(call) is None
    state, _ = open_call(call, 0.0)
    assert step(state, plays.TIME_UP, 5.0) == (state, [])
