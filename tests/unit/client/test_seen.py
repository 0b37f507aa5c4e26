"""Which messages have come already."""

from __future__ import annotations

from llmx.seen import Seen


def test_the_last_keys_are_known_and_old_ones_forgotten():
    seen = Seen(window=3)
    for key in range(7):
        seen.add(key)
    assert all(key in seen for key in (4, 5, 6))
    assert 0 not in seen


def test_never_more_than_twice_the_window_is_kept():
    seen = Seen(window=10)
    for key in range(1000):
        seen.add(key)
    assert sum(key in seen for key in range(1000)) <= 20
