"""Schemas of the agents' own: what may be registered, and what judges in time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import grpc
import pytest

from llmx.v1.consent_pb2 import Consent
from llmx.v1.control_service_pb2 import (
    GetSchemaRequest,
    ListSchemasRequest,
    RegisterSchemaRequest,
)
from llmx.v1.envelope_pb2 import Act, Envelope
from tests.support.raw_agent import NEGOTIATION, TEXT, Crowd, RawAgent, refused

LEASE: dict[str, Any] = {
    "type": "object",
    "required": ["$schema", "gpus"],
    "properties": {
        "$schema": {"type": "string"},
        "gpus": {"type": "integer", "minimum": 1, "maximum": 8},
        "iban": {"type": "string", "x-sensitive": True},
        "owner": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "phone": {"x-sensitive": True}},
        },
    },
    "additionalProperties": False,
}


async def register(agent: RawAgent, schema: Mapping[str, Any] | bytes) -> str:
    """Register a schema; returns the id to name it by."""
    text = schema if isinstance(schema, bytes) else json.dumps(schema).encode()
    answer = await agent.control.RegisterSchema(
        RegisterSchemaRequest(schema=text), metadata=agent.metadata
    )
    schema_id: str = answer.schema_id
    return schema_id


async def rejected(agent: RawAgent, schema: Mapping[str, Any] | bytes) -> str:
    """Expect that a schema is not taken; return what was said. The stream lives on."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await register(agent, schema)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    details = caught.value.details() or ""
    assert details.startswith("SCHEMA_REJECTED: ")
    await agent.is_served()
    return details


def named(crowd: Crowd, schema: Mapping[str, Any], name: str = "lease") -> dict[str, Any]:
    return {"$id": f"https://acme.example/{name}-{crowd.tag}.json", **schema}


def under(agent: RawAgent, schema_id: str, *to: str, **fields: object) -> Envelope:
    """Return a message whose payload names a schema."""
    payload = json.dumps({"$schema": schema_id, **fields}).encode()
    return agent.envelope(Act.ACT_MESSAGE, payload, recipients=to or [agent.address])


