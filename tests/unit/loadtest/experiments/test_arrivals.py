"""Calls come as a Poisson process, and what is none is told apart."""

from __future__ import annotations

import pytest

from loadtest.experiments.arrivals import (
    SIGNIFICANCE,
    dispersion,
    exponential_p_value,
    gaps_of,
    poisson,
)


def test_the_seed_alone_says_when_calls_come() -> None:
    assert poisson(1.0, 100.0, 7) == poisson(1.0, 100.0, 7) != poisson(1.0, 100.0, 8)


@pytest.mark.parametrize("rate", [0.025, 1.0, 100.0])
def test_arrivals_pass_the_tests_of_a_poisson_process(rate: float) -> None:
    seconds = 2_000 / rate
    moments = poisson(rate, seconds, 1)
    assert all(0 < at < seconds for at in moments)
    assert exponential_p_value(gaps_of(moments), rate) >= SIGNIFICANCE
    assert dispersion(moments, 10 / rate, seconds) == pytest.approx(1.0, abs=0.3)


def test_regular_arrivals_and_another_rate_do_not_pass() -> None:
    regular = [float(at) for at in range(1, 1_001)]
    assert exponential_p_value(gaps_of(regular), 1.0) < SIGNIFICANCE
    assert dispersion(regular, 10.0, 1_000.0) < 0.1
    slower = poisson(0.8, 1_500.0, 1)
    assert exponential_p_value(gaps_of(slower), 1.0) < SIGNIFICANCE


def test_the_p_value_is_that_of_the_tables() -> None:
    """Kolmogorov's limit: 1.628 over the root of n is passed once in a hundred times."""
    count = 10_000
    uniform = [(place + 0.5) / count for place in range(count)]
    shift = 1.628 / count**0.5
    from math import log

    gaps = [-log(1 - max(0.0, part - shift) * (1 - 1e-12)) for part in uniform]
    assert exponential_p_value(gaps, 1.0) == pytest.approx(0.01, rel=0.05)
