"""Confirmations, rounds, and initiators that decide themselves."""

from __future__ import annotations

from collections.abc import Callable

from policy.contract_net import Phase
from tests.support.plays import (
    TIME_UP,
    Play,
    accept,
    cancellation,
    confirmation,
    gone,
    not_understood,
    offer,
    refusal,
    reject,
)

Make = Callable[..., Play]
AGENT = "agent://"


def test_an_offer_for_another_round_is_refused(play: Make) -> None:
    """The round number of the call is the only one that it takes."""
    (
        play(round=2)
        .at(1, offer("bob", 1, fields={"value": 1, "round": 1}))
        .then("refuse bob WRONG_STATE")
        .at(1, offer("bob", 1, fields={"value": 1, "round": 2}))
        .then("relay to alice")
        .at(10, TIME_UP)
        .told("accept bob at 1")
        .shows(round=2)
    )


def test_the_winner_confirms_before_the_award_stands(play: Make) -> None:
    """Nobody else hears a verdict before; a confirmation is shown to the initiator."""
    (
        play("proto/medium", agents="bob carol")
        .at(1, offer("bob", 30))
        .then("relay to alice", "accept bob at 30")
        .is_in(Phase.CONFIRMING, due=11)
        .at(2, confirmation("bob", "other"))
        .then("refuse bob UNKNOWN_OFFER")
        .at(2, confirmation("carol"))
        .then("refuse carol WRONG_STATE")
        .at(3, confirmation("bob"))
        .then("relay to alice", "outcome committed: awarded, bob at 30")
        .is_in(Phase.COMMITTED)
        .at(4, confirmation("bob"))
        .then()
        .at(4, confirmation("bob", msg_id="more"))
        .then("refuse bob ALREADY_ANSWERED")
    )


def test_without_a_confirmation_the_award_goes_to_the_next_best(play: Make) -> None:
    """By refusal, not understanding, silence or absence; with nobody left there is no award."""
    (
        play(policy={"confirm": True}, agents="bob carol dave erin")
        .at(1, offer("bob", 10))
        .told()
        .at(1, offer("carol", 20))
        .told()
        .at(1, offer("dave", 30))
        .told()
        .at(1, offer("erin", 40))
        .told("accept bob at 10")
        .at(2, refusal("carol", "no"))
        .then("refuse carol ALREADY_ANSWERED")
        .at(2, gone("carol"))
        .then()
        .at(2, not_understood("carol"))
        .then()
        .at(2, not_understood("bob"))
        .then("relay to alice", "accept carol at 20")
        .at(3, gone("carol"))
        .then("accept dave at 30")
        .at(4, refusal("dave", "no"))
        .then("relay to alice", "accept erin at 40")
        .is_in(Phase.CONFIRMING, due=14)
        .at(14, TIME_UP)
        .then("cancel erin: not_confirmed", "outcome no_award: not_confirmed")
        .at(15, confirmation("erin"))
        .then("refuse erin LATE")
        .shows(winners=[])
    )
    reasons = [entry["reason"] for entry in _last(play).outcome["ranking"]]
    assert reasons == ["won"]


def _last(play: Make) -> Play:
    return play(agents="bob").at(1, offer("bob", 1)).told("accept bob at 1")


def test_each_unit_is_confirmed_by_itself(play: Make) -> None:
    """A replacement has its own time; the award stands when no unit waits any more."""
    (
        play(policy={"confirm": True}, max_awards=2)
        .at(1, offer("bob", 10))
        .told()
        .at(1, offer("carol", 20))
        .told()
        .at(1, offer("dave", 30, valid_until=8))
        .told("accept bob at 10", "accept carol at 20")
        .at(5, confirmation("carol"))
        .then("relay to alice")
        .at(6, refusal("bob", "no"))
        .then("relay to alice", "accept dave at 30")
        .is_in(Phase.CONFIRMING, due=16)
        .at(16, TIME_UP)
        .then("cancel dave: not_confirmed", "outcome committed: awarded, carol at 20")
    )


