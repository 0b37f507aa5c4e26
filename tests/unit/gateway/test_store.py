"""What is reported as committed is on disk; what cannot be is said; nothing crashes."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.store import Statement, Store
from gateway.store_file import open_store_file

COUNT = "SELECT count(*) FROM admitted"
FAT = "INSERT INTO parcels VALUES (?, 'o', 0, x'', zeroblob(100000))"


def insert(key: str) -> Statement:
    return ("INSERT INTO admitted (key, opened, at) VALUES (?, '', 0)", (key,))


@asynccontextmanager
async def opened(
    path: Path,
    *,
    pages_max: int | None = None,
    statements_max: int = 1_000,
    file_bytes_max: int | None = None,
) -> AsyncIterator[tuple[Store, sqlite3.Connection]]:
    """Run a store; `pages_max` makes a disk that is full beyond them."""
    connection = open_store_file(path)
    if pages_max is not None:
        connection.execute(f"PRAGMA max_page_count = {pages_max}")
    store = Store(
        connection,
        statements_max=statements_max,
        file_bytes_max=file_bytes_max,
        retry_first=0.02,
    )
    store.start()
    try:
        yield store, connection
    finally:
        await store.close()


def is_available(store: Store) -> bool:
    """Ask the store anew, whatever it said before."""
    return store.is_available


def has_room(store: Store) -> bool:
    return store.has_room


def is_failing(store: Store) -> bool:
    return store.is_failing


async def outcome(store: Store, *statements: Statement, keep: bool = False) -> bool:
    """Write one batch and return what becomes of it."""
    heard: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    store.write(statements, heard.set_result, keep=keep)
    return await heard


def test_what_is_committed_is_found_by_the_next_gateway(tmp_path: Path) -> None:
    async def first() -> None:
        async with opened(tmp_path / "s.db") as (store, _):
            store.write([insert("a"), insert("b")])
            assert await store.committed()
            assert store.commits >= 1
            assert store.commit_seconds > 0
            assert store.used_bytes > 0
            assert "working" in repr(store)

    async def second() -> list[tuple[object, ...]]:
        async with opened(tmp_path / "s.db") as (store, _):
            return await store.read("SELECT key FROM admitted ORDER BY key")

    asyncio.run(first())
    assert asyncio.run(second()) == [("a",), ("b",)]


def test_many_batches_share_few_commits_and_are_answered_in_their_order(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path / "s.db") as (store, _):
            order: list[int] = []
            for number in range(500):
                store.write([insert(str(number))], lambda _, n=number: order.append(n))  # type: ignore[misc]
            assert await store.committed()
            assert order == list(range(500))
            assert store.commits < 50
            assert await store.read(COUNT) == [(500,)]

    asyncio.run(scene())


def test_what_was_queued_is_written_before_the_store_closes(tmp_path: Path) -> None:
    async def scene() -> list[bool]:
        heard: list[bool] = []
        async with opened(tmp_path / "s.db") as (store, _):
            for number in range(100):
                store.write([insert(str(number))], heard.append)
        return heard

    assert asyncio.run(scene()) == [True] * 100


def test_a_batch_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path / "s.db") as (store, _):
            assert not await outcome(store, insert("a"), ("INSERT INTO nowhere VALUES (1)", ()))
            assert await store.read(COUNT) == [(0,)]

    asyncio.run(scene())


def test_a_full_disk_refuses_what_may_be_refused_and_keeps_the_rest_for_later(
    tmp_path: Path,
) -> None:
    """The gateway lives on, and what it had promised is written when there is room again."""

    async def scene() -> None:
        async with opened(tmp_path / "s.db", pages_max=40) as (store, connection):
            assert await outcome(store, insert("small"))
            with capture_logs() as lines:
                promised = asyncio.ensure_future(  # noqa: TID251 - awaited below, in this test
                    outcome(store, (FAT, (1,)), (FAT, (2,)), keep=True)
                )
                await asyncio.sleep(0)
                assert not await outcome(store, (FAT, (3,)))
                assert is_failing(store)
                assert not is_available(store)
                assert "failing" in repr(store)
                assert not await outcome(store, insert("refused at once"))
                assert not await store.committed()
                assert not promised.done()
                assert await store.read(COUNT) == [(1,)]
                connection.execute("PRAGMA max_page_count = 100000")  # somebody made room
                assert await promised
            assert is_available(store)
            assert store.failures >= 1
            assert [line["log_level"] for line in lines] == ["error", "warning"]
            assert await outcome(store, insert("works again"))
            assert await store.read("SELECT id FROM parcels ORDER BY id") == [(1,), (2,)]

    asyncio.run(scene())


def test_a_store_that_owes_nothing_notices_that_the_disk_works_again(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path / "s.db", pages_max=25) as (store, connection):
            assert not await outcome(store, (FAT, (1,)))
            assert is_failing(store)
            connection.execute("PRAGMA max_page_count = 100000")
            while is_failing(store):
                await store.read(COUNT)
            assert await outcome(store, (FAT, (1,)))

    asyncio.run(scene())


def test_what_a_full_disk_never_took_is_told_when_the_store_closes(tmp_path: Path) -> None:
    async def scene() -> list[bool]:
        heard: list[bool] = []
        async with opened(tmp_path / "s.db", pages_max=25) as (store, _):
            store.write([(FAT, (1,))], heard.append)
            assert not await store.committed()
            assert heard == []
        return heard

    assert asyncio.run(scene()) == [False]


def test_above_its_bound_the_store_takes_nothing_new_and_writes_what_it_owes(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        async with opened(tmp_path / "s.db", file_bytes_max=80_000) as (store, _):
            assert is_available(store)
            assert await outcome(store, (FAT, (1,)))
            assert not is_available(store)
            assert not is_failing(store)
            assert await outcome(store, ("DELETE FROM parcels", ()))
            assert is_available(store)

    asyncio.run(scene())


def test_a_full_store_is_told_once_and_so_is_its_recovery(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path / "s.db", file_bytes_max=80_000) as (store, _):
            assert await outcome(store, (FAT, (1,)))
            assert await outcome(store, insert("a"))
            assert await outcome(store, ("DELETE FROM parcels", ()))
            assert await outcome(store, insert("b"))

    with capture_logs() as lines:
        asyncio.run(scene())
    told = [line for line in lines if "file_bytes_max" in line]
    assert [line["event"] for line in told] == [
        "the store is full; durable messages are refused until it has room",
        "the store has room again",
    ]
    assert told[0]["used_bytes"] >= told[0]["file_bytes_max"] == 80_000 > told[1]["used_bytes"]


def test_who_writes_more_than_may_be_queued_waits_for_room(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path / "s.db", statements_max=10) as (store, _):
            assert has_room(store)
            store.write([insert(str(number)) for number in range(11)])
            assert not has_room(store)
            await store.room()
            assert has_room(store)
            assert await store.read(COUNT) == [(11,)]

    asyncio.run(scene())


def test_a_query_that_cannot_be_answered_raises_where_it_was_asked(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path / "s.db") as (store, _):
            with pytest.raises(sqlite3.OperationalError):
                await store.read("SELECT * FROM nowhere")
            assert await store.read(COUNT) == [(0,)]

    asyncio.run(scene())


@pytest.mark.slow
def test_everything_reported_as_committed_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.store_writer", str(path)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        reported = {int(process.stdout.readline()) for _ in range(300)}
        process.kill()
        reported |= {int(line) for line in process.stdout.read().splitlines(keepends=True) if line}
    connection = open_store_file(path)
    found = {key for (key,) in connection.execute("SELECT key FROM admitted")}
    connection.close()
    assert {str(number) for number in reported} <= found
    # Together or not at all: no number is there without its twin.
    numbers = {key for key in found if key.isdigit()}
    assert found == numbers | {f"twin of {number}" for number in numbers}


def test_work_in_a_transaction_sees_what_came_before_it_and_may_write(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path / "store.db") as (store, _):
            found: list[int] = []
            heard: list[bool] = []

            def work(connection: sqlite3.Connection) -> None:
                found.append(connection.execute(COUNT).fetchone()[0])
                connection.execute(*insert("second"))

            store.write([insert("first")])
            store.work(work, heard.append)
            assert await store.committed()
            assert (found, heard) == ([1], [True])
            assert await store.read(COUNT) == [(2,)]

    asyncio.run(scene())


def test_work_that_the_disk_fails_in_leaves_nothing_and_hears_so(tmp_path: Path) -> None:
    async def scene() -> None:
        async with opened(tmp_path / "store.db") as (store, _):
            heard: list[bool] = []

            def work(connection: sqlite3.Connection) -> None:
                connection.execute(*insert("lost"))
                raise sqlite3.OperationalError("disk I/O error")

            with capture_logs():
                store.work(work, heard.append)
                assert not await store.committed()
            assert heard == [False]
            assert await store.read(COUNT) == [(0,)]

    asyncio.run(scene())
