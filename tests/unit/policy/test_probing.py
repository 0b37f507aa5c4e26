"""Randomised probing: negotiation.md N-6.5, feature 161."""

from __future__ import annotations

from random import Random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.probing import (
    PriceLevels,
    Probe,
    ProbingRule,
    draws,
    probe,
    probe_event,
    would_win,
)

SECRET = b"s" * 32
RULE = ProbingRule(rate=0.25, spread=2.0)


def test_what_is_drawn_is_a_function_of_the_secret_and_the_negotiation() -> None:
    """N-6.5: a replay makes the same probe, and nobody without the secret can tell when."""
    assert draws(SECRET, "g.0.n") == draws(SECRET, "g.0.n")
    assert draws(SECRET, "g.0.n") != draws(SECRET, "g.0.m")
    assert draws(SECRET, "g.0.n") != draws(b"t" * 32, "g.0.n")
    assert all(0 <= part < 1 for part in draws(SECRET, "g.0.n"))


def test_as_many_rounds_are_probed_as_the_rule_says() -> None:
    """N-6.5: a part of the rounds; none and all are possible."""
    made = [probe(RULE, SECRET, f"n{n}", 10.0) for n in range(4000)]
    assert sum(one is not None for one in made) == pytest.approx(1000, rel=0.1)
    assert probe(ProbingRule(rate=0.0), SECRET, "n", 10.0) is None
    assert probe(ProbingRule(rate=1.0), SECRET, "n", 10.0) is not None


def test_probes_lie_around_the_level_and_come_at_any_time_of_the_round() -> None:
    made = [one for n in range(4000) if (one := probe(RULE, SECRET, f"n{n}", 10.0)) is not None]
    assert all(5.0 <= one.value <= 20.0 and 0 <= one.wait < 1 for one in made)
    assert median(one.value for one in made) == pytest.approx(10, rel=0.1)
    assert median(one.wait for one in made) == pytest.approx(0.5, abs=0.05)


def test_a_probe_enters_the_negotiation_as_the_exchanges_own() -> None:
    """N-6.5: it is marked, so that the record shows it and the protocol passes over it."""
    event = probe_event(Probe(7.0, 0.5), "gateway://g")
    assert event.probe and event.value == 7.0 and event.sender == "gateway://g"


def test_a_probe_would_win_only_if_it_is_strictly_better() -> None:
    """An equal bid came from somebody, and the earliest wins."""
    assert would_win(5, None, "procure")
    assert would_win(5, 6, "procure") and not would_win(6, 6, "procure")
    assert would_win(7, 6, "allocate") and not would_win(6, 6, "allocate")


@pytest.mark.parametrize("direction", ["procure", "allocate"])
def test_the_level_settles_where_half_of_the_probes_win(direction: str) -> None:
    """The price level is the median of the best bids, told by wins and losses alone."""
    chance = Random(1)
    levels = PriceLevels(0.05)
    levels.begin("gpu", 3.0)
    seen = []
    for number in range(3000):
        level = levels.level("gpu")
        assert level is not None
        made = probe(ProbingRule(rate=1.0, spread=1.2), SECRET, f"n{number}", level)
        assert made is not None
        best = chance.lognormvariate(3.0, 0.3)
        levels.note("gpu", would_win(made.value, best, direction), direction)
        seen.append(level)
    assert median(seen[1000:]) == pytest.approx(20.1, rel=0.15), "e³ is the median of the best"


def test_a_market_begins_with_its_first_price_and_keeps_its_level() -> None:
    levels = PriceLevels(0.1)
    levels.note("gpu", True, "procure")
    levels.begin("gpu", 0.0)
    assert levels.level("gpu") is None
    levels.begin("gpu", 10.0)
    levels.begin("gpu", 99.0)
    assert levels.level("gpu") == 10.0
    levels.note("gpu", False, "procure")
    assert levels.level("gpu") == pytest.approx(9.0), "a lower price would have won"
    levels.note("gpu", True, "procure")
    assert levels.level("gpu") == pytest.approx(9.9)
    levels.note("gpu", True, "allocate")
    assert levels.level("gpu") == pytest.approx(8.91), "a lower bid might have won too"


def test_levels_of_markets_that_nobody_trades_on_are_forgotten() -> None:
    levels = PriceLevels(0.1, markets_max=2)
    for market in ("gpu", "cpu"):
        levels.begin(market, 1.0)
    levels.note("gpu", True, "procure")
    levels.begin("disk", 1.0)
    assert len(levels) == 2
    assert levels.level("cpu") is None


@settings(max_examples=50)
@given(st.lists(st.booleans(), max_size=300))
def test_a_level_stays_a_price(wins: list[bool]) -> None:
    levels = PriceLevels(0.9)
    levels.begin("gpu", 1.0)
    for won in wins:
        levels.note("gpu", won, "procure")
    assert 0 < (levels.level("gpu") or 0) < 1e16
