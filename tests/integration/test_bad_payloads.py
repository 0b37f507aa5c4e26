"""Payloads that break their schema, or are no JSON: refused with a pointer and an example."""

from __future__ import annotations

import json

import pytest

from llmx.v1.envelope_pb2 import Act
from tests.support.raw_agent import NEGOTIATION, SCHEMAS, TEXT, Crowd, RawAgent, refused

HEAD = f'{{"$schema":"{TEXT}","text":"hi"'.encode()


async def refused_json(alice: RawAgent, payload: bytes, pointer: str = "", **words: str) -> None:
    envelope = alice.envelope(Act.ACT_MESSAGE, payload, recipients=[alice.address])
    await refused(alice, envelope, "INVALID_JSON", f"/payload{pointer}", **words)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (HEAD, "not JSON"),
        (HEAD + b",}", "not JSON"),
        (HEAD + b"} {}", "not JSON"),
        (HEAD + b',"x":NaN}', "NaN"),
        (HEAD + b',"x":-Infinity}', "Infinity"),
        (HEAD + b',"x":1e999}', ""),
        (HEAD + b',"x":"\xff\xfe"}', "UTF-8"),
        (HEAD + b',"x":"\xed\xa0\x80"}', "UTF-8"),
        ("\ufeff".encode() + HEAD + b"}", ""),
        (HEAD + b',"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "deeper"),
        (HEAD + b',"x":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}", "deeper"),
        (HEAD + b',"x":' + b"[" * 10_000, ""),
    ],
)
async def test_a_payload_that_is_no_json_is_refused(
    crowd: Crowd, payload: bytes, reason: str
) -> None:
    await refused_json(await crowd.open("alice"), payload, reason=reason)


async def test_a_key_that_stands_twice_is_pointed_at(crowd: Crowd) -> None:
    """Of two programs one believes the first and one the last."""
    alice = await crowd.open("alice")
    await refused_json(alice, HEAD + b',"text":"ho"}', "/text", reason="twice")
    escaped = HEAD + b',"te\\u0078t":"ho"}'
    await refused_json(alice, escaped, "/text", reason="twice")


