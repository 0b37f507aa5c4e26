"""Jain's index: negotiation.md N-8.1 with its vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.jain import evenness

SHARES = st.lists(st.integers(0, 1000), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("shares", "index"),
    [
        ([7] * 12, 1.0),
        ([0] * 11 + [3], 0.083333),
        ([4, 2, 1, 1], 0.727273),
        ([1, 2, 3, 4, 5], 0.818182),
    ],
)
def test_jains_index_has_the_published_values(shares: list[int], index: float) -> None:
    """N-8.1: the four vectors of the rule."""
    assert evenness(shares).index == pytest.approx(index, abs=5e-7)


@given(SHARES)
def test_jains_index_lies_between_one_of_n_and_one(shares: list[int]) -> None:
    """N-8.1: J is in [1/n, 1]."""
    even = evenness(shares)
    assert 1 / len(shares) <= even.index <= 1
    assert even.parties == len(shares)


@given(SHARES, st.sampled_from([1e-200, 1e-9, 3.0, 1e9, 1e200]))
def test_jains_index_does_not_know_the_unit(shares: list[int], unit: float) -> None:
    """N-8.1: J is scale-free, also where squares would leave the range of numbers."""
    assert evenness(share * unit for share in shares).index == pytest.approx(evenness(shares).index)


@given(st.integers(1, 20), st.integers(0, 20))
def test_k_equal_shares_of_n_give_k_over_n(served: int, unserved: int) -> None:
    """N-8.1: k of n share equally, the rest has nothing."""
    even = evenness([2.5] * served + [0.0] * unserved)
    assert even.index == pytest.approx(served / (served + unserved))


def test_nothing_to_share_is_even_and_says_so() -> None:
    """N-8.1: all zero reports 1 with a flag; so does nobody at all."""
    assert (evenness([0, 0]).index, evenness([0, 0]).nothing, evenness([0, 0]).parties) == (
        1,
        True,
        2,
    )
    assert (evenness([]).index, evenness([]).nothing, evenness([]).parties) == (1, True, 0)
    assert not evenness([0, 1]).nothing


@given(SHARES, st.integers(0, 39), st.integers(1, 50))
def test_giving_more_to_who_has_least_never_makes_it_less_even(
    shares: list[int], place: int, gift: int
) -> None:
    """What makes it an index of fairness: a gift from the richest to the poorest raises it."""
    shares = sorted(shares)
    gift = min(gift, (shares[-1] - shares[0]) // 2)
    moved = [shares[0] + gift, *shares[1:-1], shares[-1] - gift] if len(shares) > 1 else shares
    assert evenness(moved).index >= evenness(shares).index - 1e-12
