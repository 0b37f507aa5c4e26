"""How long to wait before the next attempt."""

from __future__ import annotations

from federation.backoff import Backoff


def test_each_failure_doubles_the_longest_wait_up_to_a_bound() -> None:
    backoff = Backoff(0.1, 1.0)
    assert [backoff.wait(1.0) for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_those_who_failed_together_come_back_spread_over_the_whole_wait() -> None:
    waits = []
    for chance in (0.0, 0.25, 0.5, 1.0):
        backoff = Backoff(2.0, 8.0)
        backoff.wait(1.0)
        waits.append(backoff.wait(chance))
    assert waits == [0.0, 1.0, 2.0, 4.0]


def test_after_contact_the_first_wait_is_short_again() -> None:
    backoff = Backoff(0.1, 1.0)
    for _ in range(5):
        backoff.wait(1.0)
    backoff.reset()
    assert backoff.wait(1.0) == 0.1