async def test_an_integer_beyond_64_bits_is_pointed_at(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    await refused_json(alice, HEAD + b',"x":123456789012345678901}', "/x", reason="64 bits")
    await refused_json(alice, HEAD + b',"x":[0,-' + b"9" * 300 + b"]}", "/x/1", reason="64 bits")
    await refused_json(alice, HEAD + b',"x":' + b"9" * 5_000 + b"}", remedy="64-bit float")


@pytest.mark.parametrize("payload", [b"[1, 2]", b"17", b'"words"', b"null", b"true"])
async def test_a_payload_that_is_no_object_is_refused(crowd: Crowd, payload: bytes) -> None:
    alice = await crowd.open("alice")
    envelope = alice.envelope(Act.ACT_MESSAGE, payload, recipients=[alice.address])
    await refused(alice, envelope, "SCHEMA_VIOLATION", "/payload", remedy="object")


@pytest.mark.parametrize(
    "payload",
    [
        b'{"text":"hi"}',
        b'{"$schema":7,"text":"hi"}',
        b'{"$schema":null,"text":"hi"}',
        b'{"$schema":"","text":"hi"}',
        b'{"$schema":"https://nobody.example/unheard-of.json","text":"hi"}',
    ],
)
async def test_a_payload_of_an_unknown_schema_is_told_one_that_is_known(
    crowd: Crowd, payload: bytes
) -> None:
    alice = await crowd.open("alice")
    envelope = alice.envelope(Act.ACT_MESSAGE, payload, recipients=[alice.address])
    refusal = await refused(
        alice, envelope, "UNKNOWN_SCHEMA", "/payload/$schema", remedy="RegisterSchema"
    )
    await accepted_as_message(alice, refusal.example)


async def accepted_as_message(agent: RawAgent, example: str) -> None:
    """Expect that an example is as valid as it claims."""
    again = agent.envelope(Act.ACT_MESSAGE, example.encode(), recipients=[agent.address])
    await agent.send(again)
    arrived = await agent.arrival(again.msg_id)
    assert arrived.payload == example.encode()


@pytest.mark.parametrize(
    ("fields", "pointer", "remedy"),
    [
        ({}, "", "text"),
        ({"text": 7}, "/text", "string"),
        ({"text": ""}, "/text", "at least 1"),
        ({"text": "hi", "mood": "good"}, "/mood", "Remove"),
        ({"text": "hi", "media_type": "text/html"}, "/media_type", "text/plain"),
        ({"text": "hi", "act": "cfp"}, "/act", ""),
    ],
)
async def test_a_message_that_breaks_its_schema_gets_a_pointer_and_a_valid_example(
    crowd: Crowd, fields: dict[str, object], pointer: str, remedy: str
) -> None:
    alice = await crowd.open("alice")
    envelope = alice.envelope(Act.ACT_MESSAGE, fields, recipients=[alice.address])
    refusal = await refused(
        alice, envelope, "SCHEMA_VIOLATION", f"/payload{pointer}", remedy=remedy
    )
    await accepted_as_message(alice, refusal.example)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({}, ""),
        ({"reply_within": 0}, "/reply_within"),
        ({"reply_within": "soon"}, "/reply_within"),
        ({"reply_within": 5, "deadline": "2026-11-21T08:00Z"}, ""),
        ({"deadline": "tomorrow"}, "/deadline"),
        ({"reply_within": 5, "max_awards": 0}, "/max_awards"),
        ({"reply_within": 5, "utility": "v" * 513}, "/utility"),
        ({"reply_within": 5, "decider": "fate"}, "/decider"),
        ({"reply_within": 5, "task": 7}, "/task"),
        ({"reply_within": 5, "policy": {"quorum": -1}}, "/policy/quorum"),
        ({"reply_within": 5, "policy": {"speed": 9}}, "/policy/speed"),
        ({"reply_within": 5, "policy": 7}, "/policy"),
    ],
)
async def test_a_call_that_breaks_its_schema_gets_a_pointer_and_a_valid_example(
    crowd: Crowd, fields: dict[str, object], pointer: str
) -> None:
    alice = await crowd.open("alice")
    await crowd.contractors("bob")
    envelope = alice.envelope(Act.ACT_CFP, fields, recipients=[crowd.topic()])
    refusal = await refused(alice, envelope, "SCHEMA_VIOLATION", f"/payload{pointer}")
    example = json.loads(refusal.example)
    del example["$schema"]
    await alice.call_for(crowd.topic(), **(example | {"reply_within": 5}))


@pytest.mark.parametrize(
    ("act", "fields", "pointer"),
    [
        (Act.ACT_OFFER, {}, ""),
        (Act.ACT_OFFER, {"value": "cheap"}, "/value"),
        (Act.ACT_OFFER, {"value": 1, "valid_for": -1}, "/valid_for"),
        (Act.ACT_OFFER, {"value": 1, "discount": 5}, "/discount"),
        (Act.ACT_COUNTER, {"value": 1}, ""),
        (Act.ACT_ACCEPT, {"offer_id": "o"}, ""),
        (Act.ACT_ACCEPT, {"offer_id": "o", "decision": "rejected"}, "/decision"),
        (Act.ACT_CONFIRM, {}, ""),
        (Act.ACT_FAILURE, {}, ""),
        (Act.ACT_CANCEL, {"reason": 7}, "/reason"),
        (Act.ACT_INFORM, {"done": "yes"}, "/done"),
    ],
)
async def test_an_act_that_breaks_its_schema_is_refused_and_the_round_goes_on(
    crowd: Crowd, act: Act, fields: dict[str, object], pointer: str
) -> None:
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    opened = await alice.call_for(crowd.topic())
    envelope = bob.envelope(act, fields, negotiation_id=opened.negotiation_id)
    refusal = await refused(bob, envelope, "SCHEMA_VIOLATION", f"/payload{pointer}")
    assert refusal.negotiation_id == opened.negotiation_id
    assert json.loads(refusal.example)["$schema"] == NEGOTIATION
    await bob.offer(opened.negotiation_id, 10)
    await bob.message(Act.ACT_ACCEPT)
    outcome = await alice.outcome(opened.negotiation_id)
    assert outcome["malformed"] == (act == Act.ACT_OFFER)
    assert outcome["state"] == "committed"


