"""Offers that a gateway does not judge by the way: long ones, and ones under a schema of their own.

A gateway judges by itself what is small and judged by what it ships (`gateway.validation`). An
offer with a list of 400 parts is over `validation.inline_bytes_max`; a short one that names a
schema of its tenant goes to a worker whatever its size. `validation.workers` is 1 at least: a
tenant's schema is a program of somebody else, and one that runs on is stopped by killing its
process. So no workers means here a gateway that judges long offers itself, because its bound is
above them, while its one worker stands by; of schemas of tenants there is no such case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loadtest.experiments.cases import Case, Judging

BIG_PARTS, OWN_PARTS = 400, 90
INLINE_BYTES_MAX = 1024 * 1024
"""The most that the setting may be, above every payload that is let in."""
OWN_SCHEMA_ID = "https://lab.example/parts-list.json"
KINDS = {"gpu": ("H100", "H200", "B200"), "disk": ("nvme", "sata")}
OWN_SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": OWN_SCHEMA_ID,
    "type": "object",
    "required": ["value", "terms"],
    "properties": {
        "value": {"type": "number", "exclusiveMinimum": 0},
        "terms": {
            "type": "object",
            "required": ["parts"],
            "properties": {
                "parts": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 1_000,
                    "uniqueItems": True,
                    "items": {"oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in KINDS]},
                }
            },
        },
    },
    "$defs": {
        kind: {
            "type": "object",
            "additionalProperties": False,
            "required": ["kind", "model", "place", "minutes", "price"],
            "properties": {
                "kind": {"const": kind},
                "model": {"enum": list(models)},
                "place": {"type": "string", "pattern": "^r[0-9]{1,3}/u[0-9]{1,2}(/[a-z]{1,8})?$"},
                "minutes": {"type": "integer", "minimum": 1, "maximum": 1_440},
                "price": {"type": "number", "minimum": 0},
            },
        }
        for kind, models in KINDS.items()
    },
}
"""Says of every part what a dealer would: a gateway that ships no such schema cannot."""


def added_to_offers(judging: Judging) -> dict[str, Any]:
    """Return what makes the offers of a case cost something to judge."""
    if judging.weight == "small offers":
        return {}
    if judging.weight == "big offers":
        return {"terms": {"parts": _parts(BIG_PARTS)}}
    return {"$schema": OWN_SCHEMA_ID, "terms": {"parts": _parts(OWN_PARTS)}}


def settings_of(case: Case) -> dict[str, object]:
    """Return what is set at the gateway for a case."""
    if case.judging is None:
        return {}
    if case.judging.workers == 0:
        return {"validation__inline_bytes_max": INLINE_BYTES_MAX}
    return {"validation__workers": case.judging.workers}


def _parts(count: int) -> list[dict[str, Any]]:
    return [
        {
            "kind": "gpu" if at % 4 else "disk",
            "model": KINDS["gpu"][at % 3] if at % 4 else KINDS["disk"][at % 2],
            "place": f"r{at:03d}/u{at % 42:02d}",
            "minutes": 30,
            "price": round(1.25 + at / 100, 2),
        }
        for at in range(count)
    ]
