"""Whatever is wrong with a payload, its sender is shown one that is right."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import orjson
import pytest

from gateway.acts import ACT_NAMES, ACTS
from gateway.members import Tenant
from gateway.metrics import Metrics
from gateway.refusals import Fault
from gateway.settings import LimitSettings, ValidationSettings
from gateway.shipped_schemas import ACTS_OF, schema_id
from gateway.validation import Judgement, Validation

LEASE = "https://acme.example/lease.json"
TENANT = Tenant("acme")
PADDING = "x" * 2_000


def validation() -> Validation:
    return Validation(
        ValidationSettings(inline_bytes_max=1_000, budget_seconds=5.0), LimitSettings(), Metrics()
    )


async def judged(by: Validation, payload: bytes, act: int) -> Judgement:
    judgement = by.judge(payload, act, TENANT)
    return await judgement if isinstance(judgement, Awaitable) else judgement


async def corrected(by: Validation, payload: bytes, act: int) -> Fault:
    """Expect a refusal whose example is taken under the same act."""
    fault = (await judged(by, payload, act)).fault
    assert fault is not None and fault.remedy
    assert "hunter2" not in f"{fault}", "a refusal never shows what was sent"
    example = orjson.loads(fault.example)
    assert example["$schema"]
    assert (await judged(by, fault.example.encode(), act)).fault is None
    return fault


WRONG: list[tuple[bytes, str]] = [
    (b'I offer "hunter2" for it.', "INVALID_JSON"),
    (b'{"$schema": "Negotiation.json", "a": 1, "a": "hunter2"}', "INVALID_JSON"),
    (b'["hunter2"]', "SCHEMA_VIOLATION"),
    (b'{"value": "hunter2"}', "UNKNOWN_SCHEMA"),
    (b'{"$schema": "https://nobody.example/x", "value": "hunter2"}', "UNKNOWN_SCHEMA"),
    *(
        (orjson.dumps({"$schema": schema_id(name), "act": 7, "text": ["hunter2"]}), "")
        for name in ACTS_OF
    ),
]


@pytest.mark.parametrize("act", sorted(ACT_NAMES))
def test_every_refusal_of_a_payload_bears_one_that_is_valid(act: int) -> None:
    async def scene() -> None:
        by = validation()
        for payload, code in WRONG:
            fault = await corrected(by, payload, act)
            assert fault.code == (code or "SCHEMA_VIOLATION")

    asyncio.run(scene())


@pytest.mark.slow
def test_a_worker_corrects_as_well_under_schemas_of_both_kinds() -> None:
    lease: dict[str, Any] = {
        "$id": LEASE,
        "type": "object",
        "required": ["terms"],
        "properties": {"terms": {"type": "object", "required": ["gpus"]}},
    }
    odd = {"$id": f"{LEASE}x", "type": "object", "required": ["no_such_member"]}

    async def scene() -> None:
        async with validation() as by:
            for schema in (lease, odd):
                assert await by.register("acme", orjson.dumps(schema)) == schema["$id"]
            for act in (ACTS["message"], ACTS["offer"], ACTS["thinking"], ACTS["cfp"]):
                for payload, _ in WRONG:
                    padded = payload[:-1] + b"," + orjson.dumps(PADDING)[:-1] + payload[-1:]
                    if payload[:1] == b"{":
                        padded = payload[:-1] + b',"pad":' + orjson.dumps(PADDING) + b"}"
                    await corrected(by, padded, act)
                for schema in (lease, odd):
                    wrong = orjson.dumps({"$schema": schema["$id"], "terms": "hunter2"})
                    await corrected(by, wrong, act)
            own = await corrected(
                by, orjson.dumps({"$schema": LEASE, "value": 1, "terms": 5}), ACTS["offer"]
            )
            assert orjson.loads(own.example) == {
                "$schema": LEASE,
                "value": 42.5,
                "terms": {"gpus": "a"},
            }

    asyncio.run(scene())


@pytest.mark.slow
def test_a_schema_whose_examples_would_never_end_is_registered_without() -> None:
    """The worker lives on, and what the act itself asks for is shown."""
    layers = {f"l{n}": {"anyOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(48)}
    endless = {"$id": LEASE, "$ref": "#/$defs/l0", "$defs": {**layers, "l48": {"minimum": 3}}}
    slow = {
        "$id": f"{LEASE}2",
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"allOf": [{"not": {"$ref": "#/$defs/l0"}}]}},
        "$defs": {**layers, "l48": {"type": "integer"}},
    }

    async def scene() -> None:
        settings = ValidationSettings(budget_seconds=0.5)
        async with Validation(settings, LimitSettings(), Metrics()) as by:
            pids = by._pool.pids
            for schema in (endless, slow):
                assert await by.register("acme", orjson.dumps(schema)) == schema["$id"]
            assert by._pool.pids == pids

    asyncio.run(scene())