async def test_a_broken_act_of_an_unknown_negotiation_is_refused_once(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    opened = await alice.call_for(crowd.topic())
    gateway_id, shard, unique = opened.negotiation_id.split(".")
    unknown = f"{gateway_id}.{shard}.0{unique}"
    envelope = bob.envelope(Act.ACT_OFFER, {}, negotiation_id=unknown)
    await refused(bob, envelope, "SCHEMA_VIOLATION", "/payload")
    assert not bob.refused(envelope.msg_id)


async def test_an_act_that_its_schema_does_not_judge_is_told_what_does(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    payload = json.dumps({"$schema": NEGOTIATION, "value": 7}).encode()
    envelope = alice.envelope(Act.ACT_MESSAGE, payload, recipients=[alice.address])
    await refused(alice, envelope, "SCHEMA_VIOLATION", "/payload/$schema", remedy="Text.json")


@pytest.mark.parametrize(
    "name", [TEXT, "Text.json", "https://example.org/llmx/Text.json", f"{SCHEMAS}old/Text.json"]
)
async def test_a_shipped_schema_is_known_by_the_name_of_its_file(crowd: Crowd, name: str) -> None:
    alice = await crowd.open("alice")
    payload = json.dumps({"$schema": name, "text": "hi"}).encode()
    envelope = alice.envelope(Act.ACT_MESSAGE, payload, recipients=[alice.address])
    await alice.send(envelope)
    assert (await alice.arrival(envelope.msg_id)).payload == payload


async def test_a_payload_is_forwarded_as_the_same_bytes(crowd: Crowd) -> None:
    """Blanks, order and escapes are the sender's: somebody may have signed them."""
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    payload = b'{ "text" : "gr\\u00fc\\u00dfe \xf0\x9f\x8e\x89",\n\t"$schema":"Text.json" }'
    envelope = alice.envelope(Act.ACT_MESSAGE, payload, recipients=[crowd.topic()])
    await alice.send(envelope)
    arrived = await bob.arrival(envelope.msg_id)
    assert arrived == envelope


@pytest.mark.parametrize("size", [9_000, 130_000])
async def test_a_large_payload_is_judged_as_a_small_one_is(crowd: Crowd, size: int) -> None:
    """It goes to a worker process, and comes to the same verdict."""
    alice = await crowd.open("alice")
    good = alice.text("x" * size, alice.address)
    await alice.send(good)
    assert (await alice.arrival(good.msg_id)).payload == good.payload
    fields = {"text": "x" * size, "mood": "good"}
    bad = alice.envelope(Act.ACT_MESSAGE, fields, recipients=[alice.address])
    refusal = await refused(alice, bad, "SCHEMA_VIOLATION", "/payload/mood")
    await accepted_as_message(alice, refusal.example)
    payload = HEAD + b',"text":"' + b"y" * size + b'"}'
    await refused_json(alice, payload, "/text", reason="twice")
    nested = HEAD + b',"x":' + b"[" * size + b"]" * size + b"}"
    if len(nested) < 256 * 1024:
        await refused_json(alice, nested, reason="deeper")
    lost = json.dumps({"$schema": "nowhere.json", "text": "x" * size}).encode()
    unknown = alice.envelope(Act.ACT_MESSAGE, lost, recipients=[alice.address])
    await refused(alice, unknown, "UNKNOWN_SCHEMA", "/payload/$schema")


async def test_a_refusal_never_repeats_what_the_payload_said(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    marker = f"secret-{crowd.tag}"
    for fields in ({"text": 7, marker[:6]: marker}, {"text": "hi", "language": marker + "!"}):
        envelope = alice.envelope(Act.ACT_MESSAGE, fields, recipients=[alice.address])
        await alice.send(envelope)
        assert marker not in str(await alice.refusal(envelope.msg_id))
