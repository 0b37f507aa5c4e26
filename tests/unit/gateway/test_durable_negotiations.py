"""A durable negotiation tells nobody anything before the disk has it, and goes on elsewhere."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.members import Member
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.gateway_parts import envelope, received, stream_of
from tests.support.kept_parts import KeptParts, kept


def call(msg_id: str = "c1", **body: Any) -> Envelope:
    given = {"reply_within": 20, **body}
    to = ("agent://bob", "agent://carol")
    return envelope("alice", Act.ACT_CFP, *to, msg_id=msg_id, body=given, durable=True)


def offer(sender: str, negotiation_id: str, value: float, **fields: Any) -> Envelope:
    body = {"value": value}
    given = {"msg_id": f"offer-of-{sender}", "negotiation_id": negotiation_id, "body": body}
    return envelope(sender, Act.ACT_OFFER, **(given | fields))


def join(parts: KeptParts, *names: str) -> list[Member]:
    members = [parts.join(name) for name in names]
    for member in members:
        parts.roster.note(member)
    return members


def opened(member: Member) -> str:
    return stream_of(member).opened[-1].negotiation_id


def acts(member: Member) -> list[str]:
    return [Act.Name(one.act).removeprefix("ACT_") for one in received(member)]


async def mail(parts: KeptParts, *names: str) -> list[Member]:
    """Return agents that are back at a gateway, with what waited for them in their outboxes."""
    members = [parts.join(name) for name in names]
    for member in members:
        parts.members.arrive(member)
        parts.absences.back(member)
        await parts.absences.refill(member)
    return members


def test_nothing_is_told_before_it_is_on_disk(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob, carol = join(parts, "alice", "bob", "carol")
            parts.admit(alice, call())
            assert not stream_of(alice).opened and len(bob.outbox) == 0
            await alice.settled()
            id_ = opened(alice)
            assert parts.durability.concerns(id_)
            assert acts(bob) == acts(carol) == ["CFP"]
            parts.admit(bob, offer("bob", id_, 7))
            assert acts(alice) == []
            await bob.settled()
            assert acts(alice) == ["OFFER"]
            await parts.send(carol, offer("carol", id_, 5))
            assert acts(alice) == ["OFFER", "INFORM"]
            assert acts(carol) == ["ACCEPT"] and acts(bob) == ["REJECT"]
            assert parts.metrics.finished == {"committed": 1}

    asyncio.run(scene())


@pytest.mark.parametrize("offers", [0, 1, 2])
def test_the_next_gateway_goes_on_where_it_stood(tmp_path: Path, offers: int) -> None:
    async def before() -> str:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob, carol = join(parts, "alice", "bob", "carol")
            await parts.send(alice, call())
            id_ = opened(alice)
            if offers > 0:
                await parts.send(bob, offer("bob", id_, 7))
            if offers > 1:
                await parts.send(carol, offer("carol", id_, 5))
            return id_

    async def after(id_: str) -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob, carol = await mail(parts, "alice", "bob", "carol")
            assert len(parts.negotiations) == 1
            assert parts.negotiations._open_calls._counts[alice.key] == (offers < 2)
            if offers < 1:
                await parts.send(bob, offer("bob", id_, 7))
            if offers < 2:
                await parts.send(carol, offer("carol", id_, 5))
            told = received(alice)
            assert [one.act for one in told] == [Act.ACT_OFFER, Act.ACT_OFFER, Act.ACT_INFORM]
            outcome = json.loads(told[-1].payload)["outcome"]
            assert [one["agent"] for one in outcome["winners"]] == ["agent://carol"]
            assert acts(bob) == ["CFP", "REJECT"] and acts(carol) == ["CFP", "ACCEPT"]
            await parts.send(alice, call())
            assert stream_of(alice).codes() == ["DUPLICATE"]
            assert opened(alice) == id_
            await parts.send(carol, offer("carol", id_, 5))
            assert stream_of(carol).codes() == ["DUPLICATE"]
            assert not parts.negotiations._open_calls._counts

    after_id = asyncio.run(before())
    asyncio.run(after(after_id))


def test_a_deadline_that_passed_meanwhile_passes_at_once(tmp_path: Path) -> None:
    async def before() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob, _ = join(parts, "alice", "bob", "carol")
            await parts.send(alice, call())
            await parts.send(bob, offer("bob", opened(alice), 7))

    async def after() -> None:
        async with kept(tmp_path / "s.db") as parts:
            parts.now += 30
            parts.run()
            await parts.settled()
            alice, bob = await mail(parts, "alice", "bob")
            assert acts(alice)[-1] == "INFORM" and acts(bob)[-1] == "ACCEPT"
            assert parts.metrics.finished == {"committed": 1}

    asyncio.run(before())
    asyncio.run(after())


def test_a_journal_ends_when_the_negotiation_is_forgotten(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, _, _ = join(parts, "alice", "bob", "carol")
            await parts.send(alice, call())
            for _ in range(2):
                parts.now += 60
                parts.run()
            await parts.settled()
            assert parts.metrics.finished == {"no_award": 1}
            assert len(parts.negotiations) == len(parts.durability.journal) == 0
            assert await parts.store.read("SELECT * FROM events") == []
            assert await parts.store.read("SELECT * FROM negotiations") == []

    asyncio.run(scene())


def test_a_journal_of_what_the_table_has_pushed_out_is_swept(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, _, _ = join(parts, "alice", "bob", "carol")
            await parts.send(alice, call())
            parts.durability.forget_old(parts.now, lambda negotiation_id: False)
            await parts.settled()
            assert await parts.store.read("SELECT * FROM negotiations") == []

    asyncio.run(scene())


def test_while_the_disk_is_full_acts_are_refused_and_what_was_under_way_is_told_later(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob, carol = join(parts, "alice", "bob", "carol")
            await parts.send(alice, call())
            id_ = opened(alice)
            await parts.store.read("PRAGMA max_page_count = 1")
            long = {"value": 7, "conditions": {"note": "x" * 7_500}}
            parts.admit(bob, offer("bob", id_, 7, body=long))
            await parts.settled()
            assert parts.store.is_failing and acts(alice) == [] and len(bob.owed) == 1
            await parts.send(carol, offer("carol", id_, 5))
            await parts.send(alice, call("c2"))
            assert stream_of(carol).codes() == stream_of(alice).codes() == ["STORE_UNAVAILABLE"]
            await parts.empty_disk()
            await bob.settled()
            assert acts(alice) == ["OFFER"]
            await parts.send(carol, offer("carol", id_, 5))
            assert acts(alice) == ["OFFER", "INFORM"]

    asyncio.run(scene())


def test_a_call_that_is_refused_leaves_no_journal(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db", open_max=2) as parts:
            alice, _, _ = join(parts, "alice", "bob", "carol")
            for number in range(3):
                await parts.send(alice, call(f"c{number}"))
            assert stream_of(alice).codes() == ["OVERLOADED"]
            assert len(parts.durability.journal) == 2

    asyncio.run(scene())


def test_an_act_of_a_negotiation_that_is_not_durable_cannot_be(tmp_path: Path) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob, carol = join(parts, "alice", "bob", "carol")
            plain = call()
            plain.durable = False
            await parts.send(alice, plain)
            id_ = opened(alice)
            assert not parts.durability.concerns(id_)
            await parts.send(bob, offer("bob", id_, 7, durable=True))
            assert stream_of(bob).codes() == ["STORE_UNAVAILABLE"]
            await parts.send(carol, offer("carol", id_, 5))
            assert acts(alice) == ["OFFER"]
            assert not carol.owed

    asyncio.run(scene())


def test_an_act_of_a_negotiation_that_was_forgotten_is_refused_and_settled(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob, _ = join(parts, "alice", "bob", "carol")
            await parts.send(alice, call())
            id_ = opened(alice)
            shard = parts.negotiations.shard_of(id_, alice.tenant)
            assert shard is not None
            shard.table._forget(id_)
            await parts.send(bob, offer("bob", id_, 7))
            assert stream_of(bob).codes() == ["UNKNOWN_NEGOTIATION"]

    asyncio.run(scene())


def test_an_initiator_that_decides_finds_its_choice_again(tmp_path: Path) -> None:
    async def before() -> str:
        async with kept(tmp_path / "s.db") as parts:
            alice, bob, _ = join(parts, "alice", "bob", "carol")
            await parts.send(alice, call(decider="initiator"))
            await parts.send(bob, offer("bob", opened(alice), 7))
            return opened(alice)

    async def after(id_: str) -> None:
        async with kept(tmp_path / "s.db") as parts:
            alice, _, carol = await mail(parts, "alice", "bob", "carol")
            await parts.send(carol, offer("carol", id_, 9))
            asked = received(alice)[-1]
            assert json.loads(asked.payload)["result"]["ranking"][0]["agent"] == "agent://bob"
            assert asked.turn.standing_offer.sender == "agent://bob"
            assert asked.turn.own_last_msg_id == "c1"

    asyncio.run(after(asyncio.run(before())))
