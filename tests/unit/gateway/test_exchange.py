"""How streams open, replace each other, end, and are looked after while they live."""

from __future__ import annotations

import asyncio

import grpc
import orjson
import pytest

from gateway import exchange as exchange_module
from gateway import upkeep as upkeep_module
from llmx.v1.consent_pb2 import Consent
from llmx.v1.envelope_pb2 import Act
from llmx.v1.exchange_service_pb2 import Hello
from llmx.v1.refusal_pb2 import RefusalCode
from tests.support.fake_streams import Aborted, FakeStream, Served, played
from tests.support.gateway_parts import NOW, envelope, received, stream_of

OPEN_TO_ALL = Hello(consents=[Consent(grantee="*")])
SOON = {"reply_within": 5}


def certain() -> float:
    """Return no jitter."""
    return 0.0


@pytest.fixture
def served() -> Served:
    return Served()


async def aborted(served: Served, stream: FakeStream) -> Aborted:
    """Serve a call that must not come to a stream; returns how it was ended."""
    with pytest.raises(Aborted) as ended:
        await served.exchange.handle(None, stream)  # type: ignore[arg-type]
    assert stream.frames.empty()
    return ended.value


def reasons(served: Served, name: str) -> list[str]:
    """Take the failures that wait for an agent; returns their reasons."""
    failures = received(served.member(name), served.now)
    return [orjson.loads(one.payload)["reason"] for one in failures]


@played
async def test_a_call_without_a_good_token_is_unauthenticated(served: Served) -> None:
    good = served.token("bob")
    for header, code in (
        (None, "missing"),
        (f"Basic {good}", "missing"),
        (good, "missing"),
        ("Bearer rubbish", "malformed"),
        (f"Bearer {served.token('bob', ttl=-1)}", "expired"),
        (f"Bearer {served.token('bob', audience='others')}", "wrong_audience"),
    ):
        stream = FakeStream()
        if header is not None:
            stream.metadata.append(("authorization", header))
        ended = await aborted(served, stream)
        assert ended.code is grpc.StatusCode.UNAUTHENTICATED
        assert ended.details.startswith(f"{code}: ") and "; " in ended.details
        assert good not in ended.details and not stream.is_answered
    assert served.metrics.streams_ended["token_missing"] == 3


@played
async def test_the_hello_registers_and_the_welcome_tells_the_bounds(served: Served) -> None:
    stream = FakeStream()
    stream.metadata = [("user-agent", "x"), ("authorization", f"bearer  {served.token('bob')}")]
    hello = Hello(agent_id="agent://bob", capabilities=["propose"], topics=["topic://gpu"])
    hello.consents.add(grantee="agent://alice")
    stream.send(hello=hello)
    stream.half_close()
    await served.exchange.handle(None, stream)  # type: ignore[arg-type]
    welcome = (await stream.heard()).welcome
    assert (welcome.gateway_id, welcome.agent_id, welcome.tenant) == ("gw", "agent://bob", "acme")
    assert (welcome.frame_bytes_max, welcome.payload_bytes_max) == (40_000, 1_000)
    assert welcome.token_expires_at.ToSeconds() == NOW + 600
    assert welcome.now.ToSeconds() == NOW
    bob = served.member("bob")
    assert bob.capabilities == {"propose"} and bob.allows("agent://alice", None, NOW)


@pytest.mark.parametrize("first", ["batch", "rubbish", "nothing"])
@played
async def test_the_first_frame_must_be_a_hello(served: Served, first: str) -> None:
    stream = served.stream("bob")
    if first == "batch":
        stream.send(batch={})
    elif first == "rubbish":
        stream.send_bytes(b"\xff")
    stream.half_close()
    assert (await aborted(served, stream)).code is grpc.StatusCode.INVALID_ARGUMENT
    assert served.members.count == 0


@played
async def test_a_call_that_breaks_before_its_hello_is_over_without_a_word(served: Served) -> None:
    """Its exception would be logged as an error of ours."""
    stream = served.stream("bob")
    stream.is_broken = True
    with pytest.raises(asyncio.CancelledError):
        await served.exchange.handle(None, stream)  # type: ignore[arg-type]
    assert served.members.count == 0 and not served.exchange.sessions


