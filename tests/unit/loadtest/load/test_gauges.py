"""Figures of a gateway are differences between its first and its last sample."""

from __future__ import annotations

from gateway.metrics import Metrics
from loadtest.load.gauges import COUNTERS, Sample, figures_of


def _sample(at: float, cpu: float, count: float, files: int = 40) -> Sample:
    return Sample(at, cpu, int(count) << 20, files, dict.fromkeys(COUNTERS, count))


def test_what_was_counted_before_does_not_count() -> None:
    figures = figures_of([_sample(10, 5.0, 100), _sample(11, 5.4, 300, 60), _sample(14, 6.0, 500)])
    assert figures["cpu_share"] == 0.25
    assert figures["delivered_per_second"] == 100.0
    assert figures["cpu_us_per_delivery"] == 2_500.0
    assert figures["messages_refused"] == 400.0
    assert (figures["resident_mib_first"], figures["resident_mib_last"]) == (100.0, 500.0)
    assert figures["open_files_max"] == 60.0


def test_a_gateway_that_delivered_nothing_has_no_cost() -> None:
    assert figures_of([_sample(1, 1.0, 7)])["cpu_us_per_delivery"] == 0.0


def test_every_counter_that_is_read_is_one_of_the_gateway() -> None:
    """One that was renamed would read as zero for ever."""
    counted = {f"{family.name}_total" for family in Metrics().collect() if family.type == "counter"}
    assert set(COUNTERS) <= counted
