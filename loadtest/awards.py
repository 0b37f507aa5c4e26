"""Measure awards that lock units and hold credit: how many a second, how long each takes.

    python -m loadtest.awards
    python -m loadtest.awards --quick
    python -m loadtest.awards --page docs/settlement.md

An award decides a call, locks a unit of one of 64 resources for an hour, and holds credit of one of
20 agents, in one commit; later it is ended: credit captured, unit unlocked. Callers ask one after
the other, each again as soon as it is answered. In `hot` all of them want the same resource with
the credit of the same agent. `alone` writes every award in a transaction of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from federation.etcd import EtcdClient
from federation.fact_log import FactLog
from gateway.book import Book
from gateway.book_etcd import EtcdShelf
from gateway.book_file import FileShelf
from gateway.store import Store
from gateway.store_file import open_store_file
from loadtest import reliability, report
from loadtest.clusters import local_etcd
from loadtest.etcd_members import three_members
from policy.judging import Writer
from policy.ledger import totals
from policy.store import (
    Capture,
    Change,
    Commit,
    Committed,
    Decide,
    HoldCredit,
    Lock,
    Mint,
    SetResource,
    Unlock,
)

MARK = "awards"
AGENTS = 20
RESOURCES = 64
HOUR = 3600.0
CREDIT = 1_000_000_000_000
PRICE = 1_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table."""

    store: str
    callers: int
    grouped: bool = True
    is_hot: bool = False

    @property
    def words(self) -> str:
        """Return how its awards are written."""
        return ("grouped" if self.grouped else "alone") + (", hot" if self.is_hot else "")


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured."""

    case: Case
    awards: int
    seconds: float
    cpu_seconds: float
    """Of this process: gateway and callers, without etcd."""
    latencies: Sequence[float]
    transactions: int
    """That were sent for the awards; 0 where nobody counts."""
    operations: int
    """Compares, puts and deletes in them."""

    @property
    def row(self) -> list[str]:
        """Return its line."""
        ordered = sorted(self.latencies)

        def at(share: float) -> str:
            return f"{1_000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]:.1f}"

        def per_thousand(count: int) -> str:
            return f"{1_000 * count / self.awards:,.0f}"

        return [
            self.case.store,
            str(self.case.callers),
            self.case.words,
            f"{self.awards / self.seconds:,.0f}",
            at(0.5),
            at(0.99),
            f"{1e6 * self.cpu_seconds / self.awards:,.0f}",
            per_thousand(self.transactions),
            per_thousand(self.operations) if self.operations else "–",
        ]


class Desk:
    """A book that is open, and how much it has written."""

    def __init__(self, book: Book, counts: Callable[[], tuple[int, int]]) -> None:
        """Take a book that runs; `counts` returns transactions and operations so far."""
        self.book = book
        self.counts = counts


Opened = Callable[[Case], AbstractAsyncContextManager[Desk]]


@asynccontextmanager
async def in_file(case: Case) -> AsyncIterator[Desk]:
    """Keep a book in a file that is flushed."""
    with tempfile.TemporaryDirectory(prefix="llmx-awards-") as folder:
        store = Store(open_store_file(Path(folder, "book.db")))
        store.start()
        try:
            shelf = FileShelf(store)
            await shelf.open()
            book = Book(shelf, Writer("g1"), bundles=case.grouped)
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(book.run())
                yield Desk(book, lambda: (store.commits, 0))
                running.cancel()
        finally:
            await store.close()


def in_etcd(endpoints: Sequence[str]) -> Opened:
    """Keep books in this etcd, each under a prefix of its own, with a registered writer."""

    @asynccontextmanager
    async def opened(case: Case) -> AsyncIterator[Desk]:
        async with EtcdClient(endpoints) as client:
            prefix = f"awards/{time.monotonic_ns()}/"
            registration = f"{prefix}gateway"
            epoch = await client.put(registration, b"g1")
            facts = FactLog(
                client, f"{prefix}facts/", registration, lambda: epoch, grouped=case.grouped
            )
            writer = Writer("g1", "g1", CREDIT // 100)
            book = Book(EtcdShelf(facts), writer, bundles=case.grouped)
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(facts.run()), tasks.create_task(book.run())]
                yield Desk(book, lambda: (facts.requests + facts.reads, facts.operations))
                for task in running:
                    task.cancel()

    return opened


def award(number: int, case: Case, at: float) -> Commit:
    """Return the award of the call of this number."""
    agent = f"agent://{0 if case.is_hot else number % AGENTS}"
    resource = f"gpu/{0 if case.is_hot else number % RESOURCES}"
    name = f"g1.0.{number}"
    changes: tuple[Change, ...] = (
        Decide(name, name, b'{"state":"committed","winners":["agent://bob"]}'),
        Lock(f"{name}/1", resource, 1, at, at + HOUR, "agent://bob", name),
        HoldCredit(f"{name}/1", agent, PRICE, at + HOUR, name, resource),
    )
    return Commit(f"award:{name}", at, changes)


def end(number: int, case: Case, at: float) -> Commit:
    """Return the end of the award: it is paid, and the unit is free."""
    resource = f"gpu/{0 if case.is_hot else number % RESOURCES}"
    name = f"g1.0.{number}"
    changes = (Capture(f"{name}/1", PRICE // 2), Unlock(resource, f"{name}/1"))
    return Commit(f"end:{name}", at, changes)


async def measure(case: Case, opened: Opened, awards: int) -> Figures:
    """Make so many awards, end them, and see that no credit was made or lost."""
    async with opened(case) as desk:
        at = time.time()
        for number in range(AGENTS):
            await _done(desk.book, Commit(f"m{number}", at, (Mint(f"agent://{number}", CREDIT),)))
        for number in range(RESOURCES):
            change = SetResource(f"gpu/{number}", 4_096)
            await _done(desk.book, Commit(f"r{number}", at, (change,)))
        for number in range(-AGENTS * RESOURCES, 0, 7):  # credit is at hand, as it usually is
            await _done(desk.book, award(number, case, at))
            await _done(desk.book, end(number, case, at))
        latencies: list[float] = []
        numbers = iter(range(awards))

        async def call() -> None:
            for number in numbers:
                began = time.perf_counter()
                await _done(desk.book, award(number, case, at))
                latencies.append(time.perf_counter() - began)

        transactions, operations = desk.counts()
        cpu, began = time.process_time(), time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(case.callers):
                tasks.create_task(call())
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        after = desk.counts()
        async with asyncio.TaskGroup() as tasks:
            for number in range(awards):
                tasks.create_task(_done(desk.book, end(number, case, at)))
        sums = totals(await desk.book.entries())
        assert sum(sums.values()) == 0 and sums["held"] == 0, "credit was made or lost"
    sent, did = after[0] - transactions, after[1] - operations
    return Figures(case, awards, seconds, cpu, latencies, sent, did)


async def _done(book: Book, commit: Commit) -> None:
    answer = await book.commit(commit)
    assert isinstance(answer, Committed), answer


def as_table(figures: Sequence[Figures], command: str, machine: dict[str, object]) -> str:
    """Return the table, and how to make it again."""
    head = [
        "store",
        "callers",
        "written",
        "awards/s",
        "p50 ms",
        "p99 ms",
        "CPU µs an award",
        "transactions per 1,000",
        "operations per 1,000",
    ]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(one.row) + " |" for one in figures]
    return reliability.taken_by(command, machine) + "\n\n" + "\n".join(lines) + "\n"


# In a file whatever waits shares a transaction anyway.
CASES = (
    (1, False, False),
    (64, False, False),
    (64, True, False),
    (512, True, False),
    (64, True, True),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure awards with resources and credit.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the awards")
    parser.add_argument("--page", type=Path, help="write the table into this page")
    options = parser.parse_args(arguments)
    awards = 400 if options.quick else 4_000
    machine = report.facts()
    figures: list[Figures] = []

    def run(store: str, opened: Opened) -> None:
        for callers, grouped, is_hot in CASES:
            if store == "SQLite" and callers > 1 and not grouped:
                continue
            case = Case(store, callers, grouped, is_hot)
            count = 1_000 if is_hot else awards
            figures.append(uvloop.run(measure(case, opened, min(count, awards))))
            print(" | ".join(figures[-1].row), flush=True)

    with tempfile.TemporaryDirectory(prefix="llmx-awards-") as name:
        folder = Path(name)
        run("SQLite", in_file)
        with local_etcd(folder) as etcd:
            run("etcd, 1 node", in_etcd([etcd.endpoint]))
        with three_members(folder) as endpoints:
            run("etcd, 3 nodes", in_etcd(endpoints))
    command = "python -m loadtest.awards" + " --quick" * options.quick
    text = as_table(figures, command, machine)
    print(f"\n{text}")
    if options.page is not None:
        reliability.refresh(options.page, MARK, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
