"""A durable message is on disk first, then delivered; what the disk refuses was never there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from gateway.mailbox import MailboxLimits
from gateway.members import Member
from llmx.v1.envelope_pb2 import Act, Envelope, ReceiptRequest
from tests.support.gateway_parts import Recording, envelope, received, stream_of
from tests.support.kept_parts import KeptParts, kept


def letter(msg_id: str = "m1", *to: str, **fields: object) -> Envelope:
    given = {"msg_id": msg_id, "durable": True, **fields}
    return envelope("alice", Act.ACT_MESSAGE, *(to or ("agent://bob",)), **given)  # type: ignore[arg-type]


def big(msg_id: str) -> Envelope:
    return letter(msg_id, body={"text": "x" * 7_500})


def ids(found: list[Envelope]) -> list[str]:
    return [one.msg_id for one in found]


async def rows(parts: KeptParts) -> int:
    await parts.settled()
    return int((await parts.store.read("SELECT count(*) FROM parcels"))[0][0])


def acknowledge(parts: KeptParts, member: Member) -> list[str]:
    heard = ids(received(member))
    member.outbox.confirm(heard, parts.now)
    parts.router.delivered(member)
    return heard


def test_it_is_delivered_after_the_commit_and_kept_until_acknowledged(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            assert parts.admit(alice, letter()), "the stream may read on"
            assert len(bob.outbox) == 0, "not before it is on disk"
            assert len(alice.owed) == 1
            await alice.settled()
            assert len(bob.outbox) == 1 and await rows(parts) == 1
            assert parts.metrics.admitted == 1
            assert acknowledge(parts, bob) == ["m1"]
            assert await rows(parts) == 0 and len(parts.mailbox.index) == 0

    asyncio.run(scene())


def test_messages_of_one_frame_share_a_commit_and_keep_their_order(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            plain = letter("m3", durable=False)
            commits = parts.store.commits
            await parts.send(alice, letter("m1"), letter("m2"), plain, letter("m4"))
            assert acknowledge(parts, bob) == ["m1", "m2", "m3", "m4"]
            assert parts.store.commits - commits <= 3

    asyncio.run(scene())


def test_a_repeat_is_a_duplicate_also_for_the_next_gateway(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            await parts.send(alice, letter())
            await parts.send(alice, letter())
            assert stream_of(alice).codes() == ["DUPLICATE"]
            acknowledge(parts, bob)

    async def after() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            await parts.send(alice, letter())
            assert stream_of(alice).codes() == ["DUPLICATE"]
            assert acknowledge(parts, bob) == []
            parts.durability.forget_old(parts.now + 61, parts.negotiations.is_known)
            await parts.settled()
            assert await parts.store.read("SELECT * FROM admitted") == []

    asyncio.run(before())
    asyncio.run(after())


def test_what_the_disk_refuses_is_refused_and_was_never_there(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            await parts.store.read("PRAGMA max_page_count = 1")
            asks = big("m1")
            asks.receipt = ReceiptRequest.RECEIPT_REQUEST_ADMITTED
            await parts.send(alice, asks)
            assert stream_of(alice).codes() == ["STORE_UNAVAILABLE"]
            assert alice.receipts_due == []
            assert len(bob.outbox) == 0 and len(parts.mailbox.index) == 0
            await parts.send(alice, letter("m2"))
            assert stream_of(alice).codes() == ["STORE_UNAVAILABLE"] * 2, "and nobody waits"
            await parts.send(alice, letter("m3", durable=False))
            assert acknowledge(parts, bob) == ["m3"], "everything else goes on"
            await parts.empty_disk()
            await parts.send(alice, asks)
            assert acknowledge(parts, bob) == ["m1"], "the same id may be used again"

    asyncio.run(scene())


def test_a_repeat_is_no_duplicate_before_the_disk_has_the_first_copy(tmp_path: Path) -> None:
    """DUPLICATE says that it was admitted, and until then the disk may refuse it."""

    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            assert parts.admit(alice, letter())
            assert not parts.admit(alice, letter()), "the stream waits with it"
            assert stream_of(alice).codes() == []
            await parts.send(alice, letter())
            assert stream_of(alice).codes() == ["DUPLICATE"]
            assert acknowledge(parts, bob) == ["m1"]

    asyncio.run(scene())


def test_what_the_disk_refuses_after_its_stream_broke_is_not_refused_but_comes_again(
    tmp_path: Path,
) -> None:
    """Its batch was not confirmed, so the agent sends it on its next stream."""

    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            await parts.store.read("PRAGMA max_page_count = 1")
            parts.admit(alice, big("m1"))
            link = alice.link
            assert link is not None
            alice.stream = Recording(link)
            await alice.settled()
            assert stream_of(alice).codes() == []
            await parts.empty_disk()
            await parts.send(alice, big("m1"))
            assert acknowledge(parts, bob) == ["m1"]

    asyncio.run(scene())


def test_bounds_answer_the_sender_before_anything_is_written(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob, carol = parts.join("alice"), parts.join("bob"), parts.join("carol")
            mallory = parts.join("mallory")
            for number in range(100):
                await parts.send(alice, letter(f"m{number}"))
            await parts.send(alice, letter("one too many"[:3]))
            assert stream_of(alice).codes() == ["RECIPIENT_OVERLOADED"]
            await parts.send(alice, letter("both", "agent://bob", "agent://carol"))
            assert ids(received(carol)) == ["both"]
            (failure,) = received(alice)
            assert json.loads(failure.payload)["reason"] == "recipient_overloaded"
            other = envelope("mallory", Act.ACT_MESSAGE, "agent://bob", msg_id="m1", durable=True)
            await parts.send(mallory, other)
            assert stream_of(mallory).codes() == ["DUPLICATE"]
            assert await rows(parts) == 101
            assert len(acknowledge(parts, bob)) == 100

    asyncio.run(scene())


def test_for_an_agent_that_is_away_it_waits_and_survives(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            parts.roster.note(bob)
            parts.members.part(bob, parts.now)
            parts.absences.leave(bob)
            await parts.send(alice, letter("a"), letter("b"))
            assert len(bob.outbox) == 0
            assert parts.mailbox.index.waiting(bob.key) == 2

    async def after() -> None:
        async with kept(tmp_path / "s.db") as parts:
            bob = parts.join("bob")
            parts.members.arrive(bob)
            parts.absences.back(bob)
            await parts.absences.refill(bob)
            assert acknowledge(parts, bob) == ["a", "b"]

    asyncio.run(before())
    asyncio.run(after())


def test_an_outbox_that_is_full_when_the_disk_answers_leaves_it_in_the_mailbox(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db", outbox_messages_max=1) as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            await parts.send(alice, letter("a", durable=False), letter("b"))
            assert bob.is_boxed and parts.mailbox.index.waiting(bob.key) == 1
            bob.outbox.confirm(ids(received(bob)), parts.now)
            await parts.absences.refill(bob)
            assert acknowledge(parts, bob) == ["b"]

    asyncio.run(scene())


def test_an_id_that_the_outbox_knows_already_is_not_delivered_twice(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob, eve = parts.join("alice"), parts.join("bob"), parts.join("eve")
            await parts.send(alice, letter("a", durable=False))
            parts.members.duplicates.forget(alice.key + "a")  # so long ago
            await parts.send(alice, letter("a"))
            await parts.send(
                eve, envelope("eve", Act.ACT_MESSAGE, "agent://bob", msg_id="a", durable=True)
            )
            assert await rows(parts) == 1, "the failure that eve is told"
            (failure,) = received(eve)
            assert json.loads(failure.payload)["reason"] == "msg_id_taken"
            assert ids(received(bob)) == ["a"]

    asyncio.run(scene())


def test_that_a_durable_message_failed_is_durable_too(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            parts.roster.note(alice)
            short = letter()
            short.scope.ttl.FromSeconds(5)
            await parts.send(alice, short)
            parts.router.undelivered(bob, bob.outbox.expire(parts.now + 5), "expired")
            assert await rows(parts) == 1

    async def after() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice = parts.join("alice")
            parts.absences.back(alice)
            await parts.absences.refill(alice)
            (failure,) = received(alice)
            assert json.loads(failure.payload)["reason"] == "expired"

    asyncio.run(before())
    asyncio.run(after())


def test_what_is_sent_at_most_once_needs_no_disk(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            await parts.send(alice, letter(quality_of_service=1))
            assert ids(received(bob)) == ["m1"]
            assert await rows(parts) == 0

    asyncio.run(scene())


def test_of_too_many_ids_the_oldest_are_forgotten(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, _ = parts.join("alice"), parts.join("bob")
            for second in range(3):
                parts.now += 1
                await parts.send(alice, *(letter(f"m{second}{number}") for number in range(3)))
                parts.durability.forget_old(parts.now + 0.5, parts.negotiations.is_known)
            await parts.settled()
            found = await parts.store.read("SELECT key FROM admitted ORDER BY key")
            assert [key[-3:] for (key,) in found] == ["m20", "m21", "m22"]

    asyncio.run(scene())


def test_old_ids_are_forgotten_again_and_again(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            parts.durability._remember_seconds = 0.0
            async with asyncio.TaskGroup() as tasks:
                purge = tasks.create_task(parts.durability.purge(parts.negotiations.is_known))
                await asyncio.sleep(0)
                purge.cancel()
            await parts.fill_disk()
            parts.durability.forget_old(parts.now, parts.negotiations.is_known)
            assert await parts.store.read("SELECT * FROM admitted") == []

    asyncio.run(scene())


def test_what_a_full_store_refuses_names_its_bound_and_not_the_disk(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice = parts.join("alice")
            parts.join("bob")
            await parts.send(alice, letter("first"))
            assert parts.durability.hindrance() is None
            parts.store._file_bytes_max = parts.store.used_bytes
            await parts.send(alice, letter("second"))
            (refusal,) = stream_of(alice).refusals
            assert "mailbox.file_bytes_max" in refusal.reason
            assert "disk" not in refusal.reason

    asyncio.run(scene())


def test_a_store_that_is_full_of_ids_has_room_again_when_they_are_old(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            await parts.send(alice, letter("first"))
            parts.store._file_bytes_max = parts.store.used_bytes + 8192
            number = 0
            while parts.store.is_available:
                number += 1
                await parts.send(alice, letter(f"{number:0>100}"))
                acknowledge(parts, bob)
                await parts.settled()
            assert len(parts.mailbox.index) == 0, "nothing is owed to anybody"
            for _ in range(20):
                parts.now += 10
                parts.durability.forget_old(parts.now, parts.negotiations.is_known)
                await parts.settled()
            assert parts.store.is_available

    asyncio.run(scene())


def test_a_failure_that_the_mailboxes_have_no_room_for_reaches_an_agent_that_is_here(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        limits = MailboxLimits(10, 1 << 20, 2, 1 << 20)
        async with kept(tmp_path / "s.db", mailbox=limits) as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            await parts.send(alice, letter("m1"), letter("m2"))
            one = bob.outbox.take(parts.now, 1 << 20)[0]
            parts.durability.tell(alice, one)
            assert ids(received(alice)) == ["m1"], "with what stands for a failure here"

    asyncio.run(scene())
