"""What is long past is one entry, and no balance is another one for it."""

from __future__ import annotations

from policy import ledger
from policy.archive import ENTRIES_MAX, carrying
from policy.judging import Writer
from policy.ledger import Entry
from policy.memory_store import MemoryStore
from policy.store import (
    Capture,
    CarryForward,
    Decide,
    Decision,
    HoldCredit,
    Mint,
    Refund,
)
from tests.support.pure_book import PureBook
from tests.support.store_scenes import ALICE, award, balanced, done, prepared


def entry(key: str, at: float, *, is_carried: bool = False) -> Entry:
    return Entry(key, at, "g1", is_carried=is_carried)


async def test_all_balances_and_costs_stay_what_they_were() -> None:
    """N-7.1: the journal that was carried forward folds to the same balances."""
    store = MemoryStore(Writer("g1", "g1", 10))
    await prepared(store, micros=10_000, units=500)
    for number in range(100):
        await done(store, f"a{number}", *award(f"c{number}", micros=10), at=number / 10)
        await done(store, f"p{number}", Capture(f"c{number}/hold", 7), at=number / 10)
    await done(store, "r", Refund("p0", "c0/hold", 2), at=5.0)
    before = await store.entries()
    assert await store.carry_forward(9.0, 1_000.0) > 4
    after = await store.entries()
    assert len(after) < 35 + ENTRIES_MAX
    assert after[0].is_carried and after[0].at < 9.0
    there = {account: sum_ for account, sum_ in ledger.balances(before).items() if sum_}
    assert {a: sum_ for a, sum_ in ledger.balances(after).items() if sum_} == there
    assert ledger.totals(after) == ledger.totals(before)
    assert {(one.agent, one.resource, one.project) for one in ledger.attribution(after)} == {
        (ALICE, "h100", "atlas")
    }
    assert sum(cost.micros for cost in ledger.attribution(after)) == 698
    await balanced(store)
    assert await store.carry_forward(9.0, 1_000.0) == 0
    assert await store.decision("c89") is None
    assert await store.decision("c90") is not None


def test_what_is_carried_forward_is_carried_again_when_it_is_much() -> None:
    entries = [entry(str(number), 1.0, is_carried=True) for number in range(ENTRIES_MAX)]
    (commit,) = carrying(entries, [], 5.0, 9.0)
    assert commit.changes == (CarryForward(tuple(one.key for one in entries)),)
    assert not list(carrying(entries[1:], [], 5.0, 9.0))


def test_only_what_is_older_than_that_is_carried_forward() -> None:
    calls = [Decision("c1", "n", "g1", b"", 1.0), Decision("c2", "n", "g1", b"", 5.0)]
    commits = list(carrying([entry("a", 4.9), entry("b", 5.0)], calls, 5.0, 9.0))
    assert [commit.changes for commit in commits] == [(CarryForward(("a",), ("c1",)),)]
    assert len(commits[0].key) == len("carried:") + 32


def test_two_gateways_that_do_it_at_once_count_nothing_twice() -> None:
    """N-7.1: what another one has carried forward is not there any more."""
    book = PureBook(Mint("a", 10))
    book.done(HoldCredit("h", "a", 4, 9.0))
    book.done(Decide("c", "n"))
    first = book.done(CarryForward(("k1", "k2"), ("c",)))
    second = book.done(CarryForward(("k1", "k2"), ("c",)))
    assert first.is_carried
    assert not second.postings
    entries = [fact for fact in book.facts.values() if isinstance(fact, Entry)]
    assert ledger.totals(entries) == {
        "mint": -10,
        "available": 6,
        "held": 4,
        "market": 0,
        "burn": 0,
    }
    assert "call/c" not in book.facts


def test_what_was_refunded_is_forgotten_with_what_was_paid() -> None:
    """N-7.5: and cannot be refunded any more."""
    book = PureBook(Mint("a", 10))
    book.done(HoldCredit("h", "a", 4, 9.0))
    paid = book.done(Capture("h", 4))
    book.done(Refund(paid.key, "h", 1))
    carried = book.done(CarryForward(("k1", "k2", "k3", "k4")))
    assert [(spent.agent, spent.micros) for spent in carried.spent] == [("a", 3)]
    again = book.done(CarryForward((carried.key,)))
    assert (again.spent, again.postings) == (carried.spent, carried.postings)
    assert "refunded/h" not in book.facts
    assert book.code(Refund(paid.key, "h", 1)) == "REFUND_TOO_LARGE"


async def test_a_gateway_that_is_fenced_off_carries_nothing_forward() -> None:
    store = MemoryStore(Writer("g1"))
    await done(store, "m", Mint("a", 5))
    store.memory.epochs["g1"] = 7
    assert await store.carry_forward(9.0, 10.0) == 0
    assert [one.key for one in await store.entries()] == ["m"]


async def test_no_more_commits_are_made_than_was_asked_for() -> None:
    store = MemoryStore(Writer("g1", "g1", 10))
    await prepared(store, micros=10_000, units=500)
    for number in range(100):
        await done(store, f"a{number}", *award(f"c{number}", micros=10), at=number / 100)
    assert [await store.carry_forward(9.0, 1_000.0, 2) for _ in range(3)] == [2, 2, 0]
    await balanced(store)