@played
async def test_a_hello_that_does_not_come_is_not_waited_for(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "HELLO_SECONDS_MAX", 0.001)
    stream = served.stream("bob")
    assert (await aborted(served, stream)).code is grpc.StatusCode.INVALID_ARGUMENT
    assert stream.is_answered  # as soon as the token was found good


@pytest.mark.parametrize(
    ("hello", "status"),
    [
        (Hello(agent_id="agent://eve"), grpc.StatusCode.PERMISSION_DENIED),
        (Hello(capabilities=["a b"]), grpc.StatusCode.INVALID_ARGUMENT),
        (Hello(topics=["*"]), grpc.StatusCode.INVALID_ARGUMENT),
        (Hello(consents=[Consent(grantee="eve")]), grpc.StatusCode.INVALID_ARGUMENT),
        (Hello(consents=[Consent(grantee="*")] * 3), grpc.StatusCode.INVALID_ARGUMENT),
    ],
)
@played
async def test_a_hello_that_says_what_cannot_be_ends_the_call(
    served: Served, hello: Hello, status: grpc.StatusCode
) -> None:
    stream = served.stream("bob")
    stream.send(hello=hello)
    assert (await aborted(served, stream)).code is status


@played
async def test_a_gateway_takes_so_many_streams_and_so_many_agents() -> None:
    served = Served(sessions_max=1)
    late = served.stream("carol")
    async with asyncio.TaskGroup() as tasks:
        opening = tasks.create_task(aborted(served, late))
        await late.handled()  # it waits for the Hello, and there is room still
        async with served.open("bob"):
            ended = await aborted(served, served.stream("dave"))
            assert ended.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            late.send(hello=Hello())
            assert (await opening).code is grpc.StatusCode.RESOURCE_EXHAUSTED
    for number in range(1000):
        served.members.join("acme", f"agent://a{number}", NOW)
    stream = served.stream("erin")
    stream.send(hello=Hello())
    assert (await aborted(served, stream)).code is grpc.StatusCode.RESOURCE_EXHAUSTED


@played
async def test_a_newer_stream_of_an_agent_replaces_the_older_and_gets_what_waits(
    served: Served,
) -> None:
    alice = served.join("alice")
    async with served.open("bob", OPEN_TO_ALL) as older:
        served.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob"))
        assert (await older.heard()).batch.envelopes[0].msg_id == "m1"
        async with served.open("bob") as newer:
            assert (await newer.heard()).batch.envelopes[0].msg_id == "m1"
            assert (await older.heard()).goodbye.reason == "replaced"
            await older.call
            assert older.code is grpc.StatusCode.ALREADY_EXISTS
            assert served.session("bob") in served.exchange.sessions
            assert len(served.exchange.sessions) == 1
    assert served.metrics.streams_ended == {"replaced": 1, "client_closed": 1}


@played
async def test_who_leaves_is_told_to_be_away_and_who_comes_back_to_be_here(served: Served) -> None:
    told: list[bool] = []
    served.members.on_change.append(lambda member: told.append(member.is_away))
    async with served.open("bob"):
        assert told == [False]
    served.upkeep.look(NOW, lambda: 1.0)
    assert told == [False, True]
    async with served.open("bob"):
        assert told == [False, True, False]


@played
async def test_who_half_closes_is_called_no_more_and_not_waited_for(served: Served) -> None:
    alice = served.join("alice")
    async with served.open("bob", Hello(topics=["gpu"])):
        call = envelope("alice", Act.ACT_CFP, "topic://gpu", body={"reply_within": 5})
        served.admit(alice, call)
    bob = served.member("bob")
    assert bob.stream is None and bob.away_since == NOW and bob.is_away
    served.upkeep.look(NOW, lambda: 0.0)
    served.run()
    assert served.metrics.finished == {"no_award": 1}
    served.admit(alice, envelope("alice", Act.ACT_CFP, "topic://gpu", msg_id="m2", body=SOON))
    assert stream_of(alice).codes() == ["NO_RECIPIENTS"]
    served.admit(alice, envelope("alice", Act.ACT_MESSAGE, "topic://gpu", msg_id="m3"))
    async with served.open("bob", Hello(topics=["gpu"])) as line:
        (news,) = (await line.heard()).batch.envelopes
    assert news.msg_id == "m3", "the call is over and was taken back"


