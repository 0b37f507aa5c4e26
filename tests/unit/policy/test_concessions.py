"""Agreement and risk, by their formulas."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.bargaining import Terms
from policy.concessions import agreed, next_to_concede, risk, shortfall
from policy.deals import Deal
from tests.support.bargains import CONCESSION, make_bargain

ALICE, BOB = "agent://alice", "agent://bob"
DECLARED = {"initiator": "terms.a", "responder": "terms.b"}


def terms(**options: object) -> Terms:
    return Terms.of(make_bargain(CONCESSION, utilities=DECLARED, **options))


def deal(a: float, b: float) -> Deal:
    return Deal("m", BOB, {"a": a, "b": b}, None, 1)


@pytest.mark.parametrize(
    ("own", "others", "conflict", "expected"),
    [(1, 0, 0, 1), (1, 1, 0, 0), (0.8, 0.2, 0, 0.75), (0, 0.5, 0, 1), (3, 2, 1, 0.5)],
)
def test_the_risk_is_the_part_of_its_gain_that_a_party_stakes(
    own: float, others: float, conflict: float, expected: float
):
    """N-4.6: risk = (Ui(own) − Ui(other's)) / (Ui(own) − Ui(c)); if Ui(own) ≤ Ui(c) then 1."""
    assert risk(own, others, conflict) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("x", "y", "suits"),
    [((3, 1), (1, 3), ""), ((3, 3), (1, 3), "x"), ((3, 1), (3, 3), "y"), ((1, 3), (3, 1), "xy")],
)
def test_deals_meet_when_one_is_offered_what_it_asks_for(
    x: tuple[float, float], y: tuple[float, float], suits: str
):
    """N-4.1: agreement iff U1(y) ≥ U1(x) or U2(x) ≥ U2(y)."""
    mine, yours = deal(*x), deal(*y)
    found, coin = agreed(terms(), mine, yours, 1)
    if suits == "xy":
        assert coin is not None
        assert found is (mine if coin.heads else yours)
    else:
        assert coin is None
        assert found is {"": None, "x": mine, "y": yours}[suits]


@pytest.mark.parametrize("concession", ["both", "either"])
def test_both_are_asked_where_risks_do_not_count(concession: str):
    asked = next_to_concede(terms(concession=concession), deal(3, 1), deal(1, 3), 1)
    assert asked == ((ALICE, BOB), None)


worths = st.integers(1, 40)


@given(x=st.tuples(worths, worths), y=st.tuples(worths, worths), c=st.integers(0, 5))
def test_the_smaller_product_concedes(x: tuple[int, int], y: tuple[int, int], c: int):
    """N-4.6: the one whose own deal has the smaller product (U1−d1)(U2−d2) concedes."""
    (x1, x2), (y1, y2) = ((a + c, b + c) for a, b in (x, y))
    if not (x1 > y1 and y2 > x2):
        return  # they have met
    rules = terms(concession="zeuthen", conflict={"initiator": c, "responder": c})
    asked, coin = next_to_concede(rules, deal(x1, x2), deal(y1, y2), 1)
    mine, yours = (x1 - c) * (x2 - c), (y1 - c) * (y2 - c)
    if mine == yours:
        assert coin is not None
        assert asked == ((ALICE,) if coin.heads else (BOB,))
    else:
        assert asked == ((ALICE,) if mine < yours else (BOB,))
        assert coin is None


def test_who_concedes_too_little_hears_what_its_last_was_worth_and_the_least_it_may_say():
    """What deals are worth is declared to both, so nothing is given away."""
    reason, remedy = shortfall(terms(), deal(2.5, 9), deal(2, 9), 0.25)
    assert reason == "your last was worth 2.5 to the other party, and this is 2"
    assert remedy == "propose what is worth at least 2.75 to the other party"


@pytest.mark.parametrize(
    ("direction", "sender", "least"),
    [
        ("procure", BOB, "at most 58"),
        ("procure", ALICE, "at least 62"),
        ("allocate", BOB, "at least 62"),
        ("allocate", ALICE, "at most 58"),
    ],
)
def test_where_only_a_value_counts_it_is_named(direction: str, sender: str, least: str):
    named = Terms.of(make_bargain(CONCESSION, call={"direction": direction}))
    before, after = (Deal("m", sender, {"value": one}, one, 1) for one in (60.0, 0.0))
    assert shortfall(named, before, after, 2.0) == (
        "your last proposal said 60, and this one says 0",
        f"propose a value of {least}",
    )
