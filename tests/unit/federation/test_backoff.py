"""Waits between attempts."""

from __future__ import annotations

from federation.backoff import Backoff


def test_waits_grow_with_each_failure_up_to_the_longest() -> None:
    backoff = Backoff(0.1, 0.5)
    assert [backoff.wait(1.0) for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]


def test_those_who_failed_together_come_back_spread_over_the_whole_wait() -> None:
    assert Backoff(0.1, 0.5).wait(0.0) == 0.0
    assert Backoff(0.1, 0.5).wait(0.25) == 0.025


def test_after_contact_the_first_wait_is_short_again() -> None:
    backoff = Backoff(0.1, 0.5)
    backoff.wait(1.0)
    backoff.wait(1.0)
    backoff.reset()
    assert backoff.wait(1.0) == 0.1


def test_a_wait_stays_finite_however_often_it_failed() -> None:
    backoff = Backoff(0.1, 2.0)
    assert max(backoff.wait(1.0) for _ in range(5_000)) == 2.0
