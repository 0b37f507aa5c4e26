"""Five minutes in figures: rates, quantiles, refusals, and what is forgotten."""

from __future__ import annotations

import pytest

from gateway.page.history import SECONDS_MAX, History, Sample

BOUNDS = (0.1, 0.2, 1.0)


def sample(at: float, *, decisions: tuple[int, ...] = (0, 0, 0, 0), **counted: int) -> Sample:
    """Return a sample; what is not counted is 0. `decisions` are cumulative, as buckets are."""
    given = {"sessions": 0, "open": 0, "admitted": 0, "finished": 0, **counted}
    return Sample(at=at, refused={}, decisions=decisions, **given)


def refusing(at: float, **refused: int) -> Sample:
    return Sample(at, 0, 0, 0, 0, refused, (0, 0, 0, 0))


def test_a_point_is_what_happened_between_two_samples() -> None:
    history = History(BOUNDS)
    history.add(sample(10.0, admitted=100, finished=7))
    assert not history.points, "one sample tells no rate"
    history.add(sample(12.0, admitted=140, finished=8, sessions=5, open=3))
    (point,) = history.points
    assert (point.at, point.sessions, point.open) == (12.0, 5, 3)
    assert (point.messages, point.finished, point.refused) == (20.0, 0.5, 0.0)


def test_a_sample_that_is_no_later_tells_nothing() -> None:
    history = History(BOUNDS)
    for at in (10.0, 10.0, 9.0):
        history.add(sample(at))
    assert not history.points


@pytest.mark.parametrize(
    ("counts", "p50", "p95"),
    [
        ((0, 0, 0, 0), None, None),
        ((100, 100, 100, 100), 0.05, 0.095),  # evenly spread within the first bucket
        ((50, 100, 100, 100), 0.1, 0.19),
        ((0, 0, 10, 10), 0.6, 0.96),
        ((0, 0, 0, 4), 1.0, 1.0),  # longer than any bound: the last one is all that is known
    ],
)
def test_quantiles_are_those_of_a_histogram(
    counts: tuple[int, ...], p50: float | None, p95: float | None
) -> None:
    history = History(BOUNDS)
    before = tuple(range(1, 5))
    after = tuple(one + other for one, other in zip(before, counts, strict=True))
    history.add(sample(1.0, decisions=before))
    history.add(sample(2.0, decisions=after))
    (point,) = history.points
    assert (point.p50, point.p95) == (p50, p95)
    assert (history.latency(0.5), history.latency(0.95)) == (p50, p95)


def test_latency_is_of_the_whole_history() -> None:
    history = History(BOUNDS)
    for at, counts in ((1.0, (0, 0, 0, 0)), (2.0, (9, 9, 9, 9)), (3.0, (9, 9, 10, 10))):
        history.add(sample(at, decisions=counts))
    assert history.points[-1].p50 == 0.6
    assert history.latency(0.5) == pytest.approx(0.0556)
    assert History(BOUNDS).latency(0.5) is None


def test_refusals_are_ranked_by_the_latest() -> None:
    history = History(BOUNDS)
    assert history.refusals() == []
    history.add(refusing(1.0, OLD=50, QUIET=3))
    history.add(refusing(2.0, OLD=51, QUIET=3, NEW=4))
    assert history.refusals() == [("NEW", 4, 4), ("OLD", 1, 51), ("QUIET", 0, 3)]
    assert history.points[0].refused == 5.0


def test_what_is_older_than_five_minutes_is_forgotten() -> None:
    history = History(BOUNDS)
    for second in range(3 * SECONDS_MAX):
        history.add(refusing(float(second), EACH=second))
    assert len(history.points) == SECONDS_MAX
    assert history.points[-1].at - history.points[0].at == SECONDS_MAX - 1
    assert history.refusals() == [("EACH", SECONDS_MAX, 3 * SECONDS_MAX - 1)]