async def test_a_registered_schema_judges_the_payloads_that_name_it(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    schema = named(crowd, {**LEASE, "examples": [{"$schema": "lease", "gpus": 2}]})
    schema_id = await register(alice, schema)
    assert schema_id == schema["$id"]
    assert await register(alice, schema) == schema_id, "a repeat with the same text is fine"
    good = under(alice, schema_id, gpus=4)
    await alice.send(good)
    assert (await alice.arrival(good.msg_id)).payload == good.payload
    bad = under(alice, schema_id, gpus=9)
    refusal = await refused(
        alice, bad, "SCHEMA_VIOLATION", "/payload/gpus", reason="too large", remedy="8 or less"
    )
    assert json.loads(refusal.example)["gpus"] == 2


async def test_a_whole_round_under_registered_schemas(crowd: Crowd) -> None:
    """The acts keep their own schema; what travels beside them has the agents'."""
    alice = await crowd.open("alice", consents=[Consent(grantee="*")])
    (bob,) = await crowd.contractors("bob")
    schema_id = await register(alice, named(crowd, LEASE))
    opened = await alice.call_for(crowd.topic(), task={"schema": schema_id})
    question = under(bob, schema_id, alice.address, gpus=2)
    await bob.send(question)
    await alice.arrival(question.msg_id)
    await bob.offer(opened.negotiation_id, 10)
    assert (await alice.outcome(opened.negotiation_id))["state"] == "committed"


async def test_a_schema_is_known_to_its_tenant_only(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    stranger = await crowd.open("stranger", claims={"tenant": f"t-{crowd.tag}"})
    schema_id = await register(alice, named(crowd, LEASE))
    envelope = under(stranger, schema_id, gpus=1)
    await refused(stranger, envelope, "UNKNOWN_SCHEMA", "/payload/$schema")
    for agent, is_known in ((alice, True), (stranger, False)):
        listed = await agent.control.ListSchemas(ListSchemasRequest(), metadata=agent.metadata)
        assert (schema_id in listed.schema_ids) is is_known
        assert {TEXT, NEGOTIATION} <= set(listed.schema_ids)
    request = GetSchemaRequest(schema_id=schema_id)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stranger.control.GetSchema(request, metadata=stranger.metadata)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_schema_is_returned_as_it_was_given(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    text = json.dumps(named(crowd, LEASE), indent=3).encode()
    schema_id = await register(alice, text)
    for name, expected in ((schema_id, text), ("Text.json", None)):
        answer = await alice.control.GetSchema(
            GetSchemaRequest(schema_id=name), metadata=alice.metadata
        )
        assert expected is None or answer.schema == expected
        json.loads(answer.schema)


async def test_another_schema_under_a_known_id_is_rejected(crowd: Crowd) -> None:
    alice = await crowd.open("alice")
    await register(alice, named(crowd, LEASE))
    details = await rejected(alice, named(crowd, {"type": "string"}))
    assert "new $id" in details


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "https://evil.example/schema.json"}, "nothing is fetched"),
        ({"$ref": "file:///etc/passwd"}, "nothing is fetched"),
        ({"properties": {"x": {"$ref": "http://169.254.169.254/"}}}, "nothing is fetched"),
        ({"$ref": "#/$defs/nowhere"}, "no subschema"),
        ({"$ref": "#"}, "circle"),
        ({"allOf": [{"$ref": "#"}]}, "circle"),
        ({"type": "objekt"}, "2020-12"),
        ({"minimum": "much"}, "2020-12"),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, "2020-12"),
        ({"pattern": "(?=a)b"}, "linear time"),
        ({"pattern": r"(a)\1"}, "linear time"),
        ({"pattern": "((a{1,100}){1,100}){1,100}"}, "linear time"),
        ({"pattern": "x" * 300}, "at most 256"),
        ({"x-sensitive": True}, "whole payload"),
        ({"$id": "lease.json"}, "$id"),
        ({"$id": "https://llm-x.org/schemas/v1/Text.json"}, "address of yours"),
        ({"enum": ["x" * 70_000]}, "64 KiB"),
        ({"allOf": [{}] * 1100}, "1000"),
    ],
)
async def test_a_schema_that_is_not_acceptable_is_told_why(
    crowd: Crowd, schema: dict[str, Any], words: str
) -> None:
    alice = await crowd.open("alice")
    assert words in await rejected(alice, named(crowd, {"type": "object"}) | schema)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b'{"$id": NaN}', b"true", b'{"a":' * 100 + b"1" + b"}" * 100]
)
async def test_what_is_no_schema_at_all_is_rejected(crowd: Crowd, text: bytes) -> None:
    alice = await crowd.open("alice")
    await rejected(alice, text)


@pytest.mark.slow
async def test_a_pattern_that_would_backtrack_forever_judges_at_once(crowd: Crowd) -> None:
    """It runs in linear time here, so there is nothing to refuse it for."""
    alice = await crowd.open("alice")
    schema = {"type": "object", "properties": {"x": {"type": "string", "pattern": "^(a+)+$"}}}
    schema_id = await register(alice, named(crowd, schema))
    bad = under(alice, schema_id, x="a" * 5_000 + "!")
    await refused(alice, bad, "SCHEMA_VIOLATION", "/payload/x")
    good = under(alice, schema_id, x="a" * 5_000)
    await alice.send(good)
    await alice.arrival(good.msg_id)


def slow_schema(crowd: Crowd) -> dict[str, Any]:
    """Return a schema that takes two to the thirtieth steps."""
    fan: dict[str, Any] = {"d0": {"type": "integer"}}
    for level in range(1, 31):
        below = {"$ref": f"#/$defs/d{level - 1}"}
        fan[f"d{level}"] = {"allOf": [below, below]}
    properties = {"x": {"$ref": "#/$defs/d30"}}
    return named(crowd, {"type": "object", "properties": properties, "$defs": fan}, "slow")


