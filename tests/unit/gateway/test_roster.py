"""A gateway that starts again knows who registered, and what was taken back."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.consents import ConsentGrant
from tests.support.kept_parts import KeptParts, kept


async def rows(parts: KeptParts) -> int:
    await parts.settled()
    return int((await parts.store.read("SELECT count(*) FROM members"))[0][0])


def test_a_registration_comes_back_as_it_was(tmp_path: Path) -> None:
    grant = ConsentGrant("c", "agent://alice", frozenset({"gpu"}), frozenset({"/price"}), 99.5)

    async def before() -> None:
        async with kept(tmp_path / "s.db") as parts:
            bob = parts.join("bob", tenant="a|b", consent=False)
            bob.capabilities = frozenset({"propose", "confirm"})
            bob.tenant.listen(bob, ["gpu", "cpu"])
            bob.consents["c"] = grant
            parts.roster.note(bob)

    async def after() -> None:
        async with kept(tmp_path / "s.db") as parts:
            bob = parts.members.find("a|b|agent://bob|")
            assert bob is not None
            assert bob.capabilities == {"propose", "confirm"}
            assert bob.topics == {"gpu", "cpu"} and set(bob.tenant.topics) == {"gpu", "cpu"}
            assert bob.consents == {"c": grant}
            assert bob.stream is None and bob.away_since == parts.now and not bob.is_away

    asyncio.run(before())
    asyncio.run(after())


def test_only_a_change_is_written_and_who_is_forgotten_leaves_no_row(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            bob = parts.join("bob")
            parts.roster.note(bob)
            await parts.settled()
            commits = parts.store.commits
            parts.roster.note(bob)
            await parts.settled()
            assert parts.store.commits == commits
            bob.consents.clear()
            parts.roster.note(bob)
            assert await rows(parts) == 1
            parts.roster.forget(bob)
            parts.roster.forget(bob)
            assert await rows(parts) == 0

    asyncio.run(scene())


def test_what_a_full_disk_did_not_take_is_written_later(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            bob, carol = parts.join("bob"), parts.join("carol")
            await parts.store.read("PRAGMA max_page_count = 1")
            bob.capabilities = frozenset(f"capability-{number}" * 9 for number in range(99))
            parts.roster.note(bob)  # the disk refuses this one
            await parts.settled()
            parts.roster.note(carol)  # and is not asked for that one
            parts.roster.flush()
            await parts.empty_disk()
            parts.roster.flush()
            assert await rows(parts) == 2

    asyncio.run(scene())


def test_more_agents_than_there_is_room_for_are_counted(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as parts:
            for name in ("bob", "carol", "dave"):
                parts.roster.note(parts.join(name))

    async def after() -> int:
        async with kept(tmp_path / "s.db", agents_max=2) as parts:
            assert parts.members.count == 2
            return await parts.roster.restore(parts.members, parts.now)

    asyncio.run(before())
    assert asyncio.run(after()) == 1
