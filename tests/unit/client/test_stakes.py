"""What an author sees of what an award holds."""

from __future__ import annotations

import pytest

from llmx.stakes import Lock, Payment, locks_in, payment_in

LOCK = {
    "resource": "gpu",
    "units": 4,
    "from": 10.0,
    "until": 70.0,
    "fence": 7,
    "holder": "agent://alice",
}


def test_locks_and_payments_are_read_off_an_award() -> None:
    award = {"locks": [LOCK], "credit": {"payer": "agent://alice", "micros": 42_500_000}}
    assert locks_in(award) == (Lock("gpu", 4, 10.0, 70.0, 7, "agent://alice"),)
    payment = payment_in(award)
    assert payment == Payment("agent://alice", 42_500_000)
    assert payment is not None and payment.credits == 42.5


@pytest.mark.parametrize("award", [{}, {"locks": "many", "credit": "much"}, {"locks": [7]}])
def test_what_is_none_is_left_out(award: dict[str, object]) -> None:
    assert locks_in(award) == ()
    assert payment_in(award) is None
