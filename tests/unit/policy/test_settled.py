"""What follows when the store has written an award, or has refused it, or says nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policy.contract_net import Phase
from policy.stakes import Credit, Need, Stakes
from tests.support.plays import (
    TIME_UP,
    Play,
    accept,
    cancellation,
    gone,
    hold_refused,
    not_settled,
    offer,
    refusal,
    report,
    settled,
    thinking,
)

Make = Callable[..., Play]

GPU = Stakes((Need("gpu", 4, 60.0),), Credit("initiator"), within=5.0)
UNITS = Stakes((Need("gpu", 4, 60.0),), within=5.0)
WINNER_PAYS = Stakes((), Credit("winner", "vision"), within=5.0)


def _decided(play: Make, stakes: Stakes = GPU, **fields: Any) -> Play:
    """Return a play in which bob's offer of 30 is best, carol's of 40 next; dave refused."""
    made = play(agents="bob carol dave", stakes=stakes, **fields)
    return (
        made.at(1, offer("bob", 30))
        .then("relay to alice")
        .at(2, offer("carol", 40))
        .then("relay to alice")
        .at(3, refusal("dave"))
    )


def _asked(play: Make, stakes: Stakes = GPU, **fields: Any) -> Play:
    """Return a play in which the store is asked to write bob's award."""
    made = _decided(play, stakes, **fields)
    made.unclaimed = made.unclaimed[:0]
    return made.is_in(Phase.SETTLING, 8)


def test_an_award_is_told_to_nobody_before_the_store_has_written_it(play: Make) -> None:
    """N-7.7: decision, units and escrow are one write, and the world hears of it afterwards."""
    (
        _decided(play)
        .then("relay to alice", "settle 1: bob 4 gpu and 30 of alice")
        .is_in(Phase.SETTLING, due=8)
        .at(4, settled(1))
        .then(
            "accept bob at 30",
            "reject carol: outbid",
            "outcome committed: awarded, bob at 30",
            "capture 1/1",
        )
        .is_in(Phase.COMMITTED)
    )


def test_the_winner_and_the_initiator_hear_what_is_locked_and_what_is_paid(play: Make) -> None:
    """N-7.8: with the fencing number, which the holder shows to use the units."""
    made = (
        _asked(play)
        .at(4, settled(1, fence=9))
        .told("accept bob at 30", "reject carol: outbid", "capture 1/1")
    )
    lock = {
        "resource": "gpu",
        "units": 4,
        "from": 0.0,
        "until": 60.0,
        "fence": 9,
        "holder": "agent://alice",
    }
    credit = {"payer": "agent://alice", "micros": 30_000_000, "project": ""}
    award: Any = made.tells[0].body["award"]
    assert (award["locks"], award["credit"]) == ([lock], credit)
    assert made.outcome["winners"][0]["locks"] == [lock]


def test_the_next_best_wins_when_the_units_of_the_best_are_gone(play: Make) -> None:
    """N-7.9: the loser hears RESOURCE_GONE."""
    (
        _asked(play, UNITS)
        .at(4, not_settled(1, "RESOURCE_GONE", "bob"))
        .then("reject bob: RESOURCE_GONE", "settle 2: carol 4 gpu")
        .is_in(Phase.SETTLING, due=9)
        .at(5, settled(2, "2/1"))
        .then("accept carol at 40", "outcome committed: awarded, carol at 40", "capture 2/1")
    )


def test_a_bidder_whose_budget_is_used_up_hears_when_it_begins_anew(play: Make) -> None:
    """N-7.6: BUDGET_EXHAUSTED, with the reset time."""
    made = _asked(play, WINNER_PAYS, direction="allocate")
    # Of an allocation the highest wins: carol.
    made.at(4, not_settled(1, "BUDGET_EXHAUSTED", "carol", retry_at=3600.0)).then(
        "reject carol: BUDGET_EXHAUSTED", "settle 2: bob 30 of bob"
    )
    assert made.tells[-1].body["retry_at"] == 3600.0
    made.at(5, settled(2, "2/1")).told("accept bob at 30", "capture 2/1")


