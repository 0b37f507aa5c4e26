"""What is said when a round ends, to whom and in which words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policy.closing import course_of
from tests.support.plays import TIME_UP, Play, offer

Make = Callable[..., Play]


def test_a_winner_hears_its_price_and_what_is_expected_of_it(play: Make) -> None:
    """In seconds from now, for its clock is not the gateway's."""
    made = play(policy={"confirm": True}, agents="bob", report_within=60, confirm_within=4, round=3)
    [accept] = made.at(1, offer("bob", 30, fields={})).told("accept bob at 30").tells
    assert dict(accept.body) == {
        "offer_id": "bob-offer",
        "decision": "accepted",
        "price": 30,
        "award": {"rank": 1, "round": 3, "confirm_within": 4, "report_within": 60},
    }
    assert accept.in_reply_to == "bob-offer"


def test_a_loser_hears_why_and_nothing_about_others(play: Make) -> None:
    made = play(agents="bob carol").at(1, offer("bob", 30)).told().at(1, offer("carol", 20))
    reject = made.told("accept carol at 20", "reject bob: outbid").tells[1]
    assert dict(reject.body) == {
        "offer_id": "bob-offer",
        "decision": "rejected",
        "reason": "outbid",
    }


def test_an_initiator_that_decides_sees_all_offers_ranked(play: Make) -> None:
    """With what it needs to choose; the payload fits the shipped schema of inform."""
    made = play(agents="bob carol", decider="initiator", max_awards=2, decide_within=5)
    made.at(1, offer("bob", 30)).told().at(2, offer("carol", 20))
    [shown] = made.told("show alice carol bob until 7").tells
    assert set(shown.body) == {"result", "done"}
    result = shown.body["result"]
    assert isinstance(result, dict)
    assert result["ranking"][0] == {
        "agent": "agent://carol",
        "offer_id": "carol-offer",
        "value": 20,
        "score": 20,
        "rank": 1,
        "reason": "",
    }
    assert {key: result[key] for key in result if key != "ranking"} == {
        "decide_before": 7,
        "decide_within": 5,
        "max_awards": 2,
        "closed_by": "quorum",
    }


def test_a_replacement_pays_the_best_that_is_left(play: Make) -> None:
    """A winner that lapsed neither wins nor sets a price."""
    made = play(policy={"confirm": True, "select": "vickrey"}, agents="bob carol dave")
    made.at(1, offer("bob", 10)).told().at(1, offer("carol", 20)).told()
    made.at(1, offer("dave", 30)).told("accept bob at 20")
    made.at(11, TIME_UP).told("cancel bob: not_confirmed", "accept carol at 30")


def test_an_open_round_has_no_course(play: Make) -> None:
    """To ask for it is our own mistake, and ends the task loudly."""
    with pytest.raises(AssertionError, match="only a closed round has a course"):
        course_of(play().state)
