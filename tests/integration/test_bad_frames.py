"""Frames and payloads that are too large or no frames at all: refused, and the stream lives on."""

from __future__ import annotations

import pytest

from llmx.v1.envelope_pb2 import Act
from llmx.v1.exchange_service_pb2 import ExchangeRequest, RequestBatch
from llmx.v1.refusal_pb2 import Refusal, RefusalCode
from llmx.wire.v1.frame_pb2 import RequestBatchBytes, RequestFrame
from tests.support.gateways import Gateway
from tests.support.raw_agent import Crowd, RawAgent, refused

MIB = 1024 * 1024
FRAME_BYTES_MAX = 4 * MIB
PAYLOAD_BYTES_MAX = 256 * 1024


async def refused_frame(agent: RawAgent, code: str) -> Refusal:
    """Expect the refusal of a frame, which names no message, on a stream that lives on."""
    refusal = await agent.refusal("")
    assert RefusalCode.Name(refusal.code) == f"REFUSAL_CODE_{code}"
    assert refusal.reason
    assert refusal.remedy
    await agent.is_served()
    return refusal


async def test_the_welcome_tells_the_limits(crowd: Crowd) -> None:
    welcome = await crowd.agent("alice").open()
    assert welcome.frame_bytes_max == FRAME_BYTES_MAX
    assert welcome.payload_bytes_max == PAYLOAD_BYTES_MAX
    assert welcome.tenant == "default"
    assert welcome.gateway_id == crowd.gateway.gateway_id


async def test_a_frame_over_the_limit_is_refused(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    payload = b"x" * PAYLOAD_BYTES_MAX
    many = [alice.envelope(Act.ACT_MESSAGE, payload) for _ in range(17)]
    await alice.send(*many)
    refusal = await refused_frame(alice, "TOO_LARGE")
    assert str(FRAME_BYTES_MAX) in refusal.remedy


@pytest.mark.slow
async def test_a_payload_of_a_hundred_megabytes_is_refused_and_its_memory_given_back(
    crowd: Crowd, gateway: Gateway
) -> None:
    alice = await crowd.open("alice")
    before = gateway.memory()
    payload = bytes(100 * MIB)
    for _ in range(4):
        await alice.send(alice.envelope(Act.ACT_MESSAGE, payload))
        refusal = await refused_frame(alice, "TOO_LARGE")
        assert str(100 * MIB)[:3] in refusal.reason
    # The allocator keeps some of it for the next; what it must not keep is all.
    assert gateway.memory() < before + 300 * MIB


async def test_a_payload_over_the_limit_is_refused(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    text = "x" * (PAYLOAD_BYTES_MAX + 1)
    await refused(
        alice,
        alice.text(text, alice.address),
        "TOO_LARGE",
        "/payload",
        remedy=str(PAYLOAD_BYTES_MAX),
    )


async def test_an_envelope_that_is_too_large_around_its_payload_is_refused(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    envelope = alice.text("hi", alice.address)
    envelope.scope.consent = "x" * (PAYLOAD_BYTES_MAX + 70_000)
    await refused(alice, envelope, "TOO_LARGE", "/payload")


@pytest.mark.slow
async def test_no_frame_is_larger_than_the_limit_though_much_is_queued(crowd: Crowd) -> None:
    """Grpc libraries take messages of 4 MiB unless they are told otherwise."""
    alice = await crowd.open("alice")
    (away,) = await crowd.contractors("bob")
    away.call.cancel()
    sent: list[str] = []
    for _ in range(25):
        many = [alice.text("y" * 2_000, crowd.topic()) for _ in range(100)]
        await alice.send(*many)
        sent.extend(envelope.msg_id for envelope in many)
    await alice.confirmation()
    (bob,) = await crowd.contractors("bob")
    for msg_id in sent:
        await bob.arrival(msg_id)
    await bob.is_served()


async def test_a_frame_that_is_no_protobuf_is_refused(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    await alice.write_bytes(b"\xff\xff this is no protobuf \xff")
    refusal = await refused_frame(alice, "MALFORMED_FRAME")
    assert "ExchangeRequest" in refusal.remedy


async def test_an_envelope_that_is_no_protobuf_is_refused_alone(crowd: Crowd) -> None:
    """The others in its frame are admitted."""
    alice = await crowd.open("alice")
    before, after = (alice.text(word, alice.address) for word in ("before", "after"))
    alice.number += 1
    batch = RequestBatchBytes(
        envelopes=[before.SerializeToString(), b"\x0f\xff", after.SerializeToString()]
    )
    frame = RequestFrame(number=alice.number, batch=batch)
    await alice.write_bytes(frame.SerializeToString())
    await alice.arrival(before.msg_id)
    await alice.arrival(after.msg_id)
    refusal = await refused_frame(alice, "MALFORMED_ENVELOPE")
    assert "Envelope" in refusal.remedy


async def test_a_header_that_is_not_utf8_is_refused(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    envelope = alice.text("hi", alice.address).SerializeToString()
    broken = envelope.replace(alice.name.encode(), b"\xc3\x28" + alice.name.encode()[2:])
    alice.number += 1
    frame = RequestFrame(number=alice.number, batch=RequestBatchBytes(envelopes=[broken]))
    await alice.write_bytes(frame.SerializeToString())
    await refused_frame(alice, "MALFORMED_ENVELOPE")


async def test_an_empty_frame_and_an_empty_batch_are_confirmed(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    await alice.write()
    await alice.write(batch=RequestBatch())
    await alice.confirmation()
    await alice.is_served()


async def test_a_frame_with_fields_of_a_later_version_is_read_as_far_as_it_is_known(
    crowd: Crowd,
) -> None:
    alice = await crowd.open("alice")
    message = alice.text("hi", alice.address)
    alice.number += 1
    frame = ExchangeRequest(number=alice.number, batch=RequestBatch(envelopes=[message]))
    unknown_field = b"\xfa\x3f\x02hi"  # number 1023, two bytes
    await alice.write_bytes(frame.SerializeToString() + unknown_field)
    await alice.arrival(message.msg_id)
    await alice.is_served()


async def test_acknowledging_what_never_came_changes_nothing(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    await alice.acknowledge("never", "", "x" * 1_000)
    await alice.confirmation()
    await alice.is_served()
