"""A drift is seen, and one bad minute is none."""

from __future__ import annotations

import pytest

from loadtest.experiments.drift import POINTS_MAX, drift, slope


def test_the_slope_of_a_line_is_its_own() -> None:
    assert slope([(x, 3 + 0.5 * x) for x in range(20)]) == pytest.approx(0.5)


def test_one_bad_minute_moves_nothing() -> None:
    """By least squares it would drift by more than the median itself."""
    points = [(float(x), 10.0) for x in range(30)]
    points[29] = (29.0, 500.0)
    assert drift(points) == 0.0


def test_drift_is_the_change_over_the_run_by_the_median() -> None:
    assert drift([(x, 10 + 2 * x / 100) for x in range(101)]) == pytest.approx(2 / 11)
    assert drift([(x, 10 - 2 * x / 100) for x in range(101)]) == pytest.approx(-2 / 9)


def test_too_little_to_say_so_is_no_drift() -> None:
    assert drift([]) == drift([(1.0, 5.0)]) == slope([(1.0, 5.0), (1.0, 9.0)]) == 0.0


def test_many_points_are_thinned_out_evenly() -> None:
    points = [(float(x), 2.0 * x) for x in range(2 * POINTS_MAX // 10 * 10)]
    assert slope(points[: POINTS_MAX // 5]) == slope(points[: POINTS_MAX // 2]) == 2.0
