"""The value model: negotiation.md §7, features 146 to 148."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmx.valuation import Urgency, for_its_price, ranked, should_bid, surplus, value

TEN_MINUTES, A_DAY = 600.0, 86_400.0
FACTOR = st.floats(0, 1e6)


def test_ten_minutes_are_much_more_urgent_than_a_day() -> None:
    """§7: urgency = clamp(T_ref / max(time left, T_min))."""
    urgency = Urgency()
    assert urgency(3600) == 1
    assert urgency(TEN_MINUTES) == 6
    assert urgency(A_DAY) == 0.1
    assert urgency(TEN_MINUTES) >= 50 * urgency(A_DAY)
    assert urgency(1) == urgency(60) == 20
    assert Urgency(time_min=600)(1) == 6
    assert urgency(0) == urgency(-5) == 0


def test_a_value_is_the_product_of_priority_urgency_and_gain() -> None:
    """§7: no price is in it, so it can judge one."""
    assert value(2, 6, 10) == 120
    assert value(2, 0, 10) == value(-2, 6, 10) == value(2, 6, -10) == 0


@given(FACTOR, FACTOR, FACTOR, st.floats(1, 10))
def test_more_of_any_factor_never_lowers_a_value(
    priority: float, urgency: float, gain: float, more: float
) -> None:
    worth = value(priority, urgency, gain)
    assert value(priority * more, urgency, gain) >= worth
    assert value(priority, urgency * more, gain) >= worth
    assert value(priority, urgency, gain * more) >= worth


def test_an_agent_bids_while_its_surplus_is_not_below_zero() -> None:
    """§7: bid iff surplus ≥ 0, feature 147."""
    assert surplus(10, 7) == 3
    assert should_bid(10, 10)
    assert not should_bid(10, 10.01)


def test_of_several_offers_the_most_value_for_the_price_is_best() -> None:
    """§7: rank by value/price; what is not worth its price is left out."""
    assert ranked([("a", 10, 5), ("b", 100, 20), ("c", 10, 11), ("d", 1, 0)]) == ["d", "b", "a"]
    assert for_its_price(10, 4) == 2.5
    assert for_its_price(10, 0) == inf


@pytest.mark.parametrize(("priority", "left"), [(1, TEN_MINUTES), (50, A_DAY)])
def test_high_priority_outbids_routine_work_of_the_same_kind(priority: float, left: float) -> None:
    """Feature 145."""
    urgency = Urgency()
    assert value(2 * priority, urgency(left), 1) > value(priority, urgency(left), 1)
