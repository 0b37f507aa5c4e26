"""Judges payloads: inline what is small and judged by our own schemas, in workers the rest.

The verdict on a payload never depends on where it was reached. Only a tenant's own schemas and
big payloads cost a trip to a worker; while one is on its way, the stream it came from waits
and nobody else does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any, Self

import msgspec
import orjson

from gateway.foreign_schemas import ForeignSchema
from gateway.members import Tenant
from gateway.metrics import Metrics
from gateway.refusals import Fault
from gateway.schemas import SchemaRegistry, ShippedSchema, invalid_json
from gateway.settings import LimitSettings, ValidationSettings
from gateway.strict_json import JsonFault, parse
from gateway.workers import Task, ValidationPool

NO_BODY: Mapping[str, Any] = {}


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """What became of a payload."""

    body: Mapping[str, Any]
    """The payload, if its schema accepts it."""
    fault: Fault | None = None
    sensitive: tuple[str, ...] = ()
    """Pointers to the fields that not everybody may see."""


NOT_AN_OBJECT = Fault(
    "SCHEMA_VIOLATION",
    "the payload is not a JSON object",
    'send an object with "$schema"; for plain text use Text.json: {"$schema": …, "text": …}',
    "/payload",
)
CORRECTABLE = frozenset({"INVALID_JSON", "SCHEMA_VIOLATION"})
"""What is wrong with a payload as such, so that an example helps."""
EMPTY: Mapping[str, ForeignSchema] = {}
TIMED_ONE_IN = 64
"""Of so many payloads that are judged inline one is timed: two looks at the clock are 0.1 µs."""


class Validation:
    """The schemas of this gateway and of its tenants, and who judges by them."""

    def __init__(
        self, settings: ValidationSettings, limits: LimitSettings, metrics: Metrics
    ) -> None:
        """Compile what ships; `async with` starts and stops the workers."""
        self._registry = SchemaRegistry()
        self._judges = self._registry.judges
        self._inline_bytes_max = settings.inline_bytes_max
        self._depth_max = limits.json_depth_max
        self._schemas_max = limits.schemas_per_tenant_max
        self._metrics = metrics
        self._foreign: dict[str, dict[str, ForeignSchema]] = {}
        self._pool = ValidationPool(
            settings.workers,
            queue_max=settings.queue_max,
            budget=settings.budget_seconds,
            depth_max=limits.json_depth_max,
        )

    @property
    def pool(self) -> ValidationPool:
        """Return the workers."""
        return self._pool

    async def __aenter__(self) -> Self:
        """Start the workers."""
        await self._pool.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop the workers."""
        await self._pool.close()

    def judge(self, payload: bytes, act: int, tenant: Tenant) -> Judgement | Awaitable[Judgement]:
        """Return what is to be said of a payload, or something to await for it."""
        if len(payload) > self._inline_bytes_max:
            return self._judge_in_worker(payload, act, tenant.name)
        body = parse(payload, self._depth_max)
        if type(body) is not dict:
            fault = invalid_json(body) if isinstance(body, JsonFault) else NOT_AN_OBJECT
            return Judgement(NO_BODY, self._with_example(fault, None, act))
        uri = body.get("$schema")
        if type(uri) is not str:
            return Judgement(NO_BODY, self._registry.unknown("", act))
        if self._foreign and uri in self._foreign.get(tenant.name, EMPTY):
            return self._judge_in_worker(payload, act, tenant.name)
        judge = self._judges.get((uri, act)) or self._registry.judge(uri, act)
        metrics = self._metrics
        metrics.validated_inline += 1
        if not metrics.validated_inline % TIMED_ONE_IN:
            began = perf_counter()
            is_valid = judge is not None and judge(body)
            metrics.inline_validation.add(perf_counter() - began)
        else:
            is_valid = judge is not None and judge(body)
        if is_valid:
            return Judgement(body)
        return Judgement(NO_BODY, self._why_not(uri, act, body))

    def _why_not(self, uri: str, act: int, body: object) -> Fault:
        schema = self._registry.resolve(uri, EMPTY)
        if schema is None or isinstance(schema, ForeignSchema):
            return self._registry.unknown(uri, act)
        return self._registry.explain(schema, act, body)

    async def _judge_in_worker(self, payload: bytes, act: int, tenant: str) -> Judgement:
        """Let a worker judge; here the payload is only looked into for the schema it names."""
        try:
            body = orjson.loads(payload)
        except orjson.JSONDecodeError:
            fault = parse(payload, self._depth_max)
            assert isinstance(fault, JsonFault), "what the looser parser refuses is not strict JSON"
            return Judgement(NO_BODY, self._with_example(invalid_json(fault), None, act))
        if type(body) is not dict:
            return Judgement(NO_BODY, self._with_example(NOT_AN_OBJECT, None, act))
        uri = body.get("$schema")
        schema = (
            self._registry.resolve(uri, self._foreign.get(tenant, EMPTY))
            if type(uri) is str
            else None
        )
        if schema is None:
            return Judgement(NO_BODY, self._registry.unknown(uri if type(uri) is str else "", act))
        self._metrics.validated_in_worker += 1
        began = perf_counter()
        verdict = await self._pool.judge(Task(payload, act, schema))
        self._metrics.worker_validation.add(perf_counter() - began)
        if verdict.fault is not None:
            return Judgement(NO_BODY, self._with_example(verdict.fault, schema, act))
        sensitive = schema.sensitive if isinstance(schema, ForeignSchema) else ()
        return Judgement(body, None, sensitive)

    def _with_example(
        self, fault: Fault, schema: ShippedSchema | ForeignSchema | None, act: int
    ) -> Fault:
        """Return a fault of the payload with one that would be right; others as they are."""
        if fault.code not in CORRECTABLE:
            return fault
        return replace(fault, example=self._registry.example(schema, act))

    async def register(self, tenant: str, text: bytes) -> str | Fault:
        """Make a schema known to a tenant; returns the id to name it by."""
        checked = await self._pool.check_foreign(text)
        if isinstance(checked, Fault):
            return checked
        known = self._foreign.setdefault(tenant, {})
        before = known.get(checked.schema_id)
        if before is not None and before.text != checked.text:
            return Fault(
                "SCHEMA_REJECTED",
                "another schema is registered under this $id",
                "give a changed schema a new $id; messages are in flight under the old one",
            )
        if before is None and len(known) >= self._schemas_max:
            return Fault(
                "OVERLOADED", f"a tenant has at most {self._schemas_max} schemas", "reuse one"
            )
        known[checked.schema_id] = checked
        return checked.schema_id

    def text_of(self, tenant: str, schema_id: str) -> bytes | None:
        """Return a schema as it was given, or None."""
        schema = self._registry.resolve(schema_id, self._foreign.get(tenant, EMPTY))
        return None if schema is None else schema.text

    def ids(self, tenant: str) -> list[str]:
        """Return the ids of the schemas that a tenant can use."""
        return sorted([*self._registry.shipped, *self._foreign.get(tenant, EMPTY)])