@pytest.mark.slow
async def test_a_schema_that_takes_too_long_costs_its_sender_one_message_and_nobody_else(
    crowd: Crowd,
) -> None:
    mallory, alice = await crowd.open("mallory"), await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    schema_id = await register(mallory, slow_schema(crowd))
    slow = under(mallory, schema_id, x=1)

    async def rounds() -> int:
        """Negotiate until the slow payload was judged."""
        count = 0
        while not judging.done():
            opened = await alice.call_for(crowd.topic())
            await bob.offer(opened.negotiation_id, 10)
            outcome = await alice.outcome(opened.negotiation_id)
            assert outcome["decided_at"] - outcome["opened_at"] < 0.4
            count += 1
        return count

    async with asyncio.TaskGroup() as tasks:
        judging = tasks.create_task(
            refused(mallory, slow, "VALIDATION_TIMEOUT", remedy="cheaper to judge")
        )
        negotiating = tasks.create_task(rounds())
    assert negotiating.result() >= 3
    # The worker was replaced: what is quick is judged again.
    quick = await register(mallory, named(crowd, LEASE))
    good = under(mallory, quick, gpus=1)
    await mallory.send(good)
    await mallory.arrival(good.msg_id)


async def test_sensitive_fields_reach_only_whom_has_consented_to_them(crowd: Crowd) -> None:
    """The rest of the payload reaches everybody."""
    alice = await crowd.open("alice")
    schema_id = await register(alice, named(crowd, LEASE))
    name = alice.address
    consents = {
        "none": [],
        "one": [Consent(grantee=name, fields=["/iban"])],
        "deep": [Consent(grantee=name, fields=["/owner"])],
        "all": [Consent(grantee="*", fields=["*"])],
        "others": [Consent(grantee="agent://somebody-else", fields=["*"])],
    }
    agents = {
        word: (await crowd.contractors(word, consents=given))[0] for word, given in consents.items()
    }
    whole = {"gpus": 4, "iban": "DE00", "owner": {"name": "Ann", "phone": "555"}}
    envelope = under(alice, schema_id, crowd.topic(), **whole)
    await alice.send(envelope)
    seen = {}
    for word, agent in agents.items():
        seen[word] = json.loads((await agent.arrival(envelope.msg_id)).payload)
        assert seen[word].pop("$schema") == schema_id
    nothing = {"gpus": 4, "owner": {"name": "Ann"}}
    assert seen == {
        "none": nothing,
        "one": {**nothing, "iban": "DE00"},
        "deep": {**nothing, "owner": whole["owner"]},
        "all": whole,
        "others": nothing,
    }


@pytest.mark.parametrize(
    ("act", "fields"),
    [
        (Act.ACT_CFP, {}),
        (Act.ACT_CFP, {"reply_within": "soon"}),
        (Act.ACT_CFP, {"reply_within": 5, "policy": 7}),
        (Act.ACT_CFP, {"deadline": 7}),
        (Act.ACT_OFFER, {}),
        (Act.ACT_OFFER, {"value": "cheap"}),
        (Act.ACT_OFFER, {"value": 1, "valid_for": "ever", "conditions": 7}),
        (Act.ACT_ACCEPT, {}),
        (Act.ACT_CONFIRM, {"offer_id": 7}),
        (Act.ACT_REFUSE, {"reason": []}),
        (Act.ACT_CANCEL, {"reason": {}}),
        (Act.ACT_INFORM, {"done": "perhaps"}),
    ],
)
async def test_an_act_under_a_schema_of_an_agents_own_must_still_be_what_the_act_needs(
    crowd: Crowd, act: Act, fields: dict[str, object]
) -> None:
    """A schema that allows anything must not get anything into the engine."""
    alice = await crowd.open("alice")
    (bob,) = await crowd.contractors("bob")
    schema_id = await register(bob, named(crowd, {"type": "object"}, "anything"))
    opened = await alice.call_for(crowd.topic())
    payload = json.dumps({"$schema": schema_id, **fields}).encode()
    header = (
        {"recipients": [bob.address, crowd.topic()]}
        if act == Act.ACT_CFP
        else {"negotiation_id": opened.negotiation_id}
    )
    envelope = bob.envelope(act, payload, **header)
    await bob.send(envelope)
    refusal = await bob.refusal(envelope.msg_id)
    assert refusal.reason
    assert refusal.remedy
    await bob.offer(opened.negotiation_id, 10)
    assert (await alice.outcome(opened.negotiation_id))["state"] == "committed"
