"""How long things took, in buckets."""

from __future__ import annotations

from gateway.telemetry.timing import Timing, histogram


def test_what_took_as_long_as_a_bound_is_within_it() -> None:
    timing = Timing((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.11, 1.0, 7.0):
        timing.add(seconds)
    assert timing.buckets() == [("0.1", 2.0), ("1.0", 4.0), ("+Inf", 5.0)]
    assert (len(timing), round(timing.total, 2)) == (5, 8.26)


def test_a_clock_that_went_back_takes_nothing_from_the_sum() -> None:
    """A sum that falls looks to Prometheus like a gateway that began anew."""
    timing = Timing((0.1,))
    timing.add(-3.0)
    assert (timing.buckets()[0], timing.total) == (("0.1", 1.0), 0.0)


def test_timings_are_told_with_their_labels() -> None:
    timing = Timing((0.1,))
    timing.add(0.05)
    told = histogram("llmx_x_seconds", "X.", ("act",), lambda: [(("cfp",), timing)])
    assert {(one.name, one.labels.get("le", ""), one.value) for one in told.samples} == {
        ("llmx_x_seconds_bucket", "0.1", 1.0),
        ("llmx_x_seconds_bucket", "+Inf", 1.0),
        ("llmx_x_seconds_count", "", 1.0),
        ("llmx_x_seconds_sum", "", 0.05),
    }
    assert {one.labels["act"] for one in told.samples} == {"cfp"}
