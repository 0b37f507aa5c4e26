"""One award for each call: what goes into one transaction, and what is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from federation import award_log as module
from federation.award_log import LEASE_SHARE, AwardLog, Entry, call_key
from federation.etcd import (
    OPERATIONS_MAX,
    Committed,
    Compare,
    EtcdClient,
    EtcdError,
    EtcdNoLease,
    EtcdRefused,
    EtcdUnavailable,
    EtcdUncertain,
    Lease,
    Operation,
    Transaction,
)
from tests.support.etcd_store import EtcdStore

KEEP_SECONDS = 80
SHARE = KEEP_SECONDS // LEASE_SHARE


def entry(negotiation_id: str, gateway_id: str = "eu") -> Entry:
    return Entry(negotiation_id, gateway_id, b"{}")


class Etcd:
    """A client of a store in memory that fails as it is told to."""

    def __init__(self) -> None:
        self.clock = 100.0
        self.store = EtcdStore()
        self.granted: list[int] = []
        self.asked: list[list[str]] = []
        """The keys of each transaction."""
        self.faults: list[tuple[EtcdError, bool]] = []
        """What the next transactions end with, and whether they are done nevertheless."""
        self.is_open = asyncio.Event()
        self.is_open.set()
        self._news = asyncio.Event()

    async def grant(self, seconds: int) -> Lease:
        self.granted.append(seconds)
        return Lease(self.store.grant(seconds, self.clock), seconds)

    async def commit(self, compares: Sequence[Compare], then: Sequence[Operation]) -> Committed:
        branches = [cast(Transaction, branch) for branch in then]
        self.asked.append([cast(Any, branch.then[0]).key for branch in branches])
        self._news.set()
        await self.is_open.wait()
        fault, is_done = self.faults.pop(0) if self.faults else (None, True)
        if is_done:
            done = self.store.commit(Transaction(compares, then))
        if fault is not None:
            raise fault
        return done

    async def has_heard(self, number: int) -> None:
        """Wait until it was asked so often."""
        while len(self.asked) < number:
            self._news.clear()
            await self._news.wait()

    def at(self, key: str) -> Any:
        return self.store.pairs[f"llmx/awards/{key}"]


@pytest.fixture
def etcd(monkeypatch: pytest.MonkeyPatch) -> Etcd:
    monkeypatch.setattr(module, "RETRY_SECONDS_FIRST", 0.001)
    return Etcd()


def log_in(etcd: Etcd) -> AwardLog:
    return AwardLog(cast(EtcdClient, etcd), "llmx/awards/", KEEP_SECONDS, lambda: etcd.clock)


@asynccontextmanager
async def running(log: AwardLog) -> AsyncIterator[None]:
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(log.run())
        yield
        task.cancel()


def proposed(log: AwardLog, key: str, proposal: Entry) -> asyncio.Future[Entry]:
    """Propose an award; the future is the one that stands."""
    stands: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
    log.propose(key, proposal, stands.set_result)
    return stands


def test_a_call_has_one_key_wherever_it_comes_to_and_no_other_call_has_it() -> None:
    assert call_key("acme", "agent://alice", "m1") == "4916ea8915d1b11b05dadb4ae89242a8"
    others = [
        call_key("acme", "agent://alice", "m2"),
        call_key("acme", "agent://bob", "m1"),
        call_key("zoo", "agent://alice", "m1"),
        call_key("acme", "agent://alicem", "1"),
    ]
    assert len({call_key("acme", "agent://alice", "m1"), *others}) == 5


async def test_what_waits_together_goes_in_one_transaction(etcd: Etcd) -> None:
    log = log_in(etcd)
    waiting = [proposed(log, f"call-{number}", entry(f"eu.0.{number}")) for number in range(7)]
    async with running(log):
        assert await asyncio.gather(*waiting) == [entry(f"eu.0.{number}") for number in range(7)]
    assert (log.transactions, log.written, log.found) == (1, 7, 0)


async def test_no_transaction_takes_more_than_etcd_does(etcd: Etcd) -> None:
    log = log_in(etcd)
    count = OPERATIONS_MAX + 1
    waiting = [proposed(log, f"call-{number}", entry(f"eu.0.{number}")) for number in range(count)]
    async with running(log):
        await asyncio.gather(*waiting)
    assert sum(map(len, etcd.asked)) == count
    assert len(etcd.asked) == 2 and max(map(len, etcd.asked)) < OPERATIONS_MAX


async def test_an_award_that_etcd_will_never_take_is_told_and_holds_nobody_up(etcd: Etcd) -> None:
    log = log_in(etcd)
    etcd.faults = [(EtcdRefused("INVALID_ARGUMENT", "request is too large"), False)] * 2
    async with running(log):
        assert await proposed(log, "large", entry("eu.0.1")) == entry("eu.0.1")
        etcd.faults.clear()
        await proposed(log, "small", entry("eu.0.2"))
    assert "llmx/awards/large" not in etcd.store.pairs and etcd.at("small").version == 1


async def test_two_awards_of_one_call_never_share_a_transaction_and_the_first_one_stands(
    etcd: Etcd,
) -> None:
    """etcd refuses a transaction that writes a key twice, even in branches that exclude it."""
    log = log_in(etcd)
    first, second = proposed(log, "call", entry("eu.0.1")), proposed(log, "call", entry("eu.0.2"))
    async with running(log):
        assert await first == await second == entry("eu.0.1")
    assert all(len(keys) == 1 for keys in etcd.asked)
    assert (log.written, log.found) == (1, 1)


async def test_an_award_of_another_gateway_is_found_and_nothing_is_replaced(etcd: Etcd) -> None:
    async with running(ours := log_in(etcd)), running(theirs := log_in(etcd)):
        assert await proposed(theirs, "call", entry("us.0.1", "us")) == entry("us.0.1", "us")
        assert await proposed(ours, "call", entry("eu.0.1")) == entry("us.0.1", "us")
    assert etcd.at("call").version == 1
    assert (ours.found, theirs.written) == (1, 1)


@pytest.mark.parametrize("is_done", [True, False], ids=["done", "not done"])
async def test_a_write_whose_fate_is_unknown_is_tried_again_and_finds_itself(
    etcd: Etcd, is_done: bool
) -> None:
    log = log_in(etcd)
    etcd.faults = [(EtcdUncertain("DEADLINE_EXCEEDED", "no answer"), is_done)]
    async with running(log):
        assert await proposed(log, "call", entry("eu.0.1")) == entry("eu.0.1")
    assert len(etcd.asked) == 2
    assert etcd.at("call").version == 1
    assert (log.written, log.found) == (1, 0)


async def test_a_repeated_call_has_its_award_written_when_no_promise_is_to_be_kept(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another gateway may have told one unwritten, and is to be the first to write."""
    monkeypatch.setattr(module, "RETRY_SECONDS_FIRST", 0.001)
    ours, theirs = log_in(etcd), log_in(etcd)
    is_bound = True
    ours.is_bound = lambda: is_bound
    async with running(ours), running(theirs):
        stands: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        ours.propose("call", entry("eu.0.1"), stands.set_result, is_repeated=True)
        assert await proposed(ours, "another", entry("eu.0.2")) == entry("eu.0.2"), "not repeated"
        assert not stands.done() and ours.has_room
        told = entry("us.0.1", "us")
        assert await proposed(theirs, "call", told) == told
        is_bound = False
        assert await stands == told


