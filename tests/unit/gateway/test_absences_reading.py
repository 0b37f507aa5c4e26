"""Agents that come and go while the disk is read for them: nothing overtakes what is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.members import Member
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
