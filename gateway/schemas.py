"""The JSON Schemas that judge payloads, compiled once.

A schema came with the gateway or an agent registered it. Those that came with it are judged
inline by a validator per schema and act: one dict lookup and one call. Registered ones are
somebody else's program, so they are only ever run in a worker process (`gateway.workers`);
here they are resolved and checked for registration.

A `$schema` names a registered schema by its exact `$id`; failing that, one that came with the
gateway by the file name its address ends in, which is how the paper's own addresses work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import orjson

from gateway import foreign_schemas, shipped_schemas
from gateway.acts import ACT_NAMES, ACTS
from gateway.explanation import Finding, explain_briefly
from gateway.foreign_schemas import ForeignSchema
from gateway.redaction import redact
from gateway.refusals import Fault
from gateway.strict_json import JsonFault

__all__ = [
    "ForeignSchema",
    "SchemaRegistry",
    "ShippedSchema",
    "check_foreign",
    "invalid_json",
    "redact",
    "rejected",
    "violation",
]

PAYLOAD = "/payload"
"""Where payloads stand in the paper's form of a message."""
ALIASES_MAX = 1024

Judge = Callable[[object], bool]
"""Tells whether a parsed payload is valid."""


@dataclass(frozen=True, slots=True)
class ShippedSchema:
    """A schema that came with the gateway."""

    schema_id: str
    name: str
    """The name of its file without ".json"."""
    text: bytes
    subjects: Mapping[int, Mapping[str, Any]]
    """By act, the schema that judges it."""
    judges: Mapping[int, Judge]
    """By act, whether a parsed payload is valid."""
    natives: Mapping[int, jsonschema_rs.Validator]
    """By act, the validator that `judges` asks."""
    examples: Mapping[int, str]
    """By act, a small valid payload."""


class SchemaRegistry:
    """The schemas that came with the gateway."""

    def __init__(self) -> None:
        """Load and compile them; takes some 10 ms."""
        self.shipped: dict[str, ShippedSchema] = {
            schema.schema_id: schema for schema in map(_compiled, shipped_schemas.ACTS_OF)
        }
        """By `$id`."""
        self._by_file = {f"{schema.name}.json": schema for schema in self.shipped.values()}
        self.judges: dict[tuple[str, int], Judge] = {
            (schema.schema_id, act): judge
            for schema in self.shipped.values()
            for act, judge in schema.judges.items()
        }
        """Those that `judge` has found so far, by schema and act."""
        self._negotiation = self._by_file["Negotiation.json"]

    def resolve(
        self, schema_uri: str, tenant_schemas: Mapping[str, ForeignSchema]
    ) -> ShippedSchema | ForeignSchema | None:
        """Return the schema that a payload's `$schema` names, or None."""
        return (
            self.shipped.get(schema_uri)
            or tenant_schemas.get(schema_uri)
            or self._by_file.get(schema_uri.rpartition("/")[2])
        )

    def judge(self, schema_uri: str, act: int) -> Judge | None:
        """Return what judges an act by a shipped schema; None if nothing does.

        A name that a tenant has registered goes before: look there first. Nobody can register
        the `$id` of a shipped schema.
        """
        judge = self.judges.get((schema_uri, act))
        if judge is None:
            schema = self._by_file.get(schema_uri.rpartition("/")[2])
            judge = schema.judges.get(act) if schema is not None else None
            if judge is not None and len(self.judges) < ALIASES_MAX:
                self.judges[schema_uri, act] = judge
        return judge

    def explain(self, schema: ShippedSchema, act: int, value: object) -> Fault:
        """Return why a shipped schema refuses a payload; takes about a millisecond.

        However many errors the payload has: it runs in the gateway's own loop.
        """
        subject = schema.subjects.get(act)
        if subject is None:
            return self._wrong_act(schema, act)
        finding = explain_briefly(subject, schema.natives[act], value)
        return violation(finding, schema.examples[act])

    def example(self, schema: ShippedSchema | ForeignSchema | None, act: int) -> str:
        """Return a small valid payload of an act: under the schema, else under one of ours."""
        if isinstance(schema, ForeignSchema):
            own = schema.examples.get(ACT_NAMES.get(act, ""), "")
        else:
            own = schema.examples.get(act, "") if schema is not None else ""
        shipped = (other.examples[act] for other in self.shipped.values() if act in other.examples)
        return own or next(shipped, "")

    def unknown(self, schema_uri: str, act: int) -> Fault:
        """Return the refusal of a `$schema` that nobody knows; empty if the payload has none."""
        schema = next((s for s in self.shipped.values() if act in s.judges), self._negotiation)
        return Fault(
            "UNKNOWN_SCHEMA",
            "Nobody has registered the schema that $schema names."
            if schema_uri
            else "The payload does not name its schema.",
            f'Set "$schema" to {schema.schema_id}, or register yours with RegisterSchema.',
            f"{PAYLOAD}/$schema",
            example=schema.examples.get(act, ""),
        )

    def _wrong_act(self, schema: ShippedSchema, act: int) -> Fault:
        judged = ", ".join(ACT_NAMES[able] for able in schema.subjects) or "no payload"
        others = [other.schema_id for other in self.shipped.values() if act in other.judges]
        return Fault(
            "SCHEMA_VIOLATION",
            f'{schema.name}.json does not judge the act "{ACT_NAMES.get(act, "unknown")}".',
            f"It judges: {judged}. For this act use: {', '.join(others) or 'none'}.",
            f"{PAYLOAD}/$schema",
            example=self.example(None, act),
        )


def check_foreign(text: bytes) -> ForeignSchema | Fault:
    """Return a schema that somebody wants to register, or why it is not acceptable.

    Compiles it: a gateway calls `ValidationPool.check_foreign`, which does this in a worker.
    """
    checked = foreign_schemas.check(text)
    return rejected(checked) if isinstance(checked, Finding) else checked


def rejected(finding: Finding) -> Fault:
    """Return the refusal of a schema that somebody wants to register."""
    return Fault("SCHEMA_REJECTED", finding.reason, finding.remedy, finding.pointer)


def violation(finding: Finding, example: str = "") -> Fault:
    """Return the refusal of a payload for what was found."""
    pointer = PAYLOAD + finding.pointer
    return Fault("SCHEMA_VIOLATION", finding.reason, finding.remedy, pointer, example=example)


def invalid_json(fault: JsonFault) -> Fault:
    """Return the refusal of a payload that is not strict JSON."""
    return Fault("INVALID_JSON", fault.reason, fault.remedy, PAYLOAD + fault.pointer)


def _compiled(name: str) -> ShippedSchema:
    names = shipped_schemas.ACTS_OF[name]
    subjects = {ACTS[act]: shipped_schemas.subject(name, act) for act in names}
    natives = {act: shipped_schemas.native(subject) for act, subject in subjects.items()}
    judges: dict[int, Judge] = {act: native.is_valid for act, native in natives.items()}
    examples = {
        act: min(
            (
                orjson.dumps(example).decode()
                for example in subject["examples"]
                if judges[act](example)
            ),
            key=len,
        )
        for act, subject in subjects.items()
    }
    return ShippedSchema(
        shipped_schemas.schema_id(name),
        name,
        shipped_schemas.text(name),
        subjects,
        judges,
        natives,
        examples,
    )
