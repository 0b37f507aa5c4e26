"""Noisy neighbours: negotiation.md N-8.5."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import noise
from policy.noise import NoiseMeter, NoiseRule, multiplier

RULE = NoiseRule(alpha=0.5, cap=4.0, half_life=10.0)


def test_a_noisy_neighbour_pays_by_how_far_it_is_above_its_share() -> None:
    """N-8.5: m = 1 + α·max(0, usage/fair - 1)."""
    assert multiplier(30, 10, RULE) == 1 + 0.5 * 2
    assert multiplier(10, 10, RULE) == 1
    assert multiplier(5, 10, RULE) == 1
    assert multiplier(5, 0, RULE) == 1


def test_noise_costs_no_more_than_the_cap_and_bans_nobody() -> None:
    """N-8.5: capped, never 0, never a ban."""
    assert multiplier(1e12, 1e-6, RULE) == 4.0


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0, 1e9))
def test_the_multiplier_is_never_below_one_and_grows_with_usage(
    one: float, two: float, fair: float
) -> None:
    """N-8.5: never 0."""
    less, more = sorted((one, two))
    assert 1 <= multiplier(less, fair, RULE) <= multiplier(more, fair, RULE) <= 4


def test_the_fair_share_is_the_mean_of_all_who_use_it() -> None:
    meter = NoiseMeter(RULE)
    for party, units in (("bob", 1), ("carol", 1), ("dave", 10)):
        meter.note(party, units, 0.0)
    assert meter.multiplier("bob", 0.0) == 1
    assert meter.multiplier("dave", 0.0) == 1 + 0.5 * (10 / 4 - 1)
    assert meter.multiplier("erin", 0.0) == 1


def test_noise_is_forgotten_by_half_with_each_half_life() -> None:
    """N-8.5: decays. Others go on as before, and the noisy one pays less and less."""
    meter = NoiseMeter(RULE)
    meter.note("bob", 64, 0.0)
    assert meter.usage("bob", 10.0) == pytest.approx(32)
    assert meter.usage("bob", 5.0) == pytest.approx(32), "a clock that goes back takes nothing"
    paid = []
    for tick in range(10, 120, 10):
        meter.note("carol", 8, tick)
        paid.append(meter.multiplier("bob", tick))
    assert paid == sorted(paid, reverse=True)
    assert paid[0] > 1.0
    assert paid[-1] == 1.0


def test_who_has_been_quiet_for_long_is_not_counted_among_the_users() -> None:
    meter = NoiseMeter(RULE)
    meter.note("bob", 1, 0.0)
    meter.note("carol", 1, 1000.0)
    assert len(meter) == 1
    assert meter.usage("bob", 1000.0) == 0
    assert meter.usage("carol", 1000.0) == pytest.approx(1)


def test_a_meter_keeps_a_bounded_number_of_parties(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "PARTIES_MAX", 2)
    meter = NoiseMeter(RULE)
    for party in ("bob", "carol", "dave", "bob"):
        meter.note(party, 1, 0.0)
    meter.note("erin", 0, 0.0)
    assert [meter.usage(party, 0.0) for party in ("bob", "carol", "dave", "erin")] == [2, 1, 0, 0]


def test_what_is_heard_late_counts_as_if_it_had_come_in_time() -> None:
    """Another gateway tells it some seconds later; the order must not matter."""
    late, punctual = NoiseMeter(RULE), NoiseMeter(RULE)
    late.note("bob", 8.0, 20.0)
    late.note("carol", 4.0, 10.0)
    punctual.note("carol", 4.0, 10.0)
    punctual.note("bob", 8.0, 20.0)
    for party in ("bob", "carol"):
        assert late.usage(party, 25.0) == pytest.approx(punctual.usage(party, 25.0))
