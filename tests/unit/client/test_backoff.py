"""How long to wait before trying again."""

from __future__ import annotations

from llmx.backoff import Backoff


def test_the_bound_doubles_until_it_is_capped():
    backoff = Backoff(first=1, factor=2, longest=5)
    assert [backoff.wait(n, lambda: 1.0) for n in (1, 2, 3, 4, 999)] == [1, 2, 4, 5, 5]


def test_an_author_who_says_nothing_gets_dense_tries_at_first_and_ten_seconds_at_most():
    bounds = [Backoff().wait(n, lambda: 1.0) for n in (1, 2, 3, 99)]
    assert [round(bound, 2) for bound in bounds] == [0.5, 0.8, 1.28, 10.0]


def test_the_jitter_is_full():
    backoff = Backoff(first=1, factor=2, longest=5)
    assert backoff.wait(3, lambda: 0.0) == 0
    assert backoff.wait(3, lambda: 0.5) == 2
