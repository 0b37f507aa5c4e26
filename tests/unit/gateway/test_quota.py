"""Token buckets: negotiation.md N-8.2 and N-8.3, mostly with numbers that floats hold exactly."""

from __future__ import annotations

from math import inf, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.quota import RepeatBudget, TokenBucket

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
        self.latest = now
        """The latest time at which anything was admitted: before it nothing comes back."""

    def take(self, now: float, cost: float, keep: float = 0.0) -> float:
        if cost + keep > self.burst:
            return inf
        arrival = max(self.arrival, now, self.latest) + cost / self.rate
        wait = arrival - now - (self.burst - keep) / self.rate
        if arrival - max(now, self.latest) <= (self.burst - keep) / self.rate:
            self.arrival = arrival
            self.latest = max(now, self.latest)
            return 0.0
        return wait


def test_a_bucket_starts_full() -> None:
    bucket = TokenBucket(rate=1, burst=3, now=1000.0)
    assert [bucket.take(1000.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]


def test_a_long_pause_fills_a_bucket_to_its_burst_and_no_further() -> None:
    bucket = TokenBucket(rate=10, burst=2, now=0.0)
    assert [bucket.take(1e6) for _ in range(3)] == [0.0, 0.0, pytest.approx(0.1)]


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


@given(
    st.floats(0.1, 1e6),
    st.floats(1, 1e5),
    st.floats(1e9, 2e9),
    st.lists(st.tuples(st.floats(0, 30), st.floats(1e-3, 100)), min_size=1, max_size=30),
)
def test_a_wait_ends_at_the_tick_whatever_floats_round(
    rate: float, burst: float, start: float, requests: list[tuple[float, float]]
) -> None:
    """N-8.2: who comes again when it was told to is never told to wait once more."""
    bucket, now = TokenBucket(rate, burst, start), start
    for pause, part in requests:
        now += pause
        cost = min(burst, burst * part / 100)
        wait = bucket.take(now, cost)
        if wait:
            now += wait
            assert bucket.take(nextafter(now, 0), cost) > 0
            assert bucket.take(now, cost) == 0.0


@pytest.mark.parametrize("cost", [0.1, 1 / 3, 1e-9, 1e-12, 7.7, 1e6 / 7])
def test_a_bucket_that_is_huge_and_slow_answers_at_once(cost: float) -> None:
    """Near zero a float's tick is too small to change what is in it; the wait must find out."""
    bucket = TokenBucket(rate=1e-3, burst=1e7, now=0.0)
    bucket.take(0.0, cost)
    wait = bucket.wait(0.0, 1e7)
    assert wait == pytest.approx((1e7 - (1e7 - cost)) / 1e-3, abs=1e-5)
    assert bucket.take(wait, 1e7) == 0.0


def test_asking_changes_nothing() -> None:
    bucket = TokenBucket(rate=1, burst=4, now=0.0)
    assert bucket.take(0.0, 4.0) == 0.0
    assert [bucket.wait(at, 2.0) for at in (0.0, 1.0, 0.5, 2.0)] == [2.0, 1.0, 1.5, 0.0]
    assert bucket.take(2.0, 2.0) == 0.0


BACK_AND_FORTH = st.lists(
    st.tuples(
        st.integers(-256, 256).map(lambda n: n / 64), st.integers(1, 24).map(lambda n: n / 4)
    ),
    max_size=60,
)


@given(RATES, BURSTS, BACK_AND_FORTH)
def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing(
    rate: float, burst: float, requests: list[tuple[float, float]]
) -> None:
    """N-8.2: it wants a monotonic clock; a bucket that has none keeps its promise all the same."""
    bucket, gcra, now = TokenBucket(rate, burst, 0.0), Gcra(rate, burst, 0.0), 0.0
    admitted, latest = 0.0, 0.0
    for step, cost in requests:
        now += step
        latest = max(latest, now)
        wait = bucket.take(now, cost)
        assert wait == gcra.take(now, cost)
        admitted += cost if wait == 0.0 else 0.0
        assert admitted <= burst + rate * latest
    full = TokenBucket(rate, burst, 100.0)
    assert full.take(-1e9, burst) == 0.0
    assert full.take(100.0 + burst / rate, burst) == 0.0


RESERVES = st.sampled_from([0.0, 0.125, 0.25, 0.5])


@given(RATES, BURSTS, RESERVES, REQUESTS)
def test_the_normal_class_leaves_the_reserve_whatever_it_does(
    rate: float, burst: float, reserve: float, requests: list[tuple[float, float]]
) -> None:
    """N-8.3: a system request of at most rho B is admitted whatever normal agents did."""
    bucket, now = TokenBucket(rate, burst, 0.0, reserve), 0.0
    assert bucket.reserved == reserve * burst
    for pause, cost in requests:
        now += pause
        bucket.take(now, cost, bucket.reserved)
        if reserve:
            assert bucket.wait(now, bucket.reserved) == 0.0
    if reserve:
        assert bucket.take(now, bucket.reserved) == 0.0


@given(RATES, BURSTS, RESERVES, REQUESTS, st.lists(st.booleans(), min_size=60, max_size=60))
def test_both_classes_together_take_no_more_than_one_bucket_holds(
    rate: float,
    burst: float,
    reserve: float,
    requests: list[tuple[float, float]],
    system: list[bool],
) -> None:
    """N-8.3, N-8.2: the reserve is a floor: decisions and waits are GCRA's, for either class."""
    bucket, gcra = TokenBucket(rate, burst, 0.0, reserve), Gcra(rate, burst, 0.0)
    now = 0.0
    admitted: list[tuple[float, float]] = []
    for (pause, cost), is_system in zip(requests, system, strict=False):
        now += pause
        keep = 0.0 if is_system else bucket.reserved
        wait = bucket.take(now, cost, keep)
        assert wait == gcra.take(now, cost, keep)
        if wait == 0.0:
            admitted.append((now, cost))
        if cost + keep > burst:
            assert wait == inf
    for first, (start, _) in enumerate(admitted):
        for last in range(first, len(admitted)):
            total = sum(cost for _, cost in admitted[first : last + 1])
            assert total <= burst + rate * (admitted[last][0] - start)


def test_what_is_given_back_fills_no_bucket_over_its_burst() -> None:
    bucket = TokenBucket(rate=1, burst=4, now=0.0)
    assert bucket.take(0.0, 3.0) == 0.0
    bucket.give_back(3.0)
    bucket.give_back(3.0)
    assert bucket.take(0.0, 4.0) == 0.0
    assert bucket.take(0.0) == 1.0


def test_a_bucket_tells_its_state_in_words() -> None:
    assert repr(TokenBucket(2, 4, 0.0)) == "<TokenBucket 4 of 4, 2 a second>"


def test_a_budget_of_repeats_lets_a_crowd_through_one_after_the_other() -> None:
    """A hundred outboxes of ten messages each are due at once; a hundred a second may go."""
    budget, waiting, served = RepeatBudget(100, 0.0), list(range(100)), []
    for tick in range(41):
        now = tick / 4
        turn = [one for one in waiting if budget.allows(now, 10)]
        waiting = [one for one in waiting if one not in turn]
        served.append(len(turn))
    assert served[0] == 10 and not waiting
    assert max(served[1:]) <= 3


@given(st.lists(st.tuples(st.integers(0, 64).map(lambda n: n / 16), st.integers(1, 200))))
def test_over_any_interval_repeats_are_fewer_than_the_budget_and_one_window(
    requests: list[tuple[float, int]],
) -> None:
    per_second, window = 64.0, 200
    budget, now = RepeatBudget(per_second, 0.0), 0.0
    sent: list[tuple[float, int]] = []
    for pause, count in requests:
        now += pause
        if budget.allows(now, count):
            sent.append((now, count))
    for first, (start, _) in enumerate(sent):
        total = 0
        for at, count in sent[first:]:
            total += count
            assert total < per_second + per_second * (at - start) + window


def test_a_window_larger_than_the_budget_is_repeated_and_paid_for() -> None:
    """Or an agent with a large window would never get anything again."""
    budget = RepeatBudget(10, 0.0)
    assert budget.allows(0.0, 35)
    assert not budget.allows(2.5, 1)
    assert budget.allows(2.75, 1)


def test_a_budget_of_repeats_does_not_mind_a_clock_that_goes_back() -> None:
    budget = RepeatBudget(10, 100.0)
    assert budget.allows(100.0, 10)
    assert not budget.allows(50.0, 1)
    assert not budget.allows(100.0, 1)
    assert budget.allows(100.5, 1)
