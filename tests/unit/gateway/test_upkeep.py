"""What is done by the clock: repeats, expiries, heartbeats, ages and tokens."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import jwt
import orjson
import pytest

from gateway import upkeep as upkeep_module
from gateway.members import NOBODY_YET
from llmx.v1.consent_pb2 import Consent
from llmx.v1.envelope_pb2 import Act
from llmx.v1.exchange_service_pb2 import Hello
from tests.support.fake_streams import Served, played
from tests.support.gateway_parts import NOW, envelope, received, stream_of

OPEN_TO_ALL = Hello(consents=[Consent(grantee="*")])
TO_BOB = (Act.ACT_MESSAGE, "agent://bob")


def certain() -> float:
    """Chance without chance."""
    return 1.0


@pytest.fixture
def served() -> Served:
    return Served()


def reasons(served: Served, name: str) -> list[str]:
    """Take the failures that wait for an agent; returns their reasons."""
    failures = received(served.member(name), served.now)
    return [orjson.loads(one.payload)["reason"] for one in failures]


@played
async def test_a_token_that_ends_or_is_revoked_closes_the_stream(tmp_path: Path) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text("")
    served = Served(revoked=revoked)
    token = served.token("carol")
    async with served.open("bob") as bob, served.open("carol", token=token) as carol:
        served.upkeep.look(NOW + 599, certain)
        claims = jwt.decode(token, options={"verify_signature": False})
        revoked.write_text(f"{claims['jti']}\n")
        served.upkeep.look(NOW + 599, certain)
        assert (await carol.heard()).goodbye.reason == "token_revoked"
        assert served.session("bob") in served.exchange.sessions
        served.upkeep.look(NOW + 600, certain)
        assert (await bob.heard()).goodbye.reason == "token_expired"
        await asyncio.wait((bob.call, carol.call))
        assert bob.code is carol.code is grpc.StatusCode.UNAUTHENTICATED
    assert served.member("bob").away_since == NOW  # it may come back with a new token


@played
async def test_a_message_whose_time_is_over_is_a_failure_to_its_sender(served: Served) -> None:
    alice, bob = served.join("alice"), served.join("bob")
    told = envelope("alice", Act.ACT_MESSAGE, "agent://bob")
    told.scope.ttl.FromSeconds(5)
    served.admit(alice, told)
    served.upkeep.look(NOW + 4.9, certain)
    assert len(bob.outbox) == 1 and reasons(served, "alice") == []
    served.upkeep.look(NOW + 5, certain)
    assert len(bob.outbox) == 0 and reasons(served, "alice") == ["expired"]
    assert stream_of(alice).woken == 1


@played
async def test_upkeep_repeats_what_is_not_acknowledged(served: Served) -> None:
    alice = served.join("alice")
    async with served.open("bob", OPEN_TO_ALL) as line:
        served.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob"))
        assert (await line.heard()).batch.envelopes[0].msg_id == "m1"
        served.upkeep.look(NOW + 0.9, certain)
        served.upkeep.look(NOW + 1, certain)
        again = await line.heard()
        assert (again.number, again.batch.envelopes[0].msg_id) == (2, "m1")
        assert served.metrics.repeated == 1
        line.send(batch={"acked_msg_ids": ["m1"]})
        await line.handled()
        served.upkeep.look(NOW + 9, certain)
        assert not served.member("bob").outbox.has_queued


@played
async def test_a_quiet_stream_shows_life_and_a_silent_one_ends() -> None:
    served = Served(heartbeat=10.0)
    async with served.open("bob", OPEN_TO_ALL) as line:
        assert line.first.welcome.heartbeat.ToSeconds() == 10
        served.upkeep.look(NOW + 9.9, certain)
        served.now = NOW + 10
        served.upkeep.look(served.now, certain)
        beat = await line.heard()
        assert (beat.number, beat.WhichOneof("content")) == (0, None)
        served.upkeep.look(NOW + 19.9, certain)
        served.upkeep.look(NOW + 30, certain)
        assert (await line.heard()).WhichOneof("content") is None
        served.upkeep.look(NOW + 30.1, certain)
        goodbye = (await line.heard()).goodbye
        assert (goodbye.reason, bool(goodbye.resume_token)) == ("silent", True)


@played
async def test_a_frame_without_content_is_a_sign_of_life_and_needs_no_answer() -> None:
    served = Served(heartbeat=10.0)
    async with served.open("bob", OPEN_TO_ALL) as line:
        served.now = NOW + 29
        line.send()
        await line.handled()
        served.session("bob").confirm_soon()
        served.upkeep.look(NOW + 58, certain)
        assert (await line.heard()).WhichOneof("content") is None, "a heartbeat of its own"
        assert line.frames.empty() and not served.metrics.refused


@played
async def test_a_stream_that_is_old_enough_is_asked_to_come_again() -> None:
    served = Served(age_max=60.0)
    async with served.open("bob", OPEN_TO_ALL) as line:
        served.upkeep.look(NOW + 60, certain)
        served.upkeep.look(NOW + 60.1, certain)
        goodbye = (await line.heard()).goodbye
        assert (goodbye.reason, bool(goodbye.resume_token)) == ("aged", True)
        await asyncio.wait((line.call,))
        assert line.code is grpc.StatusCode.UNAVAILABLE


@played
async def test_repeats_of_all_agents_together_stay_within_a_budget() -> None:
    served = Served(repeats_per_second=2.0)
    alice = served.join("alice")
    names = ["bob", "carol", "dave"]
    for name in names:
        member = served.join(name)
        served.admit(alice, envelope("alice", Act.ACT_MESSAGE, f"agent://{name}", msg_id=name))
        member.outbox.take(NOW, 1 << 20)
    served.upkeep.look(NOW + 1, certain)
    assert served.metrics.repeated == 2, "the third waits, and is not forgotten"
    served.upkeep.look(NOW + 1.5, certain)
    assert served.metrics.repeated == 3


@played
async def test_a_gateway_that_is_late_itself_repeats_nothing() -> None:
    """In a storm of reconnects the acknowledgements wait behind the handshakes."""
    served = Served()
    alice, bob = served.join("alice"), served.join("bob")
    served.admit(alice, envelope("alice", *TO_BOB))
    bob.outbox.take(NOW, 1 << 20)
    served.upkeep.look(NOW + 1, certain, is_late=True)
    assert served.metrics.repeated == 0
    served.upkeep.look(NOW + 1.25, certain)
    assert served.metrics.repeated == 1


@played
async def test_of_whom_the_grace_is_over_it_is_told_if_it_was_here_and_has_not_moved() -> None:
    served = Served(grace=30.0)
    bob, carol, dave = (served.join(name) for name in ("bob", "carol", "dave"))
    for member in (bob, carol, dave):
        served.members.part(member, NOW)
    carol.generation = NOBODY_YET  # only messages wait for it here
    del dave.tenant.members[dave.agent_id]  # it has another home
    told: list[str] = []
    served.members.on_change.append(lambda member: told.append(member.agent_id))
    served.upkeep.look(NOW + 30, certain)
    assert told == []
    served.upkeep.look(NOW + 31, certain)
    assert told == ["agent://bob"] and bob.is_away


@played
async def test_agents_that_never_acknowledge_do_not_use_up_the_repeats_of_others() -> None:
    served = Served(repeats_per_second=2.0)
    alice = served.join("alice")
    for name in ("greedy", "grasping", "bob"):
        member = served.join(name)
        for number in range(1 if name == "bob" else 20):
            to = (Act.ACT_MESSAGE, f"agent://{name}")
            served.admit(alice, envelope("alice", *to, msg_id=f"{name}{number}"))
        member.outbox.take(NOW, 1 << 20)
    bob = served.member("bob")
    for quarter in range(1, 4 * 60):
        served.upkeep.look(NOW + quarter / 4, certain)
        for name in ("greedy", "grasping"):
            served.member(name).outbox.take(NOW + quarter / 4, 1 << 20)
        if bob.outbox.has_queued:
            break
    assert bob.outbox.has_queued


@played
async def test_a_crowd_of_messages_that_expire_together_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep_module, "EXPIRE_MAX", 3)
    served = Served()
    alice = served.join("alice")
    for name in ("bob", "carol"):
        served.join(name)
        for number in range(2):
            told = envelope("alice", Act.ACT_MESSAGE, f"agent://{name}", msg_id=f"{name}{number}")
            told.scope.ttl.FromSeconds(5)
            served.admit(alice, told)
    served.upkeep.look(NOW + 5, certain)
    assert served.metrics.undelivered == 3
    served.upkeep.look(NOW + 5.25, certain)
    assert served.metrics.undelivered == 4 and reasons(served, "alice") == ["expired"] * 4