async def test_a_promise_that_is_made_while_an_award_is_tried_again_is_kept(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS_FIRST", 0.001)
    log = log_in(etcd)
    bound = iter((False, True, True))
    log.is_bound = lambda: next(bound, False)
    etcd.faults = [(EtcdUncertain("DEADLINE_EXCEEDED", "no answer"), False)]
    async with running(log):
        stands: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        log.propose("call", entry("eu.0.1"), stands.set_result, is_repeated=True)
        assert await stands == entry("eu.0.1")
    assert next(bound, None) is None, "it was asked before each try"


async def test_one_fault_is_no_reason_to_tell_a_part_of_a_batch(etcd: Etcd) -> None:
    log = log_in(etcd)
    etcd.faults = [(EtcdUnavailable("UNAVAILABLE", "away"), False)] * 3
    waiting = [proposed(log, f"call-{number}", entry(f"eu.0.{number}")) for number in range(3)]
    async with running(log):
        await asyncio.gather(*waiting)
    assert [len(keys) for keys in etcd.asked] == [3, 3, 3, 3]


async def test_what_comes_while_etcd_is_busy_goes_together_in_the_next_transactions(
    etcd: Etcd,
) -> None:
    log = log_in(etcd)
    etcd.is_open.clear()
    async with running(log):
        first = proposed(log, "call-0", entry("eu.0.0"))
        await etcd.has_heard(1)
        rest = [proposed(log, f"call-{number}", entry(f"eu.0.{number}")) for number in range(1, 30)]
        await etcd.has_heard(2)
        assert not first.done()
        etcd.is_open.set()
        await asyncio.gather(first, *rest)
    assert [len(keys) for keys in etcd.asked] == [1, 29]


async def test_records_of_some_time_share_a_lease_that_outlives_them_all(etcd: Etcd) -> None:
    log = log_in(etcd)
    async with running(log):
        await proposed(log, "first", entry("eu.0.1"))
        etcd.clock += SHARE - 1
        await proposed(log, "second", entry("eu.0.2"))
        etcd.clock += 1
        await proposed(log, "third", entry("eu.0.3"))
    assert etcd.at("first").lease == etcd.at("second").lease != etcd.at("third").lease
    assert etcd.granted == [KEEP_SECONDS + SHARE] * 2


async def test_a_lease_that_was_lost_is_replaced(etcd: Etcd) -> None:
    """As when somebody has put an older copy of the data in the store's place."""
    log = log_in(etcd)
    async with running(log):
        await proposed(log, "first", entry("eu.0.1"))
        etcd.faults = [(EtcdNoLease("NOT_FOUND", "requested lease not found"), False)]
        await proposed(log, "second", entry("eu.0.2"))
    assert len(etcd.granted) == 2
    assert etcd.at("second").lease != etcd.at("first").lease


async def test_the_log_tells_how_it_is(etcd: Etcd) -> None:
    log = log_in(etcd)
    proposed(log, "call", entry("eu.0.1"))
    assert repr(log) == "<AwardLog: 1 queued, 0 written in 0 transactions, 0 found>"
    assert log.has_room
