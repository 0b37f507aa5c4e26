"""Who is away for longer has a mailbox; who comes back gets what is in it, in order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from gateway.mailbox import MailboxLimits
from gateway.members import Member
from gateway.outbox import Parcel
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.gateway_parts import NOW, Parts, Recording, envelope, received, stream_of
from tests.support.kept_parts import kept


def gone(parts: Parts, member: Member) -> None:
    """Let a member lose its stream, and its grace pass."""
    parts.members.part(member, parts.now)
    parts.absences.leave(member)


def back(parts: Parts, member: Member) -> None:
    assert member.link is None, "its session cannot be resumed any more"
    member.stream = Recording(None)  # type: ignore[arg-type]  # nothing is answered here
    parts.members.arrive(member)
    parts.absences.back(member)


def say(parts: Parts, sender: Member, to: Member, msg_ids: Iterable[str]) -> None:
    name = sender.agent_id.removeprefix("agent://")
    for msg_id in msg_ids:
        parts.admit(sender, envelope(name, Act.ACT_MESSAGE, to.agent_id, msg_id=msg_id))


def ids(found: list[Envelope]) -> list[str]:
    return [one.msg_id for one in found]


def reasons(parts: Parts, member: Member) -> list[str]:
    return [json.loads(one.payload)["reason"] for one in received(member, parts.now)]


async def refilled(parts: Parts, member: Member) -> list[str]:
    """Take and acknowledge what an agent gets until its mailbox is empty."""
    heard: list[str] = []
    while True:
        await parts.absences.refill(member)
        batch = ids(received(member, parts.now))
        if not batch:
            return heard
        heard += batch
        member.outbox.confirm(batch, parts.now)
        parts.router.delivered(member)


def test_what_waited_and_what_came_meanwhile_arrive_in_their_order() -> None:
    async def scene() -> None:
        parts = Parts()
        alice, bob = parts.join("alice"), parts.join("bob")
        say(parts, alice, bob, "ab")
        received(bob)
        gone(parts, bob)
        say(parts, alice, bob, "cd")
        assert parts.mailbox.index.waiting(bob.key) == 4
        back(parts, bob)
        assert bob.is_boxed
        say(parts, alice, bob, "e")
        assert await refilled(parts, bob) == list("abcde")
        assert len(parts.mailbox.index) == 0
        say(parts, alice, bob, "f")
        assert ids(received(bob)) == ["f"]

    asyncio.run(scene())


def test_a_small_outbox_is_refilled_little_by_little() -> None:
    async def scene() -> None:
        parts = Parts(outbox_messages_max=8)
        alice, bob = parts.join("alice"), parts.join("bob")
        gone(parts, bob)
        say(parts, alice, bob, "abcdefghij")
        back(parts, bob)
        await parts.absences.refill(bob)
        assert ids(received(bob)) == ["a", "b"]
        await parts.absences.refill(bob)
        assert received(bob) == [], "it has not acknowledged those"
        bob.outbox.confirm(["a", "b"], NOW)
        parts.router.delivered(bob)
        assert await refilled(parts, bob) == list("cdefghij")

    asyncio.run(scene())


def test_the_task_refills_whoever_is_back() -> None:
    async def scene() -> None:
        parts = Parts(outbox_messages_max=8)
        alice, bob = parts.join("alice"), parts.join("bob")
        gone(parts, bob)
        say(parts, alice, bob, "abcd")
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(parts.absences.run())
            back(parts, bob)
            heard: list[str] = []
            while len(heard) < 4:
                await asyncio.sleep(0)
                heard += ids(received(bob))
                bob.outbox.confirm(heard, NOW)
                parts.router.delivered(bob)
            task.cancel()
        assert heard == list("abcd")

    asyncio.run(scene())


def test_who_leaves_again_before_it_has_everything_loses_nothing() -> None:
    async def scene() -> None:
        parts = Parts(outbox_messages_max=8)
        alice, bob = parts.join("alice"), parts.join("bob")
        gone(parts, bob)
        say(parts, alice, bob, "abcd")
        back(parts, bob)
        await parts.absences.refill(bob)
        assert ids(received(bob)) == ["a", "b"]
        gone(parts, bob)
        await parts.absences.refill(bob)
        assert len(bob.outbox) == 0
        back(parts, bob)
        assert await refilled(parts, bob) == list("abcd")

    asyncio.run(scene())


def test_who_leaves_while_the_disk_is_read_loses_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            gone(parts, bob)
            say(parts, alice, bob, "ab")
            parts.mailbox.save()
            await parts.settled()
            back(parts, bob)
            async with asyncio.TaskGroup() as tasks:
                refill = tasks.create_task(parts.absences.refill(bob))
                await asyncio.sleep(0)
                gone(parts, bob)
                await refill
            assert parts.mailbox.index.waiting(bob.key) == 2
            back(parts, bob)
            assert await refilled(parts, bob) == ["a", "b"]

    asyncio.run(scene())


def test_what_is_sent_at_most_once_waits_too_and_is_sent_once() -> None:
    async def scene() -> None:
        parts = Parts()
        alice, bob = parts.join("alice"), parts.join("bob")
        gone(parts, bob)
        once = envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id="m", quality_of_service=1)
        parts.admit(alice, once)
        back(parts, bob)
        await parts.absences.refill(bob)
        assert ids(received(bob)) == ["m"]
        assert len(bob.outbox) == len(parts.mailbox.index) == 0

    asyncio.run(scene())


def test_what_no_acknowledgement_follows_does_not_stop_the_refill() -> None:
    async def scene() -> None:
        parts = Parts(outbox_messages_max=4)
        alice, bob = parts.join("alice"), parts.join("bob")
        gone(parts, bob)
        once = envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id="m", quality_of_service=1)
        parts.admit(alice, once)
        say(parts, alice, bob, "a")
        back(parts, bob)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(parts.absences.run())
            heard: list[str] = []
            while len(heard) < 2:
                await asyncio.sleep(0)
                parts.absences.upkeep(parts.now)
                heard += ids(received(bob))
            task.cancel()
        assert heard == ["m", "a"]

    asyncio.run(scene())


def test_a_refill_that_finds_the_outbox_full_does_not_end_the_stream() -> None:
    """It would end the next one too, and for ever, before anything could be acknowledged."""

    async def scene() -> None:
        parts = Parts()
        alice, bob = parts.join("alice"), parts.join("bob")
        gone(parts, bob)
        say(parts, alice, bob, "abc")
        back(parts, bob)
        held = Parcel("held", bytes(1 << 20), NOW + 60, alice.agent_id, "", True)
        bob.outbox.push(held)
        await parts.absences.refill(bob)
        assert isinstance(bob.stream, Recording) and bob.stream.closed == []
        assert parts.mailbox.index.waiting(bob.key) == 3 and bob.is_boxed
        assert ids_of_parcels(bob) == ["held"]
        bob.outbox.confirm(["held"], NOW)
        assert await refilled(parts, bob) == list("abc")

    asyncio.run(scene())


def ids_of_parcels(member: Member) -> list[str]:
    return [parcel.msg_id for parcel in member.outbox.take(NOW, 1 << 21)]


def test_a_full_mailbox_refuses_the_sender() -> None:
    parts = Parts(mailbox=MailboxLimits(2, 1 << 20, 10, 1 << 20))
    alice, bob = parts.join("alice"), parts.join("bob")
    gone(parts, bob)
    say(parts, alice, bob, "abc")
    assert stream_of(alice).codes() == ["RECIPIENT_OVERLOADED"]


def test_what_finds_no_room_when_its_agent_leaves_is_told_to_the_sender() -> None:
    parts = Parts(mailbox=MailboxLimits(10, 1 << 20, 1, 1 << 20))
    alice, bob = parts.join("alice"), parts.join("bob")
    say(parts, alice, bob, "ab")
    gone(parts, bob)
    assert reasons(parts, alice) == ["recipient_overloaded"]
    assert parts.mailbox.index.waiting(bob.key) == 1


def test_what_waits_too_long_is_told_to_its_sender() -> None:
    parts = Parts()
    alice, bob = parts.join("alice"), parts.join("bob")
    gone(parts, bob)
    short = envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id="m")
    short.scope.ttl.FromSeconds(5)
    parts.admit(alice, short)
    parts.now += 4.9
    parts.absences.upkeep(parts.now)
    assert reasons(parts, alice) == []
    parts.now += 0.1
    parts.absences.upkeep(parts.now)
    assert reasons(parts, alice) == ["expired"]


def test_a_failure_waits_for_its_reader_too() -> None:
    async def scene() -> None:
        parts = Parts()
        alice, bob = parts.join("alice"), parts.join("bob")
        gone(parts, bob)
        short = envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id="m")
        short.scope.ttl.FromSeconds(5)
        parts.admit(alice, short)
        gone(parts, alice)
        parts.now += 5
        parts.absences.upkeep(parts.now)
        back(parts, alice)
        await parts.absences.refill(alice)
        assert reasons(parts, alice) == ["expired"]

    asyncio.run(scene())


def test_who_stays_away_too_long_is_forgotten_and_senders_hear() -> None:
    parts = Parts(keep_seconds=60)
    alice, bob = parts.join("alice"), parts.join("bob")
    gone(parts, bob)
    say(parts, alice, bob, "a")
    parts.absences.upkeep(NOW + 60)
    assert parts.members.find(bob.key) is bob
    parts.absences.upkeep(NOW + 60.1)
    assert parts.members.find(bob.key) is None
    assert reasons(parts, alice) == ["agent_absent"]
    say(parts, alice, bob, "b")
    assert stream_of(alice).codes() == ["AGENT_ABSENT"]


def test_a_full_gateway_forgets_who_is_away_longest_with_nothing_waiting() -> None:
    parts = Parts(agents_max=4)
    alice, bob = parts.join("alice"), parts.join("bob")
    for name in ("carol", "dave"):
        gone(parts, parts.join(name))
    gone(parts, bob)
    assert list(parts.members.absent) == [f"acme|agent://{n}|" for n in ("carol", "dave", "bob")]
    say(parts, alice, parts.members.absent["acme|agent://carol|"], "a")
    assert parts.members.join("acme", "agent://erin", NOW) is not None
    known = set(alice.tenant.members)
    assert known == {f"agent://{name}" for name in ("alice", "carol", "bob", "erin")}
    assert parts.members.join("acme", "agent://frank", NOW) is not None
    assert parts.members.join("acme", "agent://grace", NOW) is None, "carol has mail"


def test_what_is_taken_back_is_withheld_from_the_mailbox_too() -> None:
    parts = Parts()
    alice, bob = parts.join("alice"), parts.join("bob")
    gone(parts, bob)
    say(parts, alice, bob, "ab")
    withheld = parts.mailbox.withhold(bob.key, lambda one: one.msg_id == "a")
    assert [one.msg_id for one in withheld] == ["a"]


def test_what_was_under_way_to_somebody_forgotten_is_told_when_its_time_is_over() -> None:
    parts = Parts()
    alice, bob = parts.join("alice"), parts.join("bob")
    gone(parts, bob)
    say(parts, alice, bob, "a")
    parts.members.forget(bob)
    parts.absences.upkeep(NOW + 120)
    assert reasons(parts, alice) == ["agent_absent"]
    say(parts, alice, parts.join("carol"), "b")
    gone(parts, parts.join("carol"))
    for member in list(alice.tenant.members.values()):
        parts.members.forget(member)
    parts.absences.upkeep(NOW + 240)
    assert len(parts.mailbox.index) == 0


def test_a_gateway_that_stops_brings_everything_to_the_disk(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            parts.roster.note(bob)
            say(parts, alice, bob, "abc")
            assert ids(received(bob)) == ["a", "b", "c"]
            await parts.absences.stop()

    async def after() -> list[str]:
        async with kept(tmp_path / "s.db") as parts:
            bob = parts.members.find("acme|agent://bob|")
            assert bob is not None and bob.is_boxed
            back(parts, bob)
            return await refilled(parts, bob)

    asyncio.run(before())
    assert asyncio.run(after()) == ["a", "b", "c"]


def test_a_gateway_that_stops_on_a_full_disk_says_what_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob = parts.join("alice"), parts.join("bob")
            say(parts, alice, bob, "a")
            await parts.fill_disk()
            await parts.absences.stop()

    asyncio.run(scene())
    assert "messages are lost" in capsys.readouterr().out


def test_without_a_store_there_is_nowhere_to_bring_it() -> None:
    parts = Parts()
    alice, bob = parts.join("alice"), parts.join("bob")
    say(parts, alice, bob, "a")
    asyncio.run(parts.absences.stop())
    assert len(bob.outbox) == 1
