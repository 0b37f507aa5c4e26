"""Credit is moved between accounts, and never made, lost or below zero."""

from __future__ import annotations

import pytest

from policy import ledger
from policy.ledger import MICROS_MAX, Balance, Cost, Entry, Hold, Posting, Purse, Spent

ALICE = "agent://alice"
PURSE = Purse(ALICE, "g1", available=30, held=10)
HOLD = Hold("h", ALICE, 10, "g1", 9.0)
MOVES = {
    "mint": ledger.minted(PURSE, 5),
    "burn": ledger.burned(PURSE, 5),
    "hold": ledger.held(PURSE, 5),
    "release": ledger.released(PURSE, HOLD),
    "capture": ledger.captured(PURSE, HOLD, 4),
    "capture all": ledger.captured(PURSE, HOLD, 10),
    "refund": ledger.refunded(PURSE, 5),
}


@pytest.mark.parametrize("name", MOVES)
def test_each_transaction_sums_to_nothing(name: str) -> None:
    """N-7.1: each transaction sums to 0, and a balance changes by its postings."""
    purse, postings = MOVES[name]
    assert sum(posting.micros for posting in postings) == 0
    for kind, before, after in (
        ("available", PURSE.available, purse.available),
        ("held", PURSE.held, purse.held),
    ):
        own = [one.micros for one in postings if (one.kind, one.owner) == (kind, ALICE)]
        assert after - before == sum(own)


@pytest.mark.parametrize(
    ("name", "available", "held"),
    [
        ("mint", 35, 10),
        ("burn", 25, 10),
        ("hold", 25, 15),
        ("release", 40, 0),
        ("capture", 36, 0),
        ("capture all", 30, 0),
        ("refund", 35, 10),
    ],
)
def test_a_movement_leaves(name: str, available: int, held: int) -> None:
    purse, _ = MOVES[name]
    assert (purse.available, purse.held) == (available, held)


def test_no_purse_goes_below_zero() -> None:
    """N-7.2: available ≥ 0 and held ≥ 0; who forgets to look is stopped."""
    for mistake in (
        lambda: ledger.held(PURSE, 31),
        lambda: ledger.burned(PURSE, 31),
        lambda: ledger.released(Purse(ALICE), HOLD),
        lambda: ledger.captured(PURSE, HOLD, 11),
        lambda: ledger.minted(PURSE, MICROS_MAX),
        lambda: ledger.carried(PURSE, Purse("agent://bob"), 1),
    ):
        with pytest.raises(AssertionError):
            mistake()


def test_credit_changes_its_place_and_not_its_sum() -> None:
    """N-8.6: what a gateway takes along is a movement like any other."""
    source, target, postings = ledger.carried(PURSE, Purse(ALICE, "g2", 1), 30)
    assert (source.available, target.available) == (0, 31)
    assert postings == (
        Posting("available", -30, ALICE, "g1"),
        Posting("available", 30, ALICE, "g2"),
    )


def entries() -> list[Entry]:
    """Alice gets 30, takes 20 to g1, holds 10 for two things, pays 6, and gets 1 back."""
    mint = ledger.minted(Purse(ALICE), 30)
    carried = ledger.carried(mint[0], Purse(ALICE, "g1"), 20)
    held = ledger.held(carried[1], 10)
    captured = ledger.captured(held[0], HOLD, 6)
    refund = ledger.refunded(carried[0], 1)
    paid = Spent("h", ALICE, 6, "n", "h100", "atlas")
    return [
        Entry("mint", 1.0, "g1", mint[1]),
        Entry("carry", 2.0, "g1", carried[2]),
        Entry("hold", 3.0, "g1", held[1]),
        Entry("pay", 4.0, "g1", captured[1], (paid,)),
        Entry("back", 5.0, "g2", refund[1], (Spent("h", ALICE, -1, "n", "h100", "atlas"),)),
    ]


def test_a_balance_is_the_fold_of_the_journal() -> None:
    """N-7.1: Σ all accounts = 0; balance = fold(ledger)."""
    sums = ledger.balances(entries())
    assert sums == {
        ("mint", "", ""): -30,
        ("available", ALICE, ""): 11,
        ("available", ALICE, "g1"): 14,
        ("held", ALICE, "g1"): 0,
        ("market", "", ""): 5,
    }
    totals = ledger.totals(entries())
    assert totals == {"mint": -30, "available": 25, "held": 0, "market": 5, "burn": 0}


def test_costs_are_told_by_agent_resource_negotiation_and_project() -> None:
    """N-7.5: Σ by (agent, resource, negotiation) of captures = market credit."""
    assert ledger.attribution(entries()) == [Cost(ALICE, "h100", "n", "atlas", 5)]


def test_a_statement_leaves_out_what_only_changed_its_place() -> None:
    lines = ledger.statement(ALICE, entries())
    assert [line.key for line in lines] == ["mint", "hold", "pay", "back"]
    assert [line.balance for line in lines] == [
        Balance(30, 0),
        Balance(20, 10),
        Balance(24, 0),
        Balance(25, 0),
    ]
    assert lines[2].spent[0].micros == 6
    assert not ledger.statement("agent://bob", entries())