def test_a_call_ends_without_award_when_nobody_can_be_served(play: Make) -> None:
    (
        _asked(play, UNITS)
        .at(4, not_settled(1, "RESOURCE_GONE"))
        .then("reject bob: RESOURCE_GONE", "settle 2: carol 4 gpu")
        .at(5, not_settled(2, "RESOURCE_GONE", "carol"))
        .then("reject carol: RESOURCE_GONE", "outcome no_award: RESOURCE_GONE")
        .is_in(Phase.NO_AWARD)
    )


def test_the_initiator_hears_exactly_what_was_refused_and_when_that_may_change(
    play: Make,
) -> None:
    made = _asked(play)
    refused = not_settled(1, "BUDGET_EXHAUSTED", "bob", retry_at=3600.0, detail="CREDIT_SHORT: a")
    made.at(4, refused)
    made.unclaimed = []
    assert (made.outcome["detail"], made.outcome["retry_at"]) == ("CREDIT_SHORT: a", 3600.0)


def test_an_award_that_was_refused_at_first_needs_no_reason(play: Make) -> None:
    made = _asked(play, UNITS)
    made.at(4, not_settled(1, "RESOURCE_GONE", "bob", detail="RESOURCE_GONE: gpu"))
    made.unclaimed = []
    made.at(5, settled(2, "2/1"))
    made.unclaimed = []
    assert "detail" not in made.outcome


def test_offers_that_cost_no_less_are_not_tried_when_the_initiator_has_too_little(
    play: Make,
) -> None:
    """Each of them would be refused like the one before."""
    made = play(agents="bob carol dave", stakes=GPU, utility="-conditions.start_in")
    for name, value, start in (("bob", 30, 1), ("carol", 40, 2), ("dave", 20, 3)):
        fields = {"value": value, "conditions": {"start_in": start}}
        made.at(1, offer(name, value, fields=fields))
        made.unclaimed = []
    made.at(2, not_settled(1, "BUDGET_EXHAUSTED", "bob")).then(
        "reject bob: BUDGET_EXHAUSTED",
        "reject carol: BUDGET_EXHAUSTED",
        "settle 2: dave 4 gpu and 20 of alice",
    )
    made.at(2, settled(2, "2/1")).told("accept dave at 20", "capture 2/1")


def test_a_store_that_does_not_answer_in_time_ends_the_negotiation(play: Make) -> None:
    """And whatever it may have written is undone."""
    (
        _asked(play)
        .at(8, TIME_UP)
        .then(
            "release 1/1: not_settled",
            "reject bob: not_settled",
            "reject carol: not_settled",
            "outcome no_award: not_settled",
        )
        .is_in(Phase.NO_AWARD)
        .at(9, settled(1))
        .then("release 1/1: late")
        .at(9, not_settled(1, "RESOURCE_GONE"))
        .then()
    )


def test_a_store_that_answers_after_its_time_is_too_late_though_no_timer_rang(play: Make) -> None:
    made = _asked(play).at(8.5, settled(1))
    made.then(
        "release 1/1: not_settled",
        "reject bob: not_settled",
        "reject carol: not_settled",
        "outcome no_award: not_settled",
        "release 1/1: late",
    )


def test_an_answer_that_comes_twice_changes_nothing(play: Make) -> None:
    """The store repeats itself when it is asked again, as after a crash."""
    made = (
        _asked(play)
        .at(4, settled(1))
        .told("accept bob at 30", "reject carol: outbid", "capture 1/1")
    )
    made.at(5, settled(1)).then()


@pytest.mark.parametrize("reason", ["SUPERSEDED", "STORE_UNAVAILABLE"])
def test_nobody_is_tried_after_a_refusal_that_holds_for_all(play: Make, reason: str) -> None:
    (
        _asked(play)
        .at(4, not_settled(1, reason))
        .then(f"reject bob: {reason}", f"reject carol: {reason}", f"outcome no_award: {reason}")
    )


