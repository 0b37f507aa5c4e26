"""Token buckets: negotiation.md N-8.2, with numbers that floats hold exactly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.quota import TokenBucket

# Powers of two and multiples of 1/64: every sum and product below is exact.
RATES = st.sampled_from([0.25, 0.5, 1.0, 2.0, 16.0, 64.0])
BURSTS = st.integers(1, 64).map(lambda n: n / 4)
REQUESTS = st.lists(
    st.tuples(st.integers(0, 256).map(lambda n: n / 64), st.integers(1, 24).map(lambda n: n / 4)),
    max_size=60,
)
"""Seconds since the request before, and the cost."""


class Gcra:
    """The generic cell rate algorithm: one time instead of a number of tokens."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self.arrival = now
        """When the bucket would be full again."""

    def take(self, now: float, cost: float) -> float:
        if cost > self.burst:
            return float("inf")
        arrival = max(self.arrival, now) + cost / self.rate
        wait = arrival - now - self.burst / self.rate
        if wait > 0:
            return wait
        self.arrival = arrival
        return 0.0


def test_a_bucket_starts_full() -> None:
    bucket = TokenBucket(rate=1, burst=3, now=1000.0)
    assert [bucket.take(1000.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]


def test_a_long_pause_fills_a_bucket_to_its_burst_and_no_further() -> None:
    bucket = TokenBucket(rate=10, burst=2, now=0.0)
    assert [bucket.take(1e6) for _ in range(3)] == [0.0, 0.0, 0.1]


def test_a_refused_cost_takes_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=4, now=0.0)
    assert bucket.take(0.0, 3.0) == 0.0
    assert bucket.take(0.0, 2.0) == 1.0
    assert bucket.take(0.0, 1.0) == 0.0


def test_a_cost_above_the_burst_can_never_be_met() -> None:
    bucket = TokenBucket(rate=1000, burst=4, now=0.0)
    assert bucket.take(0.0, 4.25) == float("inf")
    assert bucket.take(1e9, 4.25) == float("inf")
    assert bucket.take(1e9, 4.0) == 0.0


@given(RATES, BURSTS, REQUESTS)
def test_over_any_interval_no_more_is_admitted_than_the_burst_and_what_came_back(
    rate: float, burst: float, requests: list[tuple[float, float]]
) -> None:
    """N-8.2: admitted ≤ B + r·Δ between any two admissions."""
    bucket, now = TokenBucket(rate, burst, 0.0), 0.0
    admitted: list[tuple[float, float]] = []
    for pause, cost in requests:
        now += pause
        if bucket.take(now, cost) == 0.0:
            admitted.append((now, cost))
    for first, (start, _) in enumerate(admitted):
        total = 0.0
        for at, cost in admitted[first:]:
            total += cost
            assert total <= burst + rate * (at - start)


@given(RATES, BURSTS, REQUESTS)
def test_a_cost_is_admitted_when_the_wait_is_over_and_not_a_tick_sooner(
    rate: float, burst: float, requests: list[tuple[float, float]]
) -> None:
    """N-8.2: retry_after = (w − tokens)/r, exact to the tick."""
    tick = 1 / 4096
    bucket, now = TokenBucket(rate, burst, 0.0), 0.0
    for pause, cost in requests:
        now += pause
        wait = bucket.take(now, cost)
        if wait == float("inf"):
            assert cost > burst
        elif wait:
            assert bucket.take(now + wait - tick, cost) == tick
            now += wait
            assert bucket.take(now, cost) == 0.0


@given(RATES, BURSTS, REQUESTS)
def test_the_generic_cell_rate_algorithm_decides_the_same(
    rate: float, burst: float, requests: list[tuple[float, float]]
) -> None:
    """N-8.2: the two forms give the same decisions and the same waits."""
    bucket, gcra, now = TokenBucket(rate, burst, 0.0), Gcra(rate, burst, 0.0), 0.0
    for pause, cost in requests:
        now += pause
        assert bucket.take(now, cost) == gcra.take(now, cost)


@given(RATES, BURSTS, REQUESTS, st.sampled_from([64.0, 2.0**20, 2.0**31]))
def test_only_differences_of_time_count(
    rate: float, burst: float, requests: list[tuple[float, float]], start: float
) -> None:
    at_zero, later, now = TokenBucket(rate, burst, 0.0), TokenBucket(rate, burst, start), 0.0
    for pause, cost in requests:
        now += pause
        assert at_zero.take(now, cost) == later.take(start + now, cost)
