"""What waiting leaves of a gain."""

from __future__ import annotations

import math

import pytest

from policy.discount import Discount, discount_of, weight


@pytest.mark.parametrize(("round_", "left"), [(1, 1.0), (2, 0.9), (3, 0.81)])
def test_a_round_costs_its_factor_and_the_first_costs_nothing(round_: int, left: float):
    """N-5.8: u·δ^(round−1)."""
    assert weight("round", 0.9, round_, 1e9) == pytest.approx(left)


def test_time_costs_by_the_clock_whatever_the_round():
    """N-5.8: u·exp(−r·elapsed)."""
    assert weight("time", 0.1, 7, 0) == 1
    assert weight("time", math.log(2) / 600, 7, 600) == pytest.approx(0.5)


def test_who_is_not_patient_at_all_gains_nothing_after_the_first_round():
    assert [weight("round", 0, n, 0) for n in (1, 2, 3)] == [1, 0, 0]


def test_each_party_has_its_own_number():
    assert Discount("round", 0.5, 0.9).weights(3, 0) == {
        "initiator": 0.25,
        "responder": pytest.approx(0.81),
    }


def test_what_a_call_leaves_out_costs_nothing():
    assert discount_of({"kind": "round", "initiator": 0.5}) == Discount("round", 0.5, 1)
    assert discount_of({"kind": "time", "responder": 2}) == Discount("time", 0, 2)


def test_nobody_gains_by_waiting_for_rounds():
    assert discount_of({"kind": "round", "initiator": 1.1}) == "a factor by round is at most 1"
    assert discount_of({"kind": "time", "initiator": 1.1}) == Discount("time", 1.1, 0)
