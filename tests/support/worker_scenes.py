"""Scenes with a real pool of validation workers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from gateway.acts import ACTS
from gateway.refusals import Fault
from gateway.schemas import ForeignSchema, SchemaRegistry
from gateway.shipped_schemas import schema_id
from gateway.workers import Task, ValidationPool, Verdict

NEGOTIATION = schema_id("Negotiation")
SHIPPED = SchemaRegistry().shipped[NEGOTIATION]
ID = "https://acme.example/lease.json"
OFFER = ACTS["offer"]
MESSAGE = ACTS["message"]
GOOD = Task(orjson.dumps({"$schema": NEGOTIATION, "value": 1}), OFFER, SHIPPED)
GENEROUS = 5.0
"""Seconds; a budget that only a payload that never ends uses up."""

Play = Callable[[ValidationPool], Awaitable[None]]


def play(scene: Play, size: int = 1, **settings: Any) -> None:
    async def run() -> None:
        async with ValidationPool(size, **({"budget": GENEROUS} | settings)) as pool:
            await scene(pool)

    asyncio.run(run())


async def registered(pool: ValidationPool, **members: Any) -> ForeignSchema:
    """Register a schema; `_ref` and `_defs` stand for `$ref` and `$defs`."""
    schema = await registration(pool, **members)
    assert isinstance(schema, ForeignSchema), schema
    return schema


async def registration(pool: ValidationPool, **members: Any) -> ForeignSchema | Fault:
    named = {"$" + key[1:] if key[0] == "_" else key: item for key, item in members.items()}
    return await pool.check_foreign(orjson.dumps({"$id": ID} | named))


async def judged(pool: ValidationPool, value: Any, schema: ForeignSchema) -> Verdict:
    return await pool.judge(Task(orjson.dumps(value), MESSAGE, schema))


def code(verdict: Verdict) -> str:
    return "" if verdict.fault is None else verdict.fault.code


def fan(levels: int) -> dict[str, Any]:
    """Return a schema that takes 2 to the power of `levels` steps to refuse a value."""
    layers = {f"l{n}": {"anyOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(levels)}
    return {"_ref": "#/$defs/l0", "_defs": {**layers, f"l{levels}": {"type": "integer"}}}
