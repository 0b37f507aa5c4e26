"""Which resources there are, as far as a gateway can tell at once."""

from __future__ import annotations

import pytest

from gateway.known_resources import KnownResources
from policy.judging import Writer
from policy.memory_store import MemoryStore
from policy.store import Commit, Committed, Refused, SetResource, StoreUnavailable


async def written(known: KnownResources, store: MemoryStore, name: str, units: int) -> None:
    key = f"{name}:{units}"
    answer = await known.commit(store, Commit(key, 1.0, (SetResource(name, units),)))
    assert isinstance(answer, Committed)


async def test_nothing_is_known_before_the_ledger_was_read() -> None:
    known, store = KnownResources(), MemoryStore(Writer("g"))
    await written(known, store, "acme|gpu", 4)
    assert known.most_units("acme", "gpu") is None
    await known.read(store)
    assert known.most_units("acme", "gpu") == 4
    assert known.most_units("acme", "disk") == known.most_units("other", "gpu") == 0


async def test_what_an_operator_changes_is_known_at_once() -> None:
    known, store = KnownResources(), MemoryStore(Writer("g"))
    await known.read(store)
    for units in (4, 2, 0):
        await written(known, store, "acme|gpu", units)
        assert known.most_units("acme", "gpu") == units


async def test_a_resource_has_as_many_units_as_the_largest_of_its_parts() -> None:
    """An offer may name the part, and a call for the whole is then served by it."""
    known, store = KnownResources(), MemoryStore(Writer("g"))
    await known.read(store)
    for name, units in (("a|gpu/h100/x", 8), ("a|gpu/a100", 2), ("a|gpus", 9)):
        await written(known, store, name, units)
    asked = ("gpu", "gpu/h100", "gpu/a100", "gpu/h1", "gpus")
    assert [known.most_units("a", name) for name in asked] == [8, 8, 2, 0, 9]


async def test_nothing_is_known_any_more_when_a_change_may_have_happened() -> None:
    known, store = KnownResources(), MemoryStore(Writer("g"))
    await known.read(store)
    store.memory.is_away = True
    with pytest.raises(StoreUnavailable):
        await written(known, store, "acme|gpu", 4)
    assert known.most_units("acme", "gpu") is None


async def test_who_is_told_of_all_knows_those_and_no_others() -> None:
    known = KnownResources()
    known.note("acme|old", 9)
    known.learn({"acme|gpu/h100": 4, "acme|disk": 0})
    assert [known.most_units("acme", name) for name in ("gpu", "disk", "old")] == [4, 0, 0]
    known.note("acme|gpu/a100", 8)
    assert known.most_units("acme", "gpu") == 8


async def test_while_a_change_is_under_way_nothing_is_known() -> None:
    """Neither what was told before, nor what is told meanwhile: it may be older."""
    known, store = KnownResources(), MemoryStore(Writer("g"))
    known.learn({"acme|gpu": 4})
    seen = []

    class Watched(MemoryStore):
        async def commit(self, commit: Commit) -> Committed | Refused:
            known.learn({"acme|gpu": 5})
            seen.append(known.most_units("acme", "gpu"))
            return await super().commit(commit)

    await written(known, Watched(Writer("g"), store.memory), "acme|gpu", 6)
    assert seen == [None]
    assert known.most_units("acme", "gpu") == 6


async def test_who_is_told_of_changes_knows_again_after_one_of_unknown_fate() -> None:
    known, store = KnownResources(), MemoryStore(Writer("g"))
    known.learn({"acme|gpu": 4})
    store.memory.is_away = True
    with pytest.raises(StoreUnavailable):
        await written(known, store, "acme|gpu", 6)
    assert known.most_units("acme", "gpu") == 4
