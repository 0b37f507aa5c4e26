"""Percentiles, medians and ratios."""

from __future__ import annotations

import math

import pytest

from loadtest.figures import Compared, figures_of, median, percentile
from loadtest.rounds import Played


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 50), (95, 95), (99, 99), (100, 100), (0.1, 1)]
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    assert percentile([float(value) for value in range(1, 101)], percent) == expected


def test_the_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile([], 50))


def test_costs_are_per_thousand_rounds_and_latencies_in_milliseconds() -> None:
    played = Played(
        rounds=500,
        seconds=2.0,
        client_cpu_seconds=0.25,
        server_cpu_seconds=0.5,
        messages=18_500,
        frames_received=185,
        to_last_offer=[0.002, 0.001, 0.003],
        to_last_outcome=[0.004, 0.006, 0.005],
    )
    figures = figures_of(played)
    assert figures["rounds_per_second"] == 250
    assert figures["server_cpu_s_per_1000_rounds"] == 1.0
    assert figures["client_cpu_s_per_1000_rounds"] == 0.5
    assert figures["messages_per_frame"] == 100
    assert figures["last_offer_p50_ms"] == pytest.approx(2)
    assert figures["last_outcome_p99_ms"] == pytest.approx(6)


def test_one_disturbed_repeat_moves_no_median() -> None:
    repeats = [{"rounds_per_second": value} for value in (3_000.0, 12.0, 3_100.0)]
    assert median(repeats) == {"rounds_per_second": 3_000.0}


def test_a_ratio_needs_both_targets() -> None:
    ours = {"rounds_per_second": 3_000.0}
    both = Compared(12, 32, {"ours": ours, "floor": {"rounds_per_second": 4_000.0}}, {})
    assert both.ratio("rounds_per_second") == 0.75
    assert Compared(12, 32, {"ours": ours}, {}).ratio("rounds_per_second") is None
