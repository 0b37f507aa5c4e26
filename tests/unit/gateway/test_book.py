"""Commits are put together, judged again when somebody was faster, and never half done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count

import pytest
from structlog.testing import capture_logs

from gateway import book as module
from gateway.book import Book, Kept
from policy.facts import Fact, decode
from policy.judging import Writer
from policy.ledger import Balance
from policy.store import (
    Capture,
    Commit,
    HoldCredit,
    Mint,
    Release,
    StoreError,
    StoreUnavailable,
    StoreUncertain,
    Unlock,
)
from tests.support.store_scenes import ALICE, award, balanced, done, prepared, refused


class DictShelf:
    """A shelf whose swaps wait for the test, or fail as it says."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}
        self.revisions = count(1)
        self.swaps: list[tuple[Mapping[str, int], Mapping[str, bytes | None]]] = []
        self.read_keys: list[str] = []
        self.open = asyncio.Event()
        self.open.set()
        self.faults: list[StoreError | str] = []
        """What the next swaps do instead; "lost" does it and loses the answer."""
        self.is_fenced = False

    async def read(self, keys: Iterable[str]) -> Mapping[str, Kept]:
        wanted = list(keys)
        self.read_keys += wanted
        await asyncio.sleep(0)
        return {key: self.kept[key] for key in wanted if key in self.kept}

    async def under(self, prefix: str) -> Sequence[tuple[str, bytes, int]]:
        found = [(key, *kept) for key, kept in self.kept.items() if key.startswith(prefix)]
        return sorted(found, key=lambda one: one[2])

    async def swap(
        self, compared: Mapping[str, int], writes: Mapping[str, bytes | None], epoch: int = 0
    ) -> int | Mapping[str, Kept] | None:
        self.swaps.append((compared, writes))
        await self.open.wait()
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, StoreError):
            raise fault
        if self.is_fenced:
            return None
        if any(self.kept.get(key, (b"", 0))[1] != one for key, one in compared.items()):
            return {key: self.kept[key] for key in compared if key in self.kept}
        revision = next(self.revisions)
        for key, fact in writes.items():
            if fact is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = fact, revision
        if fault == "lost":
            raise StoreUncertain("the answer is lost")
        return revision

    def fact(self, key: str) -> Fact:
        return decode(self.kept[key][0])


@asynccontextmanager
async def running(shelf: DictShelf, name: str = "g1", **options: bool) -> AsyncIterator[Book]:
    book = Book(shelf, Writer(name, name, 10), retry_first=0.0, **options)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(book.run())
        yield book
        task.cancel()


async def started(shelf: DictShelf, swaps: int) -> None:
    """Wait until so many swaps were asked for."""
    async with asyncio.timeout(5):
        while len(shelf.swaps) < swaps:  # noqa: ASYNC110 - the next turn of the loop may do it
            await asyncio.sleep(0)


def hold(name: str, micros: int = 1, agent: str = ALICE) -> HoldCredit:
    return HoldCredit(name, agent, micros, 9e9)


async def test_the_usual_award_reads_nothing_and_writes_once() -> None:
    """N-8.6: the usual award touches the store once or less."""
    shelf = DictShelf()
    async with running(shelf) as book:
        await prepared(book)
        await done(book, "a", *award("one"))
        shelf.read_keys.clear()
        before = len(shelf.swaps)
        await done(book, "b", *award("two", micros=2))
        await done(book, "c", Capture("two/hold", 2))
        assert not shelf.read_keys
        assert len(shelf.swaps) - before == 2


async def test_what_touches_the_same_facts_shares_a_write_and_waits_for_the_one_under_way() -> None:
    shelf = DictShelf()
    async with running(shelf) as book:
        await prepared(book)
        shelf.open.clear()
        before = len(shelf.swaps)
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(done(book, "first", *award("first")))]
            await started(shelf, before + 1)
            asked += [tasks.create_task(done(book, f"a{i}", *award(f"a{i}"))) for i in range(3)]
            alone = tasks.create_task(done(book, "else", Mint("agent://zoe", 1)))
            await started(shelf, before + 2)
            assert "purse/agent://zoe@" in shelf.swaps[-1][1]
            assert repr(book).startswith("<Book: 3 waiting, 1 committed and 0 refused in 3")
            shelf.open.set()
        assert len(shelf.swaps) == before + 3
        numbers = [task.result().entry.number for task in asked]
        assert numbers == [0, 0, 1, 2]
        assert alone.result().is_first


