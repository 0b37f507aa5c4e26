"""Credit ratings: negotiation.md §7, feature 160."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.rating import Rating, RatingRule, Ratings, rated, weighed

RULE = RatingRule()
NEW = Rating(1.0, 0, 0.0, 0.0)


def after(tasks: int, kept: float, start: Rating = NEW, rule: RatingRule = RULE) -> Rating:
    """Return the rating after tasks of which a part of the claim came true."""
    for _ in range(tasks):
        start = rated(start, 10.0, 10.0 * kept, rule)
    return start


def test_a_rating_moves_by_its_weight_towards_what_came_true() -> None:
    """§7: R' = (1 - λ)R + λ·min(1, realised/claimed)."""
    assert rated(NEW, 10, 5, RatingRule(weight=0.2)).rating == pytest.approx(0.8 + 0.2 * 0.5)
    assert rated(NEW, 10, 50, RULE).rating == 1.0
    half = Rating(0.5, 1, 1.0, 0.5)
    assert rated(half, 10, 50, RULE).rating == pytest.approx(0.55), (
        "too little claimed earns nothing"
    )


def test_an_honest_agents_rating_tends_to_one() -> None:
    """§7: from wherever it starts."""
    assert after(100, 1.0, Rating(0.05, 9, 1.0, 1.0)).rating == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("kept", [0.1, 0.3, 0.5, 0.9])
def test_an_inflating_agents_rating_tends_to_what_came_true_of_its_claims(kept: float) -> None:
    """§7: R goes to realised/claimed."""
    assert after(200, kept).rating == pytest.approx(kept, abs=1e-6)


@given(st.floats(0, 2), st.floats(0, 2), st.integers(1, 30))
def test_who_keeps_more_of_its_word_is_never_rated_lower(
    one: float, two: float, tasks: int
) -> None:
    """§7: monotone in honesty."""
    less, more = sorted((one, two))
    assert after(tasks, less).rating <= after(tasks, more).rating


def test_a_liar_that_claims_three_times_is_below_one_half_within_twenty_tasks() -> None:
    """E7: 10 % inflators fall below 0.5 within 20 tasks, and not after their first lie."""
    assert after(1, 1 / 3).rating > 0.9
    assert after(20, 1 / 3).rating < 0.5


def test_a_rating_recovers_when_an_agent_becomes_honest() -> None:
    """§7: nobody is lost for ever."""
    fallen = after(100, 0.0)
    assert fallen.rating == RULE.floor
    assert after(30, 1.0, fallen).rating > 0.95


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-10, 200)), max_size=50))
def test_a_rating_stays_between_its_floor_and_one(tasks: list[tuple[float, float]]) -> None:
    """§7: floor R_min."""
    rating = NEW
    for claimed, realised in tasks:
        rating = rated(rating, claimed, realised, RULE)
        assert RULE.floor <= rating.rating <= 1


@pytest.mark.parametrize(("claimed", "realised"), [(0, 5), (-1, 5), (inf, 5), (5, inf), (5, nan)])
def test_a_claim_that_says_nothing_changes_nothing(claimed: float, realised: float) -> None:
    assert rated(NEW, claimed, realised, RULE) is NEW


def test_a_low_rating_never_helps_a_bid() -> None:
    """Whichever side wins, and whatever the sign of the bid."""
    assert weighed(10, 0.5, "allocate") == 5
    assert weighed(10, 0.5, "procure") == 20
    assert weighed(-10, 0.5, "allocate") == -20
    assert weighed(-10, 0.5, "procure") == -5


def test_a_book_keeps_what_was_rated_last_and_starts_others_anew() -> None:
    book = Ratings(RatingRule(weight=0.5, start=0.8), agents_max=2)
    assert book.of("bob").rating == 0.8
    assert book.note("bob", 1, 0).rating == 0.4
    book.note("carol", 1, 1)
    book.note("bob", 1, 1)
    book.note("dave", 1, 0)
    assert set(book.known()) == {"bob", "dave"}
    assert len(book) == 2
    assert book.of_all(["bob", "carol"]) == {"bob": 0.7, "carol": 0.8}


def test_a_book_says_nothing_of_those_with_the_best_rating() -> None:
    book = Ratings(RULE)
    assert book.note("bob", 0, 1) == NEW
    assert not book.known()
    assert book.of_all(["bob"]) == {}


def test_what_others_know_of_an_agent_replaces_what_was_known() -> None:
    book = Ratings(RULE, agents_max=2)
    book.note("bob", 10, 5)
    for agent in ("carol", "bob", "dave"):
        book.know(agent, Rating(0.5, 7, 70.0, 35.0))
    assert book.of("bob") == Rating(0.5, 7, 70.0, 35.0)
    assert book.known().keys() == {"bob", "dave"}, "who was heard of longest ago is forgotten"
