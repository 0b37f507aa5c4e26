"""What one round came to is read off what its agents saw."""

from __future__ import annotations

from typing import Any

import pytest

from loadtest.experiments.bidding import bids
from loadtest.experiments.cases import Case
from loadtest.experiments.cast import Round
from loadtest.experiments.round_facts import facts_of

CASE = Case("flow/high", 2, 1.0, 60.0)
BOB, CAROL = "agent://bob", "agent://carol"


def a_round(**changed: Any) -> Round:
    """Return a round that bob won, after both had offered in time."""
    asked = bids(CASE, 1)
    round_ = Round(1, "m1", 0.0, asked, "n1")
    round_.offered = {BOB: "o1", CAROL: "o2"}
    round_.verdicts = {BOB: {"n1:1": "accept"}, CAROL: {"n1:2": "reject"}}
    won = {"agent": BOB, "offer_id": "o1", "price": min(one.value for one in asked)}
    round_.outcomes = {
        "n1:3": {"state": "committed", "policy": "flow/high@1", "offers": 2, "winners": [won]}
    }
    for name, value in changed.items():
        setattr(round_, name, value)
    return round_


def test_a_round_as_it_should_be_lacks_nothing_and_the_best_offer_is_worth_one() -> None:
    facts = facts_of(a_round())
    assert (facts.offers, facts.in_time, facts.late) == (2, 2, 0)
    assert (facts.lost, facts.double_finals, facts.wrong_award) == (0, 0, False)
    assert (facts.winner, facts.utility) == (BOB, 1.0)


@pytest.mark.parametrize(
    ("changed", "lost", "double"),
    [
        ({"outcomes": {}}, 1, 0),
        ({"verdicts": {BOB: {"n1:1": "accept"}}}, 1, 0),
        ({"verdicts": {BOB: {"n1:1": "accept"}}, "refusals": [(CAROL, "OVERLOADED")]}, 0, 0),
        (
            {"verdicts": {BOB: {"n1:1": "accept", "n1:9": "accept"}, CAROL: {"n1:2": "reject"}}},
            0,
            1,
        ),
    ],
)
def test_what_is_missing_and_what_came_twice_counts(
    changed: dict[str, Any], lost: int, double: int
) -> None:
    """Who was refused was answered."""
    facts = facts_of(a_round(**changed))
    assert (facts.lost, facts.double_finals) == (lost, double)


def test_an_award_to_another_than_the_first_offer_is_wrong() -> None:
    assert facts_of(a_round(offered={BOB: "o7", CAROL: "o2"})).wrong_award