async def test_a_commit_that_touches_what_two_bundles_do_makes_them_one() -> None:
    shelf = DictShelf()
    async with running(shelf) as book:
        before = len(shelf.swaps)
        await asyncio.gather(
            done(book, "a", Mint("agent://a", 1)),
            done(book, "b", Mint("agent://b", 1)),
            done(book, "ab", Mint("agent://a", 1), Mint("agent://b", 1)),
        )
        assert len(shelf.swaps) == before + 1


async def test_without_bundles_each_commit_is_written_alone() -> None:
    shelf = DictShelf()
    async with running(shelf, bundles=False) as book:
        await asyncio.gather(*(done(book, f"m{i}", Mint(ALICE, 1)) for i in range(4)))
        assert len(shelf.swaps) == 4


async def test_a_bundle_does_not_look_at_more_than_one_write_can_compare() -> None:
    shelf = DictShelf()
    async with running(shelf) as book:
        await done(book, "m", Mint(ALICE, 1_000))
        await done(book, "first", hold("first"))
        shelf.swaps.clear()
        answers = await asyncio.gather(*(done(book, f"h{i}", hold(f"h{i}")) for i in range(200)))
        assert len(answers) == 200
        assert max(len(compared) for compared, _ in shelf.swaps) <= module.KEYS_MAX
        assert len(shelf.swaps) < 10
        await balanced(book)


async def test_a_bundle_that_turns_out_too_wide_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FACTS_COMPARED_MAX", 7)
    shelf = DictShelf()
    async with running(shelf) as book:
        await prepared(book)
        await asyncio.gather(*(done(book, f"a{i}", *award(f"a{i}")) for i in range(4)))
        assert max(len(compared) for compared, _ in shelf.swaps) <= 7
        monkeypatch.setattr(module, "FACTS_COMPARED_MAX", 2)
        with pytest.raises(StoreUnavailable, match="cannot be compared"):
            await done(book, "b", *award("b"))
        monkeypatch.undo()
        monkeypatch.setattr(module, "BYTES_MAX", 1_000)
        before = len(shelf.swaps)
        await asyncio.gather(*(done(book, f"h{i}", hold(f"h{i}")) for i in range(10)))
        assert len(shelf.swaps) - before > 1
        monkeypatch.setattr(module, "BYTES_MAX", 1)
        await done(book, "m", Mint(ALICE, 1))


async def test_who_was_slower_judges_again_by_what_stands_then() -> None:
    """N-7.7: a refusal is verified too: what it was judged by must still stand."""
    shelf = DictShelf()
    async with running(shelf) as one, running(shelf, "g2") as two:
        await prepared(one, units=1)
        await done(one, "a", *award("one"))
        assert (await refused(two, "b", *award("two"))).code == "RESOURCE_GONE"
        await done(one, "u", Release("one/hold"), Unlock("h100", "one/lock"))
        await done(two, "c", *award("two"))
        assert two.conflicts >= 1
        assert (await refused(one, "d", *award("three"))).code == "RESOURCE_GONE"
        await balanced(one)


async def test_a_write_whose_answer_was_lost_is_found() -> None:
    """N-7.10: it is asked again with the same key, and happened once."""
    shelf = DictShelf()
    async with running(shelf) as book:
        await prepared(book)
        shelf.faults = ["lost"]
        answer = await done(book, "a", *award("call"))
        assert not answer.is_first
        assert await book.balance(ALICE) == Balance(90, 10)
        await balanced(book)


async def test_a_write_that_never_came_is_made_again() -> None:
    """N-7.10: and happens once."""
    shelf = DictShelf()
    async with running(shelf) as book:
        await prepared(book)
        shelf.faults = [StoreUncertain("timeout"), StoreUncertain("timeout")]
        assert (await done(book, "a", *award("call"))).is_first
        await balanced(book)


