"""Commits that are asked for until their fate is known."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from gateway import certain_commits
from gateway.certain_commits import CertainCommits
from policy.judging import Writer
from policy.memory_store import MemoryStore
from policy.store import Burn, Commit, Committed, Mint, Refused

MINT = Commit("a", 1.0, (Mint("alice", 5),))
BURN = Commit("b", 1.0, (Burn("alice", 50),))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(Writer("g"))


async def test_a_commit_is_asked_for_again_while_the_store_is_away(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def back(seconds: float) -> None:
        store.memory.is_away = False

    monkeypatch.setattr(certain_commits.asyncio, "sleep", back)
    store.memory.is_away = True
    with capture_logs() as logs:
        assert isinstance(await CertainCommits(store, lambda: 1.0).commit(MINT), Committed)
    assert [line["event"] for line in logs] == ["the ledger cannot be written"]


async def test_a_commit_that_takes_too_long_is_nobodys_business_any_more(
    store: MemoryStore,
) -> None:
    store.memory.is_away = True
    assert await CertainCommits(store, lambda: 1.0).commit(MINT, until=1.0) is None


async def test_a_refusal_is_logged_with_what_it_is_about(store: MemoryStore) -> None:
    with capture_logs() as logs:
        answer = await CertainCommits(store, lambda: 1.0).award(BURN, until=9.0)
    assert isinstance(answer, Refused)
    assert logs == [
        {
            "event": "the ledger refuses an award",
            "log_level": "info",
            "key": "b",
            "code": "CREDIT_SHORT",
            "subject": "alice",
            "detail": "0.00005 credits are wanted, 0 available",
        }
    ]


async def test_what_is_owed_and_not_done_is_an_error(store: MemoryStore) -> None:
    commits = CertainCommits(store, lambda: 1.0)
    with capture_logs() as logs:
        await commits.owed(MINT)
        await commits.owed(BURN)
        store.memory.is_away = True
        await commits.owed(BURN, until=1.0)
    told = [line.get("reason") for line in logs if line["log_level"] == "error"]
    short = "CREDIT_SHORT: 0.00005 credits are wanted, 0.000005 available"
    assert told == [short, "it took too long"]