def test_a_cancellation_gives_back_what_the_store_is_asked_for(play: Make) -> None:
    (
        _asked(play)
        .at(4, cancellation())
        .then(
            "cancel bob: cancelled",
            "cancel carol: cancelled",
            "outcome cancelled: cancelled",
            "release 1/1: cancelled",
        )
        .at(5, settled(1))
        .then("release 1/1: late")
    )


def test_a_binding_offer_that_the_store_is_asked_for_cannot_be_withdrawn(play: Make) -> None:
    made = play(agents="bob", stakes=GPU).at(1, offer("bob", 30, revocable=True))
    made.then("relay to alice", "settle 1: bob 4 gpu and 30 of alice")
    made.at(2, cancellation("bob")).then("refuse bob OFFER_BINDING")
    made.at(3, settled(1)).told("accept bob at 30", "capture 1/1")


def test_nobody_can_think_while_the_store_is_asked(play: Make) -> None:
    made = _asked(play).at(4, thinking("bob")).then("refuse bob ALREADY_ANSWERED")
    made.at(4, gone("bob")).then()
    made.at(4, settled(1)).told("accept bob at 30", "reject carol: outbid", "capture 1/1")


# ---------------------------------------------------------------------- reports


def test_held_credit_is_paid_when_the_work_is_done(play: Make) -> None:
    """N-7.3: the hold ends once, and the units that are left are free again."""
    made = _asked(play, report_within=60).at(4, settled(1))
    made.told("accept bob at 30", "reject carol: outbid")
    made.at(20, report("bob")).then("relay to alice", "capture 1/1 and unlock").is_in(Phase.DONE)
    made.at(21, cancellation()).then("refuse alice WRONG_STATE")


def test_held_credit_goes_back_when_the_work_fails(play: Make) -> None:
    made = _asked(play, report_within=60).at(4, settled(1))
    made.told("accept bob at 30", "reject carol: outbid")
    made.at(20, report("bob", succeeded=False)).then("relay to alice", "release 1/1: failed")


def test_held_credit_goes_back_when_the_winner_is_gone_or_silent(play: Make) -> None:
    """N-7.4: after the end nothing is held."""
    for event, at, reason, word in (
        (gone("bob"), 20, "failed", "unreachable"),
        (TIME_UP, 64, "not_reported", "not_reported"),
    ):
        made = _asked(play, report_within=60).at(4, settled(1))
        made.told("accept bob at 30", "reject carol: outbid")
        made.at(at, event).then(f"failure to alice: {word} bob", f"release 1/1: {reason}")


def test_a_cancellation_after_the_award_gives_back_what_is_held(play: Make) -> None:
    made = _asked(play, report_within=60).at(4, settled(1))
    made.told("accept bob at 30", "reject carol: outbid")
    made.at(20, cancellation()).then(
        "cancel bob: cancelled", "outcome cancelled: cancelled, bob at 30", "release 1/1: cancelled"
    )
    made.at(21, report("bob")).then("relay to alice")


# ---------------------------------------------------------------------- the initiator decides


def _choosing(play: Make, **fields: Any) -> Play:
    made = play(agents="bob carol", stakes=UNITS, decider="initiator", **fields)
    made.at(1, offer("bob", 30)).told().at(1, offer("carol", 40))
    return made.told("show alice bob carol until 31")


def test_the_choice_of_the_initiator_is_written_too(play: Make) -> None:
    made = _choosing(play).at(2, accept("bob")).then("settle 1: bob 4 gpu")
    made.at(3, settled(1)).told("accept bob at 30", "reject carol: not_chosen", "capture 1/1")


def test_the_initiator_chooses_again_when_its_choice_cannot_be_had(play: Make) -> None:
    made = _choosing(play).at(2, accept("bob")).then("settle 1: bob 4 gpu")
    made.at(3, not_settled(1, "RESOURCE_GONE", "bob"))
    made.then("reject bob: RESOURCE_GONE", "show alice bob carol until 33")
    made.at(4, accept("carol")).then("settle 2: carol 4 gpu")
    made.at(5, not_settled(2, "RESOURCE_GONE", "carol"))
    made.then("reject carol: RESOURCE_GONE", "outcome no_award: RESOURCE_GONE")


