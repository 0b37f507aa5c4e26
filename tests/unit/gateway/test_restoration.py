"""What a gateway takes up when it starts, and what it says of the rest."""

from __future__ import annotations

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from gateway.mailbox import MailboxLimits
from gateway.members import NOBODY_YET, Member
from gateway.outbox import Parcel
from llmx.v1.envelope_pb2 import Act
from tests.support.gateway_parts import envelope
from tests.support.kept_parts import KeptParts, kept


def keep(parts: KeptParts, owner: str) -> None:
    parts.mailbox.keep(owner, Parcel("m1", b"hello", parts.now + 60, "agent://alice", "", True))
    parts.mailbox.save()


def test_what_waits_for_an_agent_that_never_registered_is_kept_for_it(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as parts:
            keep(parts, "a|b|agent://bob|")

    async def after() -> None:
        async with kept(tmp_path / "s.db") as parts:
            bob = parts.members.find("a|b|agent://bob|")
            assert isinstance(bob, Member) and bob.is_boxed and bob.tenant.name == "a|b"
            assert bob.generation == NOBODY_YET, "it may be at home at another gateway"

    asyncio.run(before())
    asyncio.run(after())


def test_who_finds_no_place_is_counted_and_its_negotiation_named(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, _ = parts.join("alice"), parts.join("bob")
            call = envelope(
                "alice", Act.ACT_CFP, "agent://bob", body={"reply_within": 5}, durable=True
            )
            await parts.send(alice, call)
            keep(parts, "acme|agent://carol|")

    async def after() -> None:
        with capture_logs() as lines:
            async with kept(tmp_path / "s.db", agents_max=1) as parts:
                assert len(parts.negotiations) == 0
        said = {line["event"] for line in lines if line["log_level"] == "error"}
        assert said == {
            "a durable negotiation could not be restored",
            "agents of the store found no place, see limits.agents_max",
        }

    asyncio.run(before())
    asyncio.run(after())


def test_more_negotiations_than_may_be_open_are_named(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, _ = parts.join("alice"), parts.join("bob")
            for number in range(4):
                call = envelope(
                    "alice", Act.ACT_CFP, "agent://bob", msg_id=f"c{number}", durable=True
                )
                call.payload = call.payload[:-1] + b',"reply_within":5}'
                await parts.send(alice, call)

    async def after() -> None:
        with capture_logs() as lines:
            async with kept(tmp_path / "s.db", open_max=2) as parts:
                assert len(parts.negotiations) == 2
        assert len([line for line in lines if line["log_level"] == "error"]) == 2

    asyncio.run(before())
    asyncio.run(after())


def test_a_full_mailbox_is_restored_whole(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as parts:
            keep(parts, "acme|agent://bob|")

    async def after() -> None:
        none = MailboxLimits(1, 1, 1, 1)
        async with kept(tmp_path / "s.db", mailbox=none) as parts:
            assert len(parts.mailbox.index) == 1

    asyncio.run(before())
    asyncio.run(after())
