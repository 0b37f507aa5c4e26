"""Agents that harm others, or would: they never read, they vanish, they flood."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import pytest

from llmx.v1.consent_pb2 import Consent
from llmx.v1.envelope_pb2 import Act
from tests.support.gateways import Gateway, environment, running
from tests.support.raw_agent import Crowd, RawAgent, StreamEndedError, honour, refused

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
SESSIONS_MAX = 12
NEGOTIATIONS_MAX = 8

# Opens a stream, tells when it is open and what it hears, and never does anything else.
LISTENER = """
import sys
import grpc
from llmx.v1.exchange_service_pb2 import ExchangeRequest, ExchangeResponse, Hello
from threading import Event

address, token, topic = sys.argv[1:]

def requests():
    yield ExchangeRequest(number=1, hello=Hello(topics=[topic]))
    Event().wait()

channel = grpc.insecure_channel(address)
exchange = channel.stream_stream(
    "/llmx.v1.ExchangeService/Exchange",
    request_serializer=ExchangeRequest.SerializeToString,
    response_deserializer=ExchangeResponse.FromString,
)
for frame in exchange(requests(), metadata=(("authorization", "Bearer " + token),)):
    print(frame.WhichOneof("content"), *(one.act for one in frame.batch.envelopes), flush=True)
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that gives nobody much."""
    with running(
        tmp_path_factory.mktemp("strict"),
        limits__outbox_bytes_max=2 * MIB,
        limits__outbox_messages_max=300,
        limits__reconnect_grace_seconds=0.3,
        limits__sessions_max=SESSIONS_MAX,
        limits__negotiations_open_max=NEGOTIATIONS_MAX,
        mailbox__bytes_per_agent_max=2 * MIB,
    ) as gateway:
        yield gateway


async def negotiates(alice: RawAgent, bob: RawAgent, topic: str) -> None:
    """Expect that a round of two takes no longer than it should."""
    opened = await alice.call_for(topic)
    await bob.offer(opened.negotiation_id, 10)
    outcome = await alice.outcome(opened.negotiation_id)
    assert outcome["state"] == "committed"
    assert outcome["decided_at"] - outcome["opened_at"] < 1


async def counted(gateway: Gateway, sample: str) -> None:
    """Wait until a scrape shows a sample."""
    while sample not in await asyncio.to_thread(gateway.metrics):
        pass


async def test_an_agent_that_never_reads_is_closed_and_the_others_go_on(
    crowd: Crowd, gateway: Gateway
) -> None:
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    slow = await crowd.open("slow", consents=[Consent(grantee="*")])
    before = gateway.memory()
    refusals = 0
    for _ in range(30):
        many = [alice.text("x" * 100_000, slow.address) for _ in range(10)]
        await alice.send(*many)
        await alice.confirmation()
        refusals += len(alice.refusals)
        alice.refusals.clear()
        await negotiates(alice, bob, crowd.topic())
    assert gateway.memory() < before + 48 * MIB
    assert 200 < refusals < 300
    await counted(gateway, 'llmx_streams_ended_total{reason="slow_consumer"} 1.0')
    ended = await slow.end()
    assert ended.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "slow consumer disconnected" in gateway.log()
    assert slow.address in gateway.log()
    await negotiates(alice, bob, crowd.topic())


async def test_who_finds_a_slow_consumer_hears_that_it_is_overloaded(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    slow = await crowd.open("slow", consents=[Consent(grantee="*")])
    many = [alice.text("hi", slow.address) for _ in range(301)]
    await alice.send(*many)
    refusal = await alice.refusal(many[-1].msg_id)
    assert "RECIPIENT_OVERLOADED" in str(refusal)
    assert refusal.retry_after.ToNanoseconds() > 0
    await slow.end()
    assert slow.goodbye is not None
    assert slow.goodbye.reason == "slow_consumer"
    await alice.is_served()


async def test_an_agent_that_sends_nonsense_and_never_reads_the_answers_fills_no_memory(
    crowd: Crowd, gateway: Gateway
) -> None:
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    flooder = await crowd.open("flooder")
    before = gateway.memory()

    async def flood() -> None:
        for _ in range(100):
            await flooder.send(*[flooder.text("hi", "nowhere") for _ in range(200)])

    async with asyncio.TaskGroup() as tasks:
        flooding = tasks.create_task(flood())
        for _ in range(20):
            await negotiates(alice, bob, crowd.topic())
        flooding.cancel()
    assert gateway.memory() < before + 48 * MIB


@asynccontextmanager
async def listener(crowd: Crowd, name: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run an agent in a process of its own that listens to the topic and does nothing."""
    gateway = crowd.gateway
    token = gateway.token(crowd.name(name))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LISTENER, gateway.address, token, crowd.topic()),
        env=environment(gateway.folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        await hears(process, "welcome")
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def hears(process: asyncio.subprocess.Process, words: str) -> None:
    """Wait until the listener tells that it has heard something."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if line.startswith(words.encode()):
            return
    raise AssertionError("the listener has ended")


async def test_a_contractor_that_is_killed_is_not_waited_for(crowd: Crowd) -> None:
    """Its grace over, the round closes long before its deadline."""
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    async with listener(crowd, "carol") as carol:
        opened = await alice.call_for(crowd.topic(), reply_within=600)
        assert len(opened.eligible) == 2
        await hears(carol, f"batch {Act.ACT_CFP}")
        os.kill(carol.pid, signal.SIGKILL)
        await bob.offer(opened.negotiation_id, 10)
        outcome = await alice.outcome(opened.negotiation_id)
    assert outcome["winners"][0]["agent"] == bob.address
    assert outcome["complete"] is False
    assert outcome["closed_at"] - outcome["opened_at"] < 5
    await bob.message(Act.ACT_ACCEPT)
    await negotiates(alice, bob, crowd.topic())


async def test_a_killed_contractor_does_not_hold_up_the_deadline_either(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    async with listener(crowd, "carol") as carol:
        opened = await alice.call_for(crowd.topic(), reply_within=0.3)
        os.kill(carol.pid, signal.SIGKILL)
        await bob.offer(opened.negotiation_id, 10)
        outcome = await alice.outcome(opened.negotiation_id)
    assert outcome["state"] == "committed"


async def test_a_round_whose_initiator_has_vanished_ends_for_the_others(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    opened = await alice.call_for(crowd.topic())
    await bob.message(Act.ACT_CFP)
    await alice.close()
    await bob.offer(opened.negotiation_id, 10)
    await bob.message(Act.ACT_ACCEPT)
    await bob.is_served()


async def test_who_wrote_to_an_agent_that_never_came_back_hears_of_it(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    bob = await crowd.open("bob", consents=[Consent(grantee="*")])
    bob.acknowledges = False
    seen = await alice.say("hi", bob.address, ttl=1)
    await bob.arrival(seen)
    await bob.close()
    failure = await alice.message(Act.ACT_FAILURE)
    assert failure.in_reply_to == seen
    assert b'"expired"' in failure.payload


async def test_one_stream_too_many_is_told_the_limit(crowd: Crowd) -> None:
    agents = [await crowd.open(f"a{number}") for number in range(SESSIONS_MAX)]
    late = crowd.agent("late")
    late.connect()
    ended = await late.end()
    assert ended.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert str(SESSIONS_MAX) in ended.details
    await agents[0].call.done_writing()
    assert (await agents[0].end()).code is grpc.StatusCode.OK
    again = await crowd.open("late")
    await again.is_served()


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00", os.urandom(4096), b""]
)
async def test_noise_on_the_port_hurts_nobody(crowd: Crowd, gateway: Gateway, noise: bytes) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(noise)
    await writer.drain()
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    await negotiates(alice, bob, crowd.topic())
    writer.close()
    await writer.wait_closed()


async def test_a_control_call_with_a_broken_request_hurts_nobody(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    method = alice.channel.unary_unary("/llmx.v1.ControlService/RegisterAgent")
    with pytest.raises(grpc.aio.AioRpcError):
        await method(b"\xff\xff\xff", metadata=alice.metadata)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await alice.channel.unary_unary("/llmx.v1.ControlService/Unheard")(
            b"", metadata=alice.metadata
        )
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    await alice.is_served()


def test_the_folder_of_a_gateway_holds_only_what_it_was_given(
    gateway: Gateway, tmp_path: Path
) -> None:
    assert gateway.folder != tmp_path
    assert {path.name for path in gateway.folder.iterdir()} == {"keys.json", "state", "stderr"}


async def test_one_negotiation_too_many_is_refused_until_another_ends(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    topic = crowd.topic()
    opened = [await alice.call_for(topic, reply_within=600) for _ in range(NEGOTIATIONS_MAX)]
    late = alice.cfp(topic)
    refusal = await refused(alice, late, "OVERLOADED")
    assert not alice.openings
    for one in opened:
        await alice.do(Act.ACT_CANCEL, one.negotiation_id)
        await alice.outcome(one.negotiation_id)
    await honour(refusal)
    await alice.send(late)  # as it was: it never counted, so it is no repeat
    again = await alice.opened(late.msg_id)
    await bob.offer(again.negotiation_id, 10)
    assert (await alice.outcome(again.negotiation_id))["state"] == "committed"


async def test_a_frame_that_swells_when_it_is_unpacked_is_not_unpacked(
    crowd: Crowd, gateway: Gateway
) -> None:
    """A hundred thousand bytes on the wire would be a hundred million in the gateway."""
    packing = grpc.aio.insecure_channel(gateway.address, compression=grpc.Compression.Gzip)
    name = crowd.name("alice")
    alice = RawAgent(name, gateway.token(name), packing)
    with pytest.raises(StreamEndedError):
        await alice.open()
    assert (await alice.end()).code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNIMPLEMENTED)
    await alice.close()
    await (await crowd.open("alice")).is_served()


async def test_a_gateway_stops_though_an_agent_never_reads(tmp_path: Path) -> None:
    with running(tmp_path / "gateway", server__shutdown_grace=1) as gateway:
        crowd = Crowd(gateway)
        alice = await crowd.open("alice")
        slow = await crowd.open("slow", consents=[Consent(grantee="*")])
        await alice.send(*[alice.text("x" * 100_000, slow.address) for _ in range(30)])
        await alice.send(*[alice.text("x" * 100_000, slow.address) for _ in range(30)])
        await alice.confirmation()
        began = asyncio.get_running_loop().time()
        assert await asyncio.to_thread(gateway.stop) == 0
        assert asyncio.get_running_loop().time() - began < 8
        await crowd.close()


async def test_limits_smaller_than_the_number_of_shards_still_let_somebody_negotiate(
    tmp_path: Path,
) -> None:
    few = {"limits__negotiations_open_max": 1, "limits__negotiations_finished_max": 1}
    with running(tmp_path / "gateway", engine__shards=8, **few) as gateway:
        crowd = Crowd(gateway)
        alice = await crowd.open("alice")
        (bob,) = await crowd.contractors("bob")
        for _ in range(10):
            await negotiates(alice, bob, crowd.topic())
        await crowd.close()
