"""What waits for agents that are away comes out whole, in order, and after a restart too."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.mailbox import Mailbox, MailboxLimits, Promise
from gateway.outbox import Parcel, Pushed
from gateway.store import Store
from gateway.store_file import open_store_file

BOB = "acme|agent://bob|"
CAROL = "acme|agent://carol|"
LIMITS = MailboxLimits(100, 100_000, 1_000, 1_000_000)


def parcel(
    msg_id: str, text: str = "", *, sender: str = "agent://alice", until: float = 60.0
) -> Parcel:
    return Parcel(msg_id, (text or f"the bytes of {msg_id}").encode(), until, sender, "", True, "")


@asynccontextmanager
async def kept(
    path: Path, limits: MailboxLimits = LIMITS, pages_max: int | None = None
) -> AsyncIterator[tuple[Mailbox, Store]]:
    connection = open_store_file(path)
    if pages_max is not None:
        connection.execute(f"PRAGMA max_page_count = {pages_max}")
    store = Store(connection, retry_first=0.02)
    store.start()
    mailbox = Mailbox(limits, store)
    await mailbox.restore()
    try:
        yield mailbox, store
    finally:
        await store.close()


async def texts(mailbox: Mailbox, owner: str = BOB, most: int = 100) -> list[bytes]:
    return [one.envelope for one in await mailbox.take(owner, most, 1_000_000)]


async def rows(store: Store) -> int:
    await store.committed()
    return int((await store.read("SELECT count(*) FROM parcels"))[0][0])


def test_without_a_store_messages_wait_in_memory() -> None:
    async def scene() -> None:
        mailbox = Mailbox(LIMITS, None)
        assert await mailbox.restore() == set()
        assert mailbox.keep(BOB, parcel("a")) is Pushed.QUEUED
        assert mailbox.keep(BOB, parcel("a")) is Pushed.REPEATED
        assert mailbox.keep(BOB, parcel("a", sender="agent://eve")) is Pushed.ID_TAKEN
        mailbox.save()
        (taken,) = await mailbox.take(BOB, 10, 1_000)
        assert taken.envelope == b"the bytes of a"
        assert taken.durable, "somebody has to hear of its acknowledgement"
        mailbox.settle(BOB, ["a"])
        assert len(mailbox.index) == 0
        assert "memory" in repr(mailbox)

    asyncio.run(scene())


def test_what_waits_is_written_and_read_again_in_its_order(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as (mailbox, store):
            for msg_id in ("a", "b", "c"):
                mailbox.keep(BOB, parcel(msg_id))
            mailbox.save()
            assert await rows(store) == 3
            entry = mailbox.index.find(BOB, "a")
            assert entry is not None
            assert entry.parcel.envelope == b"", "the bytes are on the disk and nowhere else"
            mailbox.keep(BOB, parcel("d"))
            assert await texts(mailbox) == [
                b"the bytes of " + one for one in (b"a", b"b", b"c", b"d")
            ]
            assert await rows(store) == 3, "the disk keeps them until they are acknowledged"
            mailbox.settle(BOB, ["a", "b", "c", "d"])
            assert await rows(store) == 0
            assert len(mailbox.index) == 0

    asyncio.run(scene())


def test_a_restart_finds_what_was_saved_in_order_and_with_all_that_was_known(
    tmp_path: Path,
) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as (mailbox, _):
            for msg_id in ("a", "b"):
                mailbox.keep(BOB, parcel(msg_id))
            mailbox.keep(CAROL, parcel("a"))
            mailbox.save()

    async def after() -> None:
        async with kept(tmp_path / "s.db") as (mailbox, _):
            assert mailbox.index.waiting(BOB) == 2
            assert mailbox.keep(BOB, parcel("a")) is Pushed.REPEATED
            mailbox.keep(BOB, parcel("c"))
            mailbox.save()
            taken = await mailbox.take(BOB, 10, 1_000)
            assert [one.msg_id for one in taken] == ["a", "b", "c"]
            first = parcel("a")
            assert (taken[0].envelope, taken[0].sender, taken[0].expires_at) == (
                first.envelope,
                first.sender,
                first.expires_at,
            )
            assert await texts(mailbox, CAROL) == [b"the bytes of a"]

    asyncio.run(before())
    asyncio.run(after())


def test_what_an_outbox_held_waits_in_front_also_after_a_restart(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as (mailbox, store):
            mailbox.keep(BOB, parcel("b"))
            mailbox.keep(BOB, parcel("d"))
            mailbox.save()
            await store.committed()
            (b,) = await mailbox.take(BOB, 1, 1_000)
            assert mailbox.put_back(BOB, [parcel("a"), b, parcel("c")]) == []
            mailbox.save()

    async def after() -> list[bytes]:
        async with kept(tmp_path / "s.db") as (mailbox, _):
            return await texts(mailbox)

    asyncio.run(before())
    assert asyncio.run(after()) == [b"the bytes of " + one for one in (b"a", b"b", b"c", b"d")]


def test_what_moves_while_it_is_written_is_found_where_it_belongs(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as (mailbox, store):
            mailbox.keep(BOB, parcel("b"))
            mailbox.keep(BOB, parcel("gone"))
            mailbox.save()
            taken = await mailbox.take(BOB, 2, 1_000)
            mailbox.settle(BOB, ["gone"])
            mailbox.put_back(BOB, [parcel("a"), taken[0]])
            mailbox.save()
            assert await rows(store) == 2

    async def after() -> list[bytes]:
        async with kept(tmp_path / "s.db") as (mailbox, _):
            return await texts(mailbox)

    asyncio.run(before())
    assert asyncio.run(after()) == [b"the bytes of a", b"the bytes of b"]


def test_what_finds_no_room_when_it_is_put_back_is_returned() -> None:
    mailbox = Mailbox(MailboxLimits(10, 1_000, 1, 1_000), None)
    homeless = mailbox.put_back(BOB, [parcel("a"), parcel("b")])
    assert [one.msg_id for one in homeless] == ["b"]
    assert mailbox.keep(BOB, parcel("c")) is Pushed.FULL


def promised(mailbox: Mailbox, one: Parcel, owner: str = BOB) -> Promise:
    promise = mailbox.promise(owner, one)
    assert isinstance(promise, Promise)
    return promise


def test_a_durable_message_is_on_disk_before_it_goes_on(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as (mailbox, store):
            promise = promised(mailbox, parcel("a"))
            assert mailbox.index.waiting(BOB) == 0
            store.write([mailbox.statement(promise)])
            assert await store.committed()
            assert mailbox.fulfil(promise, taken=True)
            assert promise.parcel.envelope == b"the bytes of a"
            assert promise.parcel.durable

    async def after() -> list[bytes]:
        async with kept(tmp_path / "s.db") as (mailbox, _):
            return await texts(mailbox)

    asyncio.run(before())
    assert asyncio.run(after()) == [b"the bytes of a"]


def test_a_durable_message_that_the_disk_refused_leaves_no_trace(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as (mailbox, store):
            promise = promised(mailbox, parcel("a"))
            assert mailbox.index.kept(BOB) == 1
            mailbox.renounce(promise)
            assert len(mailbox.index) == 0
            assert await rows(store) == 0

    asyncio.run(scene())


def test_a_durable_message_finds_the_same_bounds_and_repeats(tmp_path: Path) -> None:
    mailbox = Mailbox(MailboxLimits(1, 1_000, 10, 10_000), None)
    mailbox.keep(BOB, parcel("a"))
    assert mailbox.promise(BOB, parcel("a")) is Pushed.REPEATED
    assert mailbox.promise(BOB, parcel("b")) is Pushed.FULL


def test_of_two_with_one_id_under_way_the_second_is_deleted_again(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as (mailbox, store):
            first, second = (promised(mailbox, parcel("a")) for _ in range(2))
            store.write([mailbox.statement(first), mailbox.statement(second)])
            await store.committed()
            assert mailbox.fulfil(first, taken=False)
            assert not mailbox.fulfil(second, taken=False)
            assert await rows(store) == 1

    asyncio.run(scene())


def test_what_waited_too_long_is_returned_with_its_owner_and_deleted(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as (mailbox, store):
            mailbox.keep(BOB, parcel("a", until=5))
            mailbox.keep(BOB, parcel("b", until=9))
            mailbox.save()
            await store.committed()
            over: list[tuple[str, str, str]] = []
            mailbox.expire(6, lambda owner, one: over.append((owner, one.msg_id, one.sender)))
            assert over == [(BOB, "a", "agent://alice")]
            assert await rows(store) == 1

    asyncio.run(scene())


def test_what_is_unwanted_now_is_withheld(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as (mailbox, store):
            mailbox.keep(BOB, parcel("a"))
            mailbox.keep(BOB, parcel("b", sender="agent://eve"))
            mailbox.save()
            await store.committed()
            gone = mailbox.withhold(BOB, lambda one: one.sender == "agent://eve")
            assert [one.msg_id for one in gone] == ["b"]
            assert await rows(store) == 1
            assert [one.msg_id for one in mailbox.clear(BOB)] == ["a"]
            assert await rows(store) == 0

    asyncio.run(scene())


def test_what_may_be_sent_once_only_is_settled_when_it_is_taken(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as (mailbox, store):
            mailbox.keep(BOB, Parcel("a", b"a", 60, "agent://alice", "", False))
            mailbox.save()
            await store.committed()
            (taken,) = await mailbox.take(BOB, 10, 1_000)
            assert not taken.durable
            assert len(mailbox.index) == 0
            assert await rows(store) == 0

    asyncio.run(scene())


def test_a_full_disk_leaves_what_waits_in_memory_and_saves_it_later(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db", pages_max=20) as (mailbox, store):
            big = "x" * 90_000
            mailbox.keep(BOB, parcel("a", big))
            mailbox.save()
            assert not await store.committed()
            await asyncio.sleep(0)
            entry = mailbox.index.find(BOB, "a")
            assert entry is not None
            assert len(entry.parcel.envelope) == 90_000
            mailbox.save()  # not while the disk says no
            await store.read("PRAGMA max_page_count = 100000")
            while store.is_failing:
                await store.read("SELECT 1")
            mailbox.save()
            assert await rows(store) == 1
            assert await texts(mailbox) == [big.encode()]

    asyncio.run(scene())


def test_what_cannot_be_read_now_waits_on(tmp_path: Path) -> None:
    class Unreadable(Store):
        async def read(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
            raise sqlite3.OperationalError("disk I/O error")

    async def scene() -> None:
        async with kept(tmp_path / "s.db") as (mailbox, store):
            mailbox.keep(BOB, parcel("a"))
            mailbox.save()
            await store.committed()
            mailbox._store = Unreadable(sqlite3.connect(":memory:"))
            assert await mailbox.take(BOB, 10, 1_000) == []
            assert mailbox.index.waiting(BOB) == 1
            mailbox._store = store
            assert await texts(mailbox) == [b"the bytes of a"]

    asyncio.run(scene())


@pytest.mark.slow
def test_thousands_of_rows_are_restored_in_steps(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db", MailboxLimits(9_999, 9_999_999, 9_999, 9_999_999)) as (
            mailbox,
            store,
        ):
            for number in range(2_500):
                mailbox.keep(BOB, parcel(str(number)))
            while mailbox.unsaved:
                mailbox.save()
                await store.committed()

    async def after() -> list[Parcel]:
        async with kept(tmp_path / "s.db") as (mailbox, _):
            return await mailbox.take(BOB, 9_999, 9_999_999)

    asyncio.run(before())
    assert [one.msg_id for one in asyncio.run(after())] == [str(number) for number in range(2_500)]


def test_what_is_read_while_the_gateway_stops_is_saved(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as (mailbox, store):
            mailbox.keep(BOB, parcel("a"))
            mailbox.save()
            await store.committed()
            mailbox.keep(BOB, parcel("b"))
            async with asyncio.TaskGroup() as tasks:
                taking = tasks.create_task(mailbox.take(BOB, 10, 1_000))
                await asyncio.sleep(0)
                taking.cancel()
            assert mailbox.unsaved == 1
            mailbox.save()
            await store.committed()

    async def after() -> None:
        async with kept(tmp_path / "s.db") as (mailbox, _):
            assert await texts(mailbox) == [b"the bytes of a", b"the bytes of b"]

    asyncio.run(before())
    asyncio.run(after())
