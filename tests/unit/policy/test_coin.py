"""The coin of a negotiation."""

from __future__ import annotations

from policy.coin import toss


def test_the_same_toss_always_falls_alike():
    assert toss("g.0.n", "step 1") == toss("g.0.n", "step 1")
    assert toss("g.0.n", "step 1").seed == "g.0.n/step 1"


def test_the_coin_is_fair_over_negotiations_and_over_purposes():
    """3,000 tosses of a fair coin leave 1,350 to 1,650 once in 10^7 times."""
    for heads in (
        sum(toss(f"g.0.{n}", "step 1").heads for n in range(3_000)),
        sum(toss("g.0.n", f"step {n}").heads for n in range(3_000)),
    ):
        assert 1_350 < heads < 1_650


def test_anybody_can_check_how_the_coin_fell():
    """The first byte of SHA-256("g.0.n/step 1") is even for heads."""
    assert not toss("a", "b").heads  # c14cddc0…: 0xc1 is odd
