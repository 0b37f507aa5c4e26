"""Amounts of credit as people write them: decimals, exact to the millionth."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from policy.ledger import MICROS, MICROS_MAX, credits_of


class AmountError(ValueError):
    """What somebody wrote is no amount that the ledger can count; says what would be."""


def micros_in(text: str) -> int:
    """Return an amount of credits in millionths, without rounding. Raises AmountError.

    It may be below zero, and have an exponent: "-0.5", "1e3".
    """
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        raise AmountError(f"{text!r} is no number; write 12.5 for example") from None
    most = Decimal(MICROS_MAX) / MICROS
    if not amount.is_finite() or abs(amount) > most:
        raise AmountError(f"use at most {credits_of(MICROS_MAX)} credits")
    micros = amount * MICROS
    if micros != micros.to_integral_value():
        raise AmountError("the ledger counts in millionths, so use at most 6 decimals")
    return int(micros)
