"""Amounts of credit are read to the millionth, or refused with what would be right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settling.amounts import AmountError, micros_in
from policy.ledger import MICROS_MAX, credits_of


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("12.5", 12_500_000),
        ("-5", -5_000_000),
        (" 0.000001 ", 1),
        ("1e3", 1_000_000_000),
        ("0", 0),
        ("9007199254.740991", 9_007_199_254_740_991),
        ("9007199254.740992", MICROS_MAX),
    ],
)
def test_an_amount_is_exact_to_the_millionth(text: str, micros: int) -> None:
    """Floating point would give 9007199254.740991 another last digit."""
    assert micros_in(text) == micros


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("ten", "write 12.5"),
        ("", "write 12.5"),
        ("1,000", "write 12.5"),
        ("nan", "at most 9,007,199,254.740992 credits"),
        ("inf", "at most 9,007,199,254.740992 credits"),
        ("-9007199254.740993", "at most 9,007,199,254.740992 credits"),
        ("1e999999", "at most 9,007,199,254.740992 credits"),
        ("0.0000001", "at most 6 decimals"),
        ("1e-999999", "at most 6 decimals"),
    ],
)
def test_what_cannot_be_counted_is_refused_with_what_can(text: str, remedy: str) -> None:
    with pytest.raises(AmountError, match=remedy):
        micros_in(text)


@given(st.integers(-MICROS_MAX, MICROS_MAX))
def test_what_is_said_of_an_amount_means_that_amount(micros: int) -> None:
    assert micros_in(credits_of(micros).replace(",", "")) == micros
