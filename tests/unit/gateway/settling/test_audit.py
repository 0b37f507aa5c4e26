"""A ledger that adds up is told from one that does not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from gateway.settling.audit import ATTEMPTS_MAX, Audit, audit, found
from policy.judging import Writer
from policy.ledger import Entry, Hold, Posting
from policy.memory_store import MemoryStore
from policy.store import Capture, Commit, HoldCredit, Mint, StoreUnavailable

HOLDS = (HoldCredit("h", "alice", 30, 99.0), HoldCredit("i", "alice", 5, 99.0))


class Written(MemoryStore):
    """A store in which somebody writes whenever the holds are read."""

    def __init__(self, times: int) -> None:
        super().__init__(Writer("g"))
        self.times = times

    async def holds(self, prefix: str = "") -> Sequence[Hold]:
        found = await super().holds(prefix)
        if self.times:
            self.times -= 1
            change = HoldCredit(f"late-{self.times}", "alice", 1, 99.0)
            await self.commit(Commit(change.hold_id, 2.0, (change,)))
        return found


async def filled(store: MemoryStore) -> MemoryStore:
    await store.commit(Commit("m", 1.0, (Mint("alice", 100),)))
    await store.commit(Commit("h", 1.0, HOLDS))
    await store.commit(Commit("p", 1.0, (Capture("i", 4),)))
    return store


async def test_a_ledger_as_it_should_be_adds_up() -> None:
    """N-7.1: Σ of each transaction and of all accounts is 0, and held credit has its hold."""
    assert (await audit(MemoryStore(Writer("g")), 5.0)) == Audit(5.0, 0)
    looked = await audit(await filled(MemoryStore(Writer("g"))), 5.0)
    assert looked == Audit(5.0, 3)
    assert looked.is_balanced


async def test_what_does_not_add_up_is_told_by_how_much() -> None:
    store = await filled(MemoryStore(Writer("g")))
    entries, holds = list(await store.entries()), await store.holds()
    made = replace(entries[0], postings=(*entries[0].postings, Posting("available", 7, "alice")))
    assert found([made, *entries[1:]], holds, 5.0) == Audit(5.0, 3, 1, 7)
    assert found(entries, [], 5.0) == Audit(5.0, 3, held_micros=30)
    twice = [*holds, replace(holds[0], hold_id="j", agent="bob")]
    assert found(entries, twice, 5.0) == Audit(5.0, 3, held_micros=30)
    assert not any(found(made, holds, 5.0).is_balanced for made in ([made], entries[:1]))


async def test_a_fact_that_was_changed_by_hand_is_found() -> None:
    store = await filled(MemoryStore(Writer("g")))
    entry = store.memory.get("entry/m")
    assert isinstance(entry, Entry)
    store.memory.put("entry/m", replace(entry, postings=entry.postings[:1]))
    assert (await audit(store, 5.0)).difference_micros == -100


@pytest.mark.parametrize("times", [1, 2, ATTEMPTS_MAX])
async def test_while_others_write_it_is_read_again(times: int) -> None:
    """Or the holds would be those of another moment than the journal, and seem wrong."""
    looked = await audit(await filled(Written(times)), 5.0)
    assert looked == Audit(5.0, 3 + times)


async def test_when_others_write_all_the_time_holds_are_not_compared() -> None:
    looked = await audit(await filled(Written(99)), 5.0)
    assert looked.held_micros is None
    assert looked.is_balanced


async def test_a_difference_is_believed_when_it_is_found_again() -> None:
    """A hold that began and ended while the journal was read makes one that is gone at once."""

    class Passing(MemoryStore):
        reads = 0

        async def entries(self, since: float = 0.0) -> Sequence[Entry]:
            self.reads += 1
            found = list(await super().entries(since))
            passing = Entry("passing", 2.0, "g", (Posting("held", 5, "bob"), Posting("mint", -5)))
            return [*found, passing] if self.reads == 1 else found

    store = Passing(Writer("g"))
    assert await audit(await filled(store), 5.0) == Audit(5.0, 3)
    assert store.reads == 2


async def test_a_ledger_that_is_away_is_not_wrong() -> None:
    store = MemoryStore(Writer("g"))
    store.memory.is_away = True
    with pytest.raises(StoreUnavailable):
        await audit(store, 5.0)
