"""The schema files that came with the gateway, and which part of them judges which act.

Knows acts by their names only, so that worker processes start without the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import jsonschema_rs
import orjson

OWN_PREFIX = "https://llm-x.org/"
REGEX_OPTIONS = jsonschema_rs.RegexOptions(size_limit=256 * 1024, dfa_size_limit=1024 * 1024)
"""The linear engine; a pattern that compiles to more than 256 KiB is refused."""

NEGOTIATION_ACTS = (
    "cfp",
    "offer",
    "counter",
    "accept",
    "reject",
    "confirm",
    "refuse",
    "not-understood",
    "cancel",
    "inform",
    "failure",
    "thinking",
)
"""The acts that `Negotiation.json` defines. Whatever schema a payload names, it keeps to these."""

ACTS_OF: dict[str, tuple[str, ...]] = {
    "Negotiation": NEGOTIATION_ACTS,
    "AlternatingOffer": ("offer", "counter"),
    "Outcome": ("inform",),
    "Failure": ("failure",),
    "Thinking": ("thinking",),
    "Text": ("message",),
    "Ack": ("message",),
    "Envelope": (),
}
"""The files, and the acts whose payloads each of them judges."""


def schema_id(name: str) -> str:
    return f"{OWN_PREFIX}schemas/v1/{name}.json"


def text(name: str) -> bytes:
    """Return a file as it is."""
    return (resources.files("gateway") / "schema_files" / f"{name}.json").read_bytes()


@cache
def documents() -> Mapping[str, dict[str, Any]]:
    """Return every file, by `$id`."""
    return {schema_id(name): orjson.loads(text(name)) for name in ACTS_OF}


def subject(name: str, act: str) -> dict[str, Any]:
    """Return the schema of one act, standing on its own."""
    document = documents()[schema_id(name)]
    chosen: dict[str, Any] = document["$defs"][act] if name == "Negotiation" else document
    return chosen


def native(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    """Return the compiled validator of a schema of ours."""
    return jsonschema_rs.Draft202012Validator(
        dict(schema), pattern_options=REGEX_OPTIONS, offline=True
    )