def test_the_initiator_decides_among_the_ranked_offers(play: Make) -> None:
    """It may choose any that stands, even one that is beyond its own reserve."""
    (
        play(decider="initiator", decide_within=5, reserve=35)
        .at(1, accept("bob"))
        .then("refuse alice WRONG_STATE")
        .at(1, offer("bob", 40))
        .told()
        .at(1, offer("carol", 30))
        .told()
        .at(1, refusal("dave"))
        .told("show alice carol bob until 6")
        .is_in(Phase.CLOSED, due=6)
        .at(2, accept("dave"))
        .then("refuse alice UNKNOWN_OFFER")
        .at(2, refusal("bob", "changed"))
        .then("refuse bob ALREADY_ANSWERED")
        .at(3, accept("bob"))
        .then(
            "accept bob at 40", "reject carol: not_chosen", "outcome committed: awarded, bob at 40"
        )
        .at(3, accept("bob"))
        .then()
    )


def test_an_initiator_that_does_not_decide_in_time_awards_nothing(play: Make) -> None:
    """Everybody who offered is told."""
    play(agents="bob carol", decider="initiator").at(1, offer("bob", 1)).told().at(
        10, TIME_UP
    ).told("show alice bob until 40").at(11, refusal("carol")).then("refuse carol LATE").at(
        40, TIME_UP
    ).then("reject bob: not_decided", "outcome no_award: not_decided")


def test_the_initiator_may_reject_one_by_one_or_all(play: Make) -> None:
    """An empty offer_id means all that are left."""
    (
        play(decider="initiator", max_awards=2)
        .at(1, offer("bob", 10))
        .told()
        .at(1, offer("carol", 20))
        .told()
        .at(1, offer("dave", 30))
        .told("show alice bob carol dave until 31")
        .at(2, reject("bob"))
        .then("reject bob: rejected")
        .at(2, reject("bob"))
        .then()
        .at(2, reject("bob", msg_id="more"))
        .then("refuse alice WRONG_STATE")
        .at(2, accept("bob"))
        .then("refuse alice WRONG_STATE")
        .at(2, reject("mallory"))
        .then("refuse alice UNKNOWN_OFFER")
        .at(3, accept("carol"))
        .then()
        .at(3, accept("carol", msg_id="more"))
        .then("refuse alice ALREADY_ANSWERED")
        .at(3, cancellation("bob"))
        .then("refuse bob UNKNOWN_OFFER")
        .at(4, reject(""))
        .then(
            "accept carol at 20",
            "reject dave: not_chosen",
            "outcome committed: awarded, carol at 20",
        )
    )
    play(decider="initiator", agents="bob").at(1, offer("bob", 1)).told(
        "show alice bob until 31"
    ).at(2, reject("bob")).then("reject bob: rejected", "outcome no_award: rejected")
    play(decider="initiator", agents="bob").at(1, offer("bob", 1)).told(
        "show alice bob until 31"
    ).at(2, reject("")).then("reject bob: rejected", "outcome no_award: rejected")


def test_what_was_chosen_in_time_is_awarded_when_the_time_is_over(play: Make) -> None:
    """Though its validity has ended since; an offer that had ended before cannot be chosen."""
    (
        play(decider="initiator", max_awards=3)
        .at(1, offer("bob", 10, valid_until=20))
        .told()
        .at(1, offer("carol", 20, valid_until=12))
        .told()
        .at(1, offer("dave", 30))
        .told("show alice bob carol dave until 31")
        .at(13, accept("carol"))
        .then("refuse alice OFFER_EXPIRED")
        .at(13, accept("bob"))
        .then()
        .at(31, TIME_UP)
        .told("accept bob at 10", "reject carol: not_chosen", "reject dave: not_chosen")
    )


def test_an_initiator_whose_choice_is_not_confirmed_chooses_again(play: Make) -> None:
    """Among those that are left; with nobody left there is no award."""
    (
        play(decider="initiator", policy={"confirm": True}, agents="bob carol")
        .at(1, offer("bob", 10))
        .told()
        .at(1, offer("carol", 20))
        .told("show alice bob carol until 31")
        .at(2, accept("bob"))
        .then("accept bob at 10")
        .at(3, refusal("bob", "no"))
        .then("relay to alice", "show alice bob carol until 33")
        .at(4, accept("bob", msg_id="again"))
        .then("refuse alice WRONG_STATE")
        .at(5, accept("carol"))
        .then("accept carol at 20")
        .at(15, TIME_UP)
        .then("cancel carol: not_confirmed", "outcome no_award: not_confirmed")
    )