@pytest.mark.parametrize("how", ["cancelled by grpc", "a write fails"])
@played
async def test_who_vanishes_keeps_its_place_for_the_grace(served: Served, how: str) -> None:
    alice = served.join("alice")
    async with served.open("bob", Hello(topics=["gpu"])) as line:
        call = envelope("alice", Act.ACT_CFP, "topic://gpu", body={"reply_within": 60})
        served.admit(alice, call)
        if how == "cancelled by grpc":
            line.call.cancel()
        else:
            line.is_broken = True
        await asyncio.wait((line.call,))
    bob = served.member("bob")
    assert bob.stream is None and bob.topics == {"gpu"} and len(bob.outbox) == 1
    assert served.metrics.streams_ended == {"client_vanished": 1}
    served.now += 30
    served.upkeep.look(served.now, certain)
    served.run()
    assert not served.metrics.finished
    async with served.open("bob", Hello(topics=["gpu"])) as line:
        assert (await line.heard()).batch.envelopes[0].act == Act.ACT_CFP
        assert bob.away_since is None


@played
async def test_after_the_grace_what_waits_moves_to_the_mailbox(served: Served) -> None:
    alice, bob = served.join("alice"), served.join("bob")
    served.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id="m1"))
    call = envelope("alice", Act.ACT_CFP, "agent://bob", msg_id="m2", body={"reply_within": 60})
    served.admit(alice, call)
    received(bob)
    bob.outbox.confirm(["m2"], NOW)  # so it is the negotiation that must hear
    served.members.part(bob, NOW)
    served.now += 30.1
    served.upkeep.look(served.now, certain)
    assert bob.is_away and bob.is_boxed and len(bob.outbox) == 0
    assert served.mailbox.index.waiting(bob.key) == 1
    served.run()
    assert served.metrics.finished == {"no_award": 1}, "its negotiations do not wait for it"
    served.now += 3600
    served.upkeep.look(served.now, certain)
    assert set(bob.tenant.members) == {"agent://alice"}
    assert reasons(served, "alice") == ["expired"]


@played
async def test_a_new_token_for_the_same_agent_lets_the_stream_live_on(served: Served) -> None:
    async with served.open("bob") as bob:
        for token in (served.token("eve"), served.token("bob", tenant="umbrella"), "rubbish"):
            bob.send(renew_token={"token": token})
            (refusal,) = (await bob.heard()).batch.refusals
            assert refusal.code == RefusalCode.REFUSAL_CODE_TOKEN_REJECTED and refusal.remedy
        bob.send(renew_token={"token": served.token("bob", ttl=900.0, acts=["offer"])})
        answer = (await bob.heard()).token_renewed
        assert answer.token_expires_at.ToSeconds() == NOW + 900
        served.upkeep.look(NOW + 700, certain)
        bob.send_envelopes(envelope("bob", Act.ACT_MESSAGE, "agent://bob"))
        (refusal,) = (await bob.heard()).batch.refusals
        assert refusal.code == RefusalCode.REFUSAL_CODE_ACT_NOT_ALLOWED


@played
async def test_confirmations_and_upkeep_come_by_themselves(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "CONFIRM_SECONDS", 0)
    monkeypatch.setattr(upkeep_module, "UPKEEP_SECONDS", 0)
    async with asyncio.TaskGroup() as tasks:
        upkeep = tasks.create_task(served.upkeep.run())
        async with served.open("bob") as bob:
            bob.send(batch={})
            assert (await bob.heard()).confirmed_number == 1
            served.now += 600
            assert (await bob.heard()).goodbye.reason == "token_expired"
        upkeep.cancel()


@played
async def test_a_hello_is_sized_before_it_is_read(served: Served) -> None:
    stream = served.stream("bob")
    stream.send(hello=Hello(topics=["x" * 100] * 3_000))
    assert (await aborted(served, stream)).code is grpc.StatusCode.INVALID_ARGUMENT
    assert served.members.count == 0
