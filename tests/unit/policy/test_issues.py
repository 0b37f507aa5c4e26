"""What a call wants offers to say, and what an offer may say (issues)."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.call import Terms, objection
from policy.issues import (
    Issue,
    IssueError,
    fault,
    is_weighed,
    issues_of,
    narrows,
    readable,
    weighed,
)
from tests.support.plays import Play, make_call, offer

Make = Callable[..., Play]

GPUS = {"name": "gpus", "type": "integer", "min": 1, "max": 8, "better": "high", "weight": 2}
PRICE = {"name": "price", "type": "number", "min": 0, "max": 100, "better": "low", "weight": 1}
REGION = {
    "name": "region",
    "type": "enum",
    "values": ["eu", "us", "moon"],
    "worth": [1, 0.5, 0],
    "weight": 1,
}
ALL = issues_of([GPUS, PRICE, REGION])
GOOD = {"gpus": 8, "price": 25, "region": "us"}


def _with(issue: Mapping[str, object], **changed: object) -> list[dict[str, object]]:
    return [{key: item for key, item in {**issue, **changed}.items() if item is not None}]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([GPUS, GPUS], "two issues are called gpus"),
        (_with(REGION, values=None), "region does not list its values once each"),
        (_with(REGION, values=["eu", "eu"]), "region does not list its values once each"),
        (_with(REGION, worth=[1]), "region has not one worth for each value"),
        (_with(REGION, worth=None), "region has a weight and no worth"),
        (_with(GPUS, min=None), "gpus has no range"),
        (_with(GPUS, max=None), "gpus has no range"),
        (_with(GPUS, min=9), "gpus has no range"),
        (_with(GPUS, better=None), "gpus has a weight, and no end is better"),
    ],
)
def test_issues_that_mean_nothing_are_refused_with_what_would(
    said: list[dict[str, Any]], reason: str
) -> None:
    with pytest.raises(IssueError) as caught:
        issues_of(said)
    assert caught.value.reason == reason
    assert caught.value.remedy
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.reason, again.remedy) == (reason, caught.value.remedy)


@pytest.mark.parametrize(
    ("terms", "reason", "remedy"),
    [
        (GOOD, "", ""),
        (GOOD | {"gpus": 8.0, "price": 0.5}, "", ""),
        (None, "the offer has no terms", "say in terms what you offer for gpus, price, region"),
        ([], "the offer has no terms", "say in terms what you offer for gpus, price, region"),
        ({"gpus": 8, "price": 1}, "terms.region is missing", "offer one of eu, us, moon"),
        (GOOD | {"gpus": 9}, "terms.gpus is not allowed", "offer a whole number from 1 to 8"),
        (GOOD | {"gpus": 1.5}, "terms.gpus is not allowed", "offer a whole number from 1 to 8"),
        (GOOD | {"gpus": True}, "terms.gpus is not allowed", "offer a whole number from 1 to 8"),
        (GOOD | {"gpus": "8"}, "terms.gpus is not allowed", "offer a whole number from 1 to 8"),
        (GOOD | {"gpus": 10**400}, "terms.gpus is not allowed", "offer a whole number from 1 to 8"),
        (GOOD | {"price": -1}, "terms.price is not allowed", "offer a number from 0 to 100"),
        (GOOD | {"price": None}, "terms.price is not allowed", "offer a number from 0 to 100"),
        (GOOD | {"region": "mars"}, "terms.region is not allowed", "offer one of eu, us, moon"),
        (GOOD | {"region": ["eu"]}, "terms.region is not allowed", "offer one of eu, us, moon"),
        (GOOD | {"colour": 1}, "terms.colour is no issue of the call", "leave it out"),
        (GOOD | {"x" * 99: 1}, f"terms.{'x' * 64} is no issue of the call", "leave it out"),
    ],
)
def test_the_terms_of_an_offer_have_every_issue_within_its_bounds_and_no_other(
    terms: object, reason: str, remedy: str
) -> None:
    wrong = fault(ALL, terms)
    assert (wrong and (wrong.reason, wrong.remedy)) == ((reason, remedy) if reason else None)


def test_without_issues_terms_are_free() -> None:
    assert fault((), None) is None
    assert fault((), {"any": "thing"}) is None
    assert readable((), {"value": 1}) == {"value": 1}
    assert not is_weighed(())


def test_a_value_is_worth_what_the_call_says() -> None:
    gpus, price, region = ALL
    assert [gpus.worth_of(value) for value in (1, 8)] == [0, 1]
    assert [price.worth_of(value) for value in (0, 25, 100)] == [1, 0.75, 0]
    assert [region.worth_of(value) for value in region.values] == [1, 0.5, 0]
    assert weighed(ALL, GOOD) == 2 * 1 + 1 * 0.75 + 1 * 0.5
    fixed = issues_of(_with(GPUS, min=4, max=4))[0]
    assert fixed.worth_of(4) == 1


def test_where_the_call_does_not_say_nothing_is_worth_anything() -> None:
    plain = issues_of(
        [*_with(GPUS, better=None, weight=None), *_with(REGION, worth=None, weight=None)]
    )
    assert not is_weighed(plain)
    seen = readable(plain, {"value": 3, "terms": {"gpus": 2, "region": "eu"}})
    assert seen["worth"] == {"gpus": None, "region": None}
    assert seen["weighed"] == 0


@given(
    low=st.integers(-100, 100),
    size=st.integers(0, 100),
    at=st.floats(0, 1),
    better=st.sampled_from(["high", "low"]),
)
def test_every_allowed_value_is_worth_from_none_to_all(
    low: int, size: int, at: float, better: str
) -> None:
    """And the better end is worth the most."""
    said = {"name": "x", "type": "number", "min": low, "max": low + size, "better": better}
    (issue,) = issues_of([said])
    value = min(issue.high, low + at * size)
    worth = issue.worth_of(value)
    assert issue.allows(value)
    assert worth is not None
    assert 0 <= worth <= 1
    best = issue.worth_of(issue.high if better == "high" else issue.low)
    assert best == 1
    assert worth <= best


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        ([GPUS, PRICE, REGION], True),
        ([REGION, PRICE, GPUS], True),
        ([{**GPUS, "min": 2, "max": 7}, PRICE, {**REGION, "values": ["us"], "worth": [1]}], True),
        ([{**GPUS, "max": 9}, PRICE, REGION], False),
        ([{**GPUS, "min": 0}, PRICE, REGION], False),
        ([GPUS, PRICE], False),
        ([GPUS, PRICE, {**REGION, "name": "where"}], False),
        ([GPUS, {**PRICE, "type": "integer"}, REGION], False),
        ([GPUS, PRICE, {**REGION, "values": ["us", "mars"], "worth": [1, 1]}], False),
    ],
)
def test_issues_are_narrower_when_they_allow_nothing_new(
    now: list[dict[str, Any]], holds: bool
) -> None:
    assert narrows(issues_of(now), ALL) is holds


def test_an_offer_that_breaks_the_issues_is_refused_and_may_be_mended(play: Make) -> None:
    """It is told which term, and what would do; once it counts as malformed."""
    made = play(agents="bob carol", issues=ALL)
    for terms in ({"gpus": 9}, GOOD | {"gpus": 9}, {}):
        made.at(1, offer("bob", 5, fields={"value": 5, "terms": terms}))
        made.then("refuse bob TERMS_INVALID")
    made.at(1, offer("bob", 5, fields={"value": 5})).then("refuse bob TERMS_INVALID")
    made.at(2, offer("bob", 5, fields={"value": 5, "terms": GOOD})).then("relay to alice")
    made.at(3, offer("carol", 4, fields={"value": 4, "terms": GOOD | {"price": 10}}))
    made.told("accept carol at 4", "reject bob: outbid").shows(malformed=1, offers=2)


def test_a_broken_offer_may_be_the_last_answer_that_a_round_waits_for(play: Make) -> None:
    """Where any answer counts, it counts as one."""
    made = play(policy={"counts": "any", "quorum": 2}, agents="bob carol dave", issues=ALL)
    made.at(1, offer("bob", 5, fields={"value": 5, "terms": GOOD})).told()
    made.at(1, offer("carol", 5, fields={"value": 5, "terms": {}})).then(
        "refuse carol TERMS_INVALID", "accept bob at 5", "outcome committed: awarded, bob at 5"
    )


def test_weighed_issues_rank_the_offers_of_a_call_that_says_nothing_else(play: Make) -> None:
    """The highest sum wins, whatever its value; of equals the earliest."""
    made = play(agents="bob carol dave", issues=ALL)
    made.at(1, offer("bob", 1, fields={"value": 1, "terms": GOOD | {"region": "moon"}})).told()
    made.at(1, offer("carol", 9, fields={"value": 9, "terms": GOOD})).told()
    made.at(1, offer("dave", 2, fields={"value": 2, "terms": GOOD})).told(
        "accept carol at 9", "reject dave: outbid", "reject bob: outbid"
    )
    scores = [entry["score"] for entry in made.outcome["ranking"]]
    assert scores == [3.25, 3.25, 2.75]


@pytest.mark.parametrize(
    ("utility", "winner"),
    [
        ("worth.region - value / 100", "bob"),
        ("-terms.price", "carol"),
        ("weighed", "carol"),
        ("worth.gpus * terms.gpus - value", "dave"),
    ],
)
def test_an_expression_reads_terms_and_what_they_are_worth(
    play: Make, utility: str, winner: str
) -> None:
    made = play(issues=ALL, utility=utility)
    for name, value, terms in (
        ("bob", 9, {"gpus": 4, "price": 60, "region": "eu"}),
        ("carol", 8, {"gpus": 8, "price": 10, "region": "us"}),
        ("dave", 0, {"gpus": 6, "price": 90, "region": "moon"}),
    ):
        made.at(1, offer(name, value, fields={"value": value, "terms": terms}))
        made.unclaimed = []
    assert [won["agent"] for won in made.outcome["winners"]] == [f"agent://{winner}"]


def test_what_is_worth_nothing_known_cannot_be_ranked_by_its_worth(play: Make) -> None:
    plain = issues_of([{"name": "region", "type": "enum", "values": ["eu", "us"]}])
    made = play(agents="bob", issues=plain, utility="worth.region")
    made.at(1, offer("bob", 1, fields={"value": 1, "terms": {"region": "eu"}}))
    made.told("reject bob: no_utility")


def test_a_second_price_is_not_ranked_by_weights() -> None:
    refused = objection(make_call(policy={"select": "vickrey"}, issues=ALL))
    assert refused is not None
    assert refused.code == "POLICY_INVALID"
    plain: tuple[Issue, ...] = issues_of(_with(GPUS, weight=None))
    assert objection(make_call(policy={"select": "vickrey"}, issues=plain)) is None


def test_an_expression_of_the_call_goes_before_the_weights() -> None:
    terms = Terms.of(make_call(issues=ALL, utility="-value"))
    assert terms.utility is not None
    assert terms.utility.text == "-value"