def test_the_rest_of_what_the_initiator_chose_is_asked_for_again(play: Make) -> None:
    made = _choosing(play, max_awards=2).at(2, accept("bob")).then()
    made.at(2, accept("carol")).then("settle 1: bob 4 gpu, carol 4 gpu")
    made.at(3, not_settled(1, "RESOURCE_GONE", "bob"))
    made.then("reject bob: RESOURCE_GONE", "settle 2: carol 4 gpu")
    made.at(4, settled(2, "2/1")).told("accept carol at 40", "capture 2/1")


# ---------------------------------------------------------------------- soft holds


def test_an_offer_holds_its_units_until_it_has_ended(play: Make) -> None:
    """N-7.9: an accepted offer cannot fail for lack of stock, for its lock takes their place."""
    made = play(agents="bob carol", stakes=UNITS)
    made.at(1, offer("bob", 30, hold=True, valid_until=9.0)).then(
        "hold bob 4 gpu", "relay to alice"
    )
    effects: Any = made.history[-1][1]
    assert (effects[0].stake.key, effects[0].stake.ends_at) == ("g.0.n/hold-1/bob", 9.0)
    made.at(2, offer("carol", 40, hold=True))
    made.then("hold carol 4 gpu", "relay to alice", "settle 1: bob 4 gpu")
    effects = made.history[-1][1]
    assert effects[-1].stakes[0].instead_of == "g.0.n/hold-1/bob"
    assert effects[0].stake.ends_at == 10 + 30 + 5, "longer is no offer bound"
    made.at(3, settled(1)).then(
        "accept bob at 30",
        "reject carol: outbid",
        "outcome committed: awarded, bob at 30",
        "release hold-1/carol: committed",
        "capture 1/1",
    )


def test_an_offer_that_does_not_count_holds_nothing(play: Make) -> None:
    made = play(agents="bob carol", stakes=UNITS).at(1, offer("bob", 30)).told()
    made.at(1, offer("bob", 20, "again", hold=True)).then("refuse bob ALREADY_ANSWERED")
    made.at(2, cancellation()).told("cancel bob: cancelled", "cancel carol: cancelled")


def test_an_offer_holds_nothing_where_no_units_are_asked_for(play: Make) -> None:
    for stakes in (None, WINNER_PAYS):
        made = play(agents="bob carol", stakes=stakes)
        made.at(1, offer("bob", 30, hold=True, revocable=True)).then("relay to alice")
        made.at(2, cancellation("bob"))
        made.unclaimed = []


def test_an_offer_whose_units_are_not_to_be_had_is_out_before_the_choice(play: Make) -> None:
    made = play(agents="bob carol", stakes=UNITS)
    made.at(1, offer("bob", 30, hold=True)).told("hold bob 4 gpu")
    made.at(1, hold_refused("bob")).then("reject bob: RESOURCE_GONE")
    made.at(1, hold_refused("bob")).then()
    made.at(2, offer("carol", 40)).then("relay to alice", "settle 1: carol 4 gpu")
    made.at(2, hold_refused("carol")).then()
    made.at(3, settled(1)).told("accept carol at 40", "capture 1/1")


def test_the_initiator_cannot_choose_an_offer_whose_units_are_gone(play: Make) -> None:
    made = _choosing(play).at(2, hold_refused("bob")).then("reject bob: RESOURCE_GONE")
    made.at(2, hold_refused("bob")).then()
    made.at(3, accept("bob")).then("refuse alice WRONG_STATE")
    made.at(3, accept("carol")).then("settle 1: carol 4 gpu")
    made.at(4, settled(1)).told("accept carol at 40", "capture 1/1")


def test_a_withdrawn_offer_gives_its_units_back(play: Make) -> None:
    made = play(agents="bob carol", stakes=UNITS)
    made.at(1, offer("bob", 30, hold=True, revocable=True)).told("hold bob 4 gpu")
    made.at(2, cancellation("bob")).then("release hold-1/bob: withdrawn", "relay to alice")