async def test_what_stays_in_doubt_is_said_to_be() -> None:
    """N-7.10: nobody is told that nothing happened while it may have."""
    shelf = DictShelf()
    async with running(shelf) as book:
        await prepared(book)
        shelf.faults = [StoreUncertain("timeout")] * (module.DOUBTS_MAX + 1)
        with pytest.raises(StoreUncertain):
            await done(book, "a", *award("call"))
        shelf.faults = ["lost", *[StoreUnavailable("away")] * module.DOUBTS_MAX]
        with pytest.raises(StoreUncertain):
            await done(book, "b", *award("call"))
        assert not (await done(book, "b", *award("call"))).is_first


async def test_who_is_fenced_off_after_a_doubt_is_in_doubt() -> None:
    """N-7.8: the write before the fence may have been done."""
    shelf = DictShelf()
    async with running(shelf) as book:
        await prepared(book)
        shelf.faults, shelf.is_fenced = [StoreUncertain("timeout")], True
        with pytest.raises(StoreUncertain, match="fenced"):
            await done(book, "a", *award("call"))
        assert len(shelf.swaps) == module.DOUBTS_MAX + 2
        with capture_logs() as logs:
            assert (await refused(book, "b", *award("call"))).code == "FENCED"
        assert logs[0]["event"] == "a commit was fenced off"


async def test_a_store_that_is_away_takes_nothing() -> None:
    shelf = DictShelf()
    async with running(shelf) as book:
        shelf.faults = [StoreUnavailable("away")]
        with pytest.raises(StoreUnavailable):
            await done(book, "a", Mint(ALICE, 1))
        await done(book, "a", Mint(ALICE, 1))


async def test_who_is_always_slower_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def somebody_else(
        compared: Mapping[str, int], writes: Mapping[str, bytes | None], epoch: int = 0
    ) -> Mapping[str, Kept]:
        return {}

    shelf = DictShelf()
    monkeypatch.setattr(shelf, "swap", somebody_else)
    async with running(shelf) as book:
        with pytest.raises(StoreUnavailable, match="faster"):
            await done(book, "a", Mint(ALICE, 1))


async def test_facts_that_never_fit_together_are_no_endless_loop() -> None:
    shelf = DictShelf()
    async with running(shelf) as book:
        await done(book, "m", Mint(ALICE, 10))
        await done(book, "h", hold("h"))
        del shelf.kept[f"purse/{ALICE}@g1"]
    async with running(shelf) as fresh:
        with pytest.raises(StoreUnavailable, match="fit together"):
            await done(fresh, "c", Capture("h", 1))


async def test_who_waits_when_it_ends_is_told() -> None:
    shelf = DictShelf()
    async with running(shelf) as book:
        await prepared(book)
        shelf.open.clear()
        before = len(shelf.swaps)
        under_way = asyncio.ensure_future(done(book, "a", *award("a")))  # noqa: TID251 - awaited below
        await started(shelf, before + 1)
        waiting = asyncio.ensure_future(done(book, "b", *award("b")))  # noqa: TID251 - awaited below
        await asyncio.sleep(0)
    with pytest.raises(StoreUncertain):
        await under_way
    with pytest.raises(StoreUnavailable):
        await waiting
    with pytest.raises(StoreUnavailable):
        await done(book, "c", Mint(ALICE, 1))


async def test_commits_of_another_epoch_do_not_share_a_write() -> None:
    shelf = DictShelf()
    async with running(shelf) as book:
        commits = [Commit(f"m{i}", 0.0, (Mint(ALICE, 1),), epoch=i // 2) for i in range(4)]
        await asyncio.gather(*(book.commit(commit) for commit in commits))
        assert len(shelf.swaps) == 2


async def test_facts_at_hand_are_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FACTS_MAX", 4)
    shelf = DictShelf()
    async with running(shelf) as book:
        for number in range(9):
            await done(book, f"m{number}", Mint(f"agent://{number}", 1))
        await done(book, "m", Mint("agent://0", 1))
        assert await book.balance("agent://0") == Balance(2, 0)


async def test_more_than_is_looked_at_at_once_waits_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SCANNED_MAX", 2)
    shelf = DictShelf()
    async with running(shelf) as book:
        await asyncio.gather(*(done(book, f"m{i}", Mint(ALICE, 1)) for i in range(9)))
        assert await book.balance(ALICE) == Balance(9, 0)
        monkeypatch.setattr(module, "WAITING_MAX", 0)
        with pytest.raises(StoreUnavailable):
            await done(book, "m", Mint(ALICE, 1))
