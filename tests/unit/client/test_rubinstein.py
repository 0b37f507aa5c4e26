"""Rubinstein's equilibrium: the published vectors, and how two who play it end."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmx.bargain import Accept, End, Propose
from llmx.rubinstein import (
    Equilibrium,
    common_share,
    finite_share,
    patience,
    patience_with_breakdown,
    share,
    share_at_once,
    share_of_responder,
    share_with_costs,
    wants_high,
)
from tests.support.bargain_scenes import ALICE, BOB, Table
from tests.support.bargains import make_bargain

factors = st.floats(0, 0.999)


@given(one=factors, two=factors)
def test_in_equilibrium_the_first_takes_what_leaves_the_other_indifferent(one: float, two: float):
    """N-5.1: player 1 gets (1−δ2)/(1−δ1δ2), player 2 gets δ2(1−δ1)/(1−δ1δ2)."""
    assert share_of_responder(one, two) == pytest.approx(two * (1 - one) / (1 - one * two))
    assert share_of_responder(one, two) == pytest.approx(two * share(two, one), abs=1e-9)


@pytest.mark.parametrize("patience_of_both", [(0.9, 0.9), (0.8, 0.9), (0.5, 0.95), (0.0, 0.5)])
@pytest.mark.parametrize("first", ["initiator", "responder"])
def test_two_who_play_it_agree_in_round_one_and_waste_nothing(
    patience_of_both: tuple[float, float], first: str
):
    """N-5.1: agreement in round 1, nothing wasted."""
    buyer, seller = patience_of_both
    table = Table(make_bargain(first=first, turn_within=1))
    outcome = table.play(
        {
            ALICE: Equilibrium(low=0, high=1000, own=buyer, other=seller),
            BOB: Equilibrium(low=0, high=1000, own=seller, other=buyer),
        }
    )
    assert outcome["agreement"]["round"] == 1
    price = outcome["agreement"]["value"]
    exact = 1 - share(buyer, seller) if first == "initiator" else share(seller, buyer)
    assert abs(price - 1000 * exact) <= 1


@pytest.mark.parametrize(
    ("one", "two", "part"),
    [
        (0.9, 0.9, 0.526316),
        (0.8, 0.9, 0.357143),
        (0.9, 0.8, 0.714286),
        (0.5, 0.5, 0.666667),
        (0.0, 0.5, 0.5),
        (0.5, 0.0, 1.0),
        (0.99, 0.95, 0.840336),
    ],
)
def test_the_share_of_the_first_by_the_vectors(one: float, two: float, part: float):
    """N-5.2: (δ1,δ2 → share of 1)."""
    assert share(one, two) == pytest.approx(part, abs=5e-7)


@pytest.mark.parametrize(
    ("proposals", "part"),
    [
        (1, 1.0),
        (2, 0.1),
        (3, 0.91),
        (4, 0.181),
        (5, 0.8371),
        (10, 0.342801),
        (20, 0.462328),
        (100, 0.526302),
    ],
)
def test_with_an_end_the_share_follows_backwards_from_the_last(proposals: int, part: float):
    """N-5.3: x_t = 1 − δ(responder)·x_{t+1}; δ=.9."""
    assert finite_share(0.9, 0.9, proposals) == pytest.approx(part, abs=5e-7)


@pytest.mark.parametrize(("proposals", "part"), [(1, 1.0), (2, 0.5), (3, 0.9), (4, 0.7)])
def test_with_an_end_the_patience_of_who_answers_counts(proposals: int, part: float):
    """N-5.3: x_t = 1 − δ(responder)·x_{t+1}; δ1=.8, δ2=.5."""
    assert finite_share(0.8, 0.5, proposals) == pytest.approx(part)


@given(common=factors, proposals=st.integers(1, 60))
def test_the_closed_form_is_the_recursion(common: float, proposals: int):
    """N-5.3: common δ: x_1 = (1−(−δ)^T)/(1+δ)."""
    assert common_share(common, proposals) == pytest.approx(
        finite_share(common, common, proposals), abs=1e-9
    )


@given(one=st.floats(0, 0.95), two=st.floats(0, 0.95))
def test_an_end_far_away_is_as_none(one: float, two: float):
    assert finite_share(one, two, 1000) == pytest.approx(share(one, two), abs=1e-6)


@given(one=factors, more=factors, two=st.floats(0.001, 0.999))
def test_who_is_more_patient_gets_more(one: float, more: float, two: float):
    """N-5.4: own δ up ⇒ own share up."""
    low, high = sorted((one, more))
    assert share(low, two) <= share(high, two)
    assert share_of_responder(two, low) <= share_of_responder(two, high) + 1e-12


@given(common=factors)
def test_the_first_of_equals_gets_at_least_half(common: float):
    """N-5.4: first-mover share ≥ ½ when δ equal."""
    assert share(common, common) >= 0.5


def test_the_advantage_of_the_first_vanishes_with_haste():
    """N-5.4: δ→1 equal ⇒ ½."""
    assert share(1 - 1e-9, 1 - 1e-9) == pytest.approx(0.5, abs=1e-6)
    assert share(1, 1) == 0.5


@pytest.mark.parametrize(("own", "other"), [(0.1, 0.1), (0.1, 0.3), (2.0, 0.5)])
def test_as_turns_become_short_the_hasty_get_less(own: float, other: float):
    """N-5.5: δ_i = exp(−r_i Δ): Δ→0 ⇒ share of 1 → r2/(r1+r2)."""
    short = share(patience(own, 1e-7), patience(other, 1e-7))
    assert short == pytest.approx(share_at_once(own, other), abs=1e-5)
    assert patience(own, 10) == math.exp(-own * 10)


def test_the_danger_of_a_breakdown_acts_as_impatience():
    """N-5.6: breakdown probability p per round acts as δ=1−p."""
    assert patience_with_breakdown(0.1) == 0.9


@pytest.mark.parametrize(
    ("own", "other", "part"), [(0.1, 0.2, 1.0), (0.2, 0.1, 0.1), (0.1, 0.1, 1.0)]
)
def test_with_fixed_costs_the_cheaper_takes_all(own: float, other: float, part: float):
    """N-5.6: c1<c2 ⇒ 1 takes all; c1>c2 ⇒ 1 gets c2."""
    assert share_with_costs(own, other) == part


@pytest.mark.parametrize("step", [1, 5, 20])
@pytest.mark.parametrize("both", [(0.9, 0.9), (0.8, 0.9), (0.99, 0.95), (0.5, 0.5)])
def test_in_whole_credits_the_price_is_within_one_step_of_the_formula(
    step: int, both: tuple[float, float]
):
    """N-5.7: integer credits, unit g: accept |price − formula| ≤ g per side."""
    one, two = both
    first = Equilibrium(low=0, high=100, own=one, other=two, step=step)
    second = Equilibrium(low=0, high=100, own=two, other=one, step=step)
    kept = first.demand(10)
    assert kept % step == 0
    assert abs(kept - 100 * share(one, two)) <= step
    assert 100 - kept >= second.worth_of_waiting(9), "the other accepts it"


def test_with_an_end_the_last_proposal_takes_all():
    last = Equilibrium(low=0, high=100, own=0.9, other=0.9, finite=True)
    assert [last.demand(left) for left in (1, 2, 3)] == [100, 10, 91]
    assert last.worth_of_waiting(0) == 0


@pytest.mark.parametrize("rounds", [2, 3, 4, 7])
def test_two_who_count_the_rounds_agree_at_once_too(rounds: int):
    """N-5.3: with T proposals the first takes x_1."""
    plays = [Equilibrium(low=0, high=1000, own=0.9, other=0.9, finite=True) for _ in range(2)]
    table = Table(make_bargain(first="initiator", max_rounds=rounds))
    outcome = table.play({ALICE: plays[0], BOB: plays[1]})
    assert outcome["agreement"]["round"] == 1
    exact = 1000 * (1 - finite_share(0.9, 0.9, rounds - 1))
    assert abs(outcome["agreement"]["value"] - exact) <= 1


def test_who_cannot_propose_any_more_accepts_or_ends():
    table = Table(make_bargain(first="responder", max_rounds=2))
    table.make(BOB, Propose(value=101))
    greedy = Equilibrium(low=0, high=100, own=0.9, other=0.9)
    assert greedy(table.parties[ALICE]) == End("no_time")
    fair = Equilibrium(low=0, high=101, own=0.9, other=0.9)
    assert fair(table.parties[ALICE]) == Accept()


def test_a_proposal_without_a_value_is_answered_by_one():
    table = Table(make_bargain(first="responder"))
    table.make(BOB, Propose(terms={"price": 3}))
    move = Equilibrium(low=0, high=100, own=0.9, other=0.9)(table.parties[ALICE])
    assert isinstance(move, Propose) and move.value == 48


@pytest.mark.parametrize(
    ("agent", "direction", "high"),
    [(ALICE, "procure", False), (BOB, "procure", True), (ALICE, "allocate", True)],
)
def test_who_procures_wants_it_low(agent: str, direction: str, high: bool):
    table = Table(make_bargain(call={"direction": direction}))
    assert wants_high(table.parties[agent]) is high


@pytest.mark.parametrize(
    "wrong", [{"low": 5, "high": 5}, {"step": 0}, {"own": 1.5}, {"other": -0.1}]
)
def test_a_mistake_in_a_parameter_is_told(wrong: dict[str, float]):
    right = {"low": 0.0, "high": 10.0, "own": 0.5, "other": 0.5}
    with pytest.raises(ValueError, match=r"must be|patience"):
        Equilibrium(**{**right, **wrong})
