"""The verdict on a payload, wherever it is reached."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from gateway.members import Tenant
from gateway.metrics import Metrics
from gateway.refusals import Fault
from gateway.settings import LimitSettings, ValidationSettings
from gateway.validation import Judgement, Validation
from llmx.v1.envelope_pb2 import Act

SHIPPED = "https://llm-x.org/schemas/v1/"
LEASE = "https://acme.example/lease.json"
SCHEMA = {
    "$id": LEASE,
    "type": "object",
    "properties": {"gpus": {"type": "integer"}, "owner": {"x-sensitive": True}},
    "required": ["gpus"],
}
ACME, UMBRELLA = Tenant("acme"), Tenant("umbrella")


def play(scene: Callable[[Validation], Awaitable[None]], **limits: Any) -> Metrics:
    metrics = Metrics()

    async def run() -> None:
        settings = ValidationSettings(inline_bytes_max=1_000, budget_seconds=5)
        async with Validation(settings, LimitSettings(**limits), metrics) as validation:
            await scene(validation)

    asyncio.run(run())
    return metrics


async def judged(
    validation: Validation, body: object, act: Act = Act.ACT_OFFER, tenant: Tenant = ACME
) -> Judgement:
    payload = body if isinstance(body, bytes) else orjson.dumps(body)
    judgement = validation.judge(payload, act, tenant)
    return judgement if isinstance(judgement, Judgement) else await judgement


def code(judgement: Judgement) -> str:
    return "" if judgement.fault is None else judgement.fault.code


OFFER = {"$schema": f"{SHIPPED}Negotiation.json", "value": 3}


@pytest.mark.slow
def test_what_is_small_and_ours_is_judged_here_and_the_rest_in_a_worker() -> None:
    async def scene(validation: Validation) -> None:
        assert await judged(validation, OFFER) == Judgement(OFFER)
        big = OFFER | {"text": "x" * 2_000}
        assert await judged(validation, big) == Judgement(big)
        assert code(await judged(validation, big | {"value": "dear"})) == "SCHEMA_VIOLATION"

    metrics = play(scene)
    assert (metrics.validated_inline, metrics.validated_in_worker) == (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("padding", [0, 2_000])
def test_a_payload_is_refused_for_the_same_reason_wherever_it_is_judged(padding: int) -> None:
    text = b'"' + b"x" * padding + b'"'
    bodies = {
        b'{"$schema": ' + text: "INVALID_JSON",
        b"[" + text + b"]": "SCHEMA_VIOLATION",
        b'{"text": ' + text + b"}": "UNKNOWN_SCHEMA",
        b'{"$schema": 3, "text": ' + text + b"}": "UNKNOWN_SCHEMA",
        b'{"$schema": "https://x.example/y", "text": ' + text + b"}": "UNKNOWN_SCHEMA",
        b'{"$schema": "Negotiation.json", "value": 1, "value": 2, "text": '
        + text
        + b"}": "INVALID_JSON",
    }

    async def scene(validation: Validation) -> None:
        for body, expected in bodies.items():
            assert code(await judged(validation, body)) == expected, body[:60]

    play(scene)


@pytest.mark.slow
def test_a_registered_schema_counts_for_its_tenant_only() -> None:
    async def scene(validation: Validation) -> None:
        assert await validation.register("acme", orjson.dumps(SCHEMA)) == LEASE
        body = {"$schema": LEASE, "gpus": 4, "owner": "alice"}
        assert await judged(validation, body, Act.ACT_MESSAGE) == Judgement(body, None, ("/owner",))
        refused = await judged(validation, {"$schema": LEASE}, Act.ACT_MESSAGE)
        assert code(refused) == "SCHEMA_VIOLATION"
        foreign = await judged(validation, body, Act.ACT_MESSAGE, UMBRELLA)
        assert code(foreign) == "UNKNOWN_SCHEMA"
        assert validation.text_of("acme", LEASE) == orjson.dumps(SCHEMA)
        assert validation.text_of("umbrella", LEASE) is None
        assert LEASE in validation.ids("acme") and LEASE not in validation.ids("umbrella")
        assert validation.text_of("acme", "Text.json") is not None

    play(scene)


@pytest.mark.slow
def test_a_schema_is_never_changed_under_its_id() -> None:
    async def scene(validation: Validation) -> None:
        text = orjson.dumps(SCHEMA)
        assert await validation.register("acme", text) == LEASE
        assert await validation.register("acme", text) == LEASE
        other = await validation.register("acme", orjson.dumps(SCHEMA | {"type": "array"}))
        assert isinstance(other, Fault) and other.code == "SCHEMA_REJECTED"
        full = await validation.register("acme", orjson.dumps(SCHEMA | {"$id": LEASE + "2"}))
        assert isinstance(full, Fault) and full.code == "OVERLOADED"
        broken = await validation.register("acme", b"{")
        assert isinstance(broken, Fault) and broken.code == "SCHEMA_REJECTED"

    play(scene, schemas_per_tenant_max=1)
