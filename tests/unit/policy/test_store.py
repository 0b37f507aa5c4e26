"""The words of a store: what is asked of it, and what it answers."""

from __future__ import annotations

import typing

import msgspec

from policy.judging import Writer
from policy.memory_store import MemoryStore
from policy.store import (
    Change,
    Code,
    Commit,
    Decide,
    HoldCredit,
    Lock,
    Store,
    StoreError,
    StoreUnavailable,
    StoreUncertain,
)


def test_whoever_asks_sees_a_store_whichever_it_is() -> None:
    store: Store = MemoryStore(Writer("g1"))
    assert all(hasattr(store, name) for name in vars(Store) if not name.startswith("_"))


def test_what_is_asked_is_a_value() -> None:
    """It can be kept, compared, and asked again."""
    changes = (Decide("c", "n"), Lock("l", "r", 1, 0.0, 1.0), HoldCredit("h", "a", 1, 9.0))
    commit = Commit("k", 0.0, changes)
    assert commit == msgspec.structs.replace(commit)
    assert hash(commit)


def test_every_change_and_every_code_has_a_word() -> None:
    assert len(typing.get_args(Change)) == 15
    assert {"RESOURCE_GONE", "BUDGET_EXHAUSTED", "FENCED"} <= set(typing.get_args(Code))


def test_an_error_says_whether_something_may_have_been_written() -> None:
    """N-7.10: who does not know has to ask again with the same key."""
    assert issubclass(StoreUnavailable, StoreError)
    assert issubclass(StoreUncertain, StoreError)
    assert not issubclass(StoreUncertain, StoreUnavailable)
