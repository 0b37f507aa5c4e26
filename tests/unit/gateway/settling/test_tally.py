"""What a gateway counts of its commits."""

from __future__ import annotations

import pytest

from gateway.settling import tally as module
from gateway.settling.tally import WORDS, Tally
from policy.judging import Writer
from policy.memory_store import MemoryStore
from policy.store import (
    Burn,
    Capture,
    Change,
    Commit,
    HoldCredit,
    Lock,
    Mint,
    Refund,
    Release,
    SetResource,
    Unlock,
)


class Counted:
    """A store in memory with somebody who counts."""

    def __init__(self) -> None:
        self.store = MemoryStore(Writer("g"))
        self.tally = Tally()
        self.at = 1.0

    async def commit(self, key: str, *changes: Change) -> None:
        commit = Commit(key, self.at, changes)
        self.tally.note(commit, await self.store.commit(commit))


def hold(name: str, micros: int) -> HoldCredit:
    return HoldCredit(name, "alice", micros, 99.0)


async def test_credit_that_is_moved_is_counted_by_how() -> None:
    here = Counted()
    await here.commit("mint", Mint("alice", 100))
    await here.commit("two", hold("h", 30), hold("i", 20))
    await here.commit("paid", Capture("h", 25))
    await here.commit("back", Release("i"))
    await here.commit("refund", Refund("paid", "h", 5))
    await here.commit("burn", Burn("alice", 10))
    await here.commit("at once", hold("j", 7), Capture("j", 7))
    assert here.tally.moved_micros == {
        "minted": 100,
        "held": 57,
        "released": 25,
        "paid": 32,
        "refunded": 5,
        "burned": 10,
    }
    assert here.tally.changes == {
        "mint": 1,
        "hold": 3,
        "capture": 2,
        "release": 1,
        "refund": 1,
        "burn": 1,
    }


async def test_a_commit_that_is_repeated_counts_once_and_a_refusal_by_its_code() -> None:
    here = Counted()
    for _ in range(2):
        await here.commit("mint", Mint("alice", 100))
    await here.commit("short", hold("h", 101))
    await here.commit("void")
    assert here.tally.changes == {"mint": 1}
    assert here.tally.refused == {"CREDIT_SHORT": 1}
    assert here.tally.voids == 1
    assert here.tally.moved_micros["minted"] == 100


async def test_what_is_carried_forward_is_not_moved_again() -> None:
    here = Counted()
    await here.commit("mint", Mint("alice", 100))
    (entry,) = await here.store.entries()
    await here.commit("carried", module.CarryForward((entry.key,)))
    assert here.tally.moved_micros["minted"] == 100
    assert here.tally.changes["carry"] == 1


async def test_locks_are_open_until_they_are_taken_off_or_their_time_is_over() -> None:
    here = Counted()
    await here.commit("r", SetResource("gpu", 8))
    await here.commit("l", Lock("l", "gpu", 1, 1.0, 5.0), Lock("m", "gpu", 1, 1.0, 9.0))
    await here.commit("soft", Lock("s", "gpu", 1, 1.0, 9.0, soft_until=3.0))
    assert (here.tally.locks_open(1.0), here.tally.fencing) == (2, 2)
    assert here.tally.changes["soft_hold"] == 1
    assert here.tally.locks_open(5.0) == 1
    assert here.tally.locks_open(1.0) == 2, "who asks changes nothing: it is another thread"
    await here.commit("u", Unlock("gpu", "m"), Unlock("gpu", "never"))
    assert here.tally.locks_open(5.0) == 0


async def test_of_more_locks_than_are_remembered_the_oldest_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LOCKS_MAX", 2)
    here = Counted()
    await here.commit("r", SetResource("gpu", 8))
    for name in "abc":
        await here.commit(name, Lock(name, "gpu", 1, 1.0, 5.0))
    assert here.tally.locks_open(1.0) == 2


def test_every_change_has_a_word_of_its_own() -> None:
    assert set(WORDS) == set(Change.__args__)
    assert len({*WORDS.values(), "soft_hold"}) == len(WORDS) + 1
