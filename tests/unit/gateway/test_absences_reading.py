"""Agents that come and go while the disk is read for them: nothing overtakes what is read."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.members import Member
from gateway.store import Store
from tests.support.gateway_parts import Parts, received
from tests.support.kept_parts import kept
from tests.unit.gateway.test_absences import back, gone, ids, refilled, say


def returns(parts: Parts, bob: Member) -> None:
    """Let its stream break and its session be resumed within the grace."""
    parts.absences.back(bob)


def leaves(parts: Parts, bob: Member) -> None:
    """Let it be away for longer than the grace."""
    gone(parts, bob)


def leaves_and_returns(parts: Parts, bob: Member) -> None:
    gone(parts, bob)
    back(parts, bob)


async def read(parts: Parts, bob: Member, meanwhile: Callable[[], None]) -> None:
    """Refill an outbox from the disk, and do something after it was asked."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(parts.absences.refill(bob))
        await asyncio.sleep(0)
        meanwhile()


@pytest.mark.parametrize("happens", [returns, leaves, leaves_and_returns])
def test_what_comes_while_the_disk_is_read_comes_behind_what_is_read(
    tmp_path: Path, happens: Callable[[Parts, Member], None]
) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "mailbox.sqlite", outbox_messages_max=8) as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            gone(parts, bob)
            say(parts, alice, bob, "abc")
            parts.mailbox.save()
            await parts.settled()
            back(parts, bob)
            await parts.absences.refill(bob)
            assert ids(received(bob, parts.now)) == ["a", "b"]
            bob.outbox.confirm(["a"], parts.now)

            def meanwhile() -> None:
                happens(parts, bob)
                say(parts, alice, bob, "e")

            await read(parts, bob, meanwhile)
            if bob.is_away:
                back(parts, bob)
            heard = await refilled(parts, bob)
            assert heard in (list("ce"), list("bce"))

    asyncio.run(scene())


def test_a_disk_that_cannot_be_read_is_asked_again_at_the_next_upkeep(tmp_path: Path) -> None:
    """Not at once, and for ever: each try is a line in the log and a turn of the loop."""
    asked = 0

    class Unreadable(Store):
        async def read(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
            nonlocal asked
            asked += 1
            raise sqlite3.OperationalError("disk I/O error")

    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            gone(parts, bob)
            say(parts, alice, bob, "a")
            parts.mailbox.save()
            await parts.settled()
            store, parts.mailbox._store = parts.store, Unreadable(sqlite3.connect(":memory:"))
            back(parts, bob)
            async with asyncio.TaskGroup() as tasks:
                refilling = tasks.create_task(parts.absences.run())
                for _ in range(10):
                    await asyncio.sleep(0)
                assert asked == 1
                parts.mailbox._store = store
                parts.absences.upkeep(parts.now)
                while not bob.outbox.has_queued:
                    await parts.settled()
                refilling.cancel()
            assert ids(received(bob)) == ["a"]

    asyncio.run(scene())
