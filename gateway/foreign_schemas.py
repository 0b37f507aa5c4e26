"""Decides which schemas of agents are acceptable.

A registered schema is a program that somebody else wrote and that runs for every payload that
names it. It is bounded here: in size, depth, number of subschemas and length of patterns;
patterns run in linear time; nothing is fetched; no reference leads back to itself without
going one step down into the value. What is still slow, a fan of references for example, is
stopped by the time budget of the worker that runs it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs
import orjson

from gateway import shipped_schemas
from gateway.explanation import Finding
from gateway.redaction import ANY
from gateway.strict_json import JsonFault, join_pointer, parse

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_BYTES_MAX = 64 * 1024
DEPTH_MAX = 32
SUBSCHEMAS_MAX = 1_000
PATTERNS_MAX = 64
PATTERN_CHARACTERS_MAX = 256
SENSITIVE_MAX = 64
SENSITIVE_DEPTH_MAX = 16
ID_CHARACTERS_MAX = 512

Location = tuple[str | int, ...]
"""Where a subschema stands in its document."""

# Which keywords hold subschemas, and what each does to the value: None applies it to the same
# value, ANY to its members or items, True to the one of that name.
_ONE: dict[str, str | None] = {
    "not": None,
    "if": None,
    "then": None,
    "else": None,
    "items": ANY,
    "contains": ANY,
    "additionalProperties": ANY,
    "unevaluatedProperties": ANY,
    "unevaluatedItems": ANY,
    "propertyNames": ANY,
}
_LIST: dict[str, str | bool | None] = {
    "allOf": None,
    "anyOf": None,
    "oneOf": None,
    "prefixItems": True,
}
_MAP: dict[str, str | bool | None] = {
    "dependentSchemas": None,
    "dependencies": None,
    "properties": True,
    "patternProperties": ANY,
}
_DEFINITIONS = ("$defs", "definitions")
_REFERENCES = ("$ref", "$dynamicRef")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s#]+\Z")


@dataclass(frozen=True, slots=True)
class ForeignSchema:
    """A schema that somebody registered. Only worker processes run it."""

    schema_id: str
    """Its `$id`, the exact text that payloads name."""
    text: bytes
    sensitive: tuple[str, ...] = ()
    """Pointers into payloads, sorted, to what "x-sensitive": true marks; "*" is any member."""
    examples: Mapping[str, str] = field(default_factory=dict)
    """Small valid payloads by the name of the act, where one could be found."""


TOO_LARGE = Finding(
    "", "The schema is too large.", f"Register at most {SCHEMA_BYTES_MAX // 1024} KiB."
)
"""What is wrong with a text of more than SCHEMA_BYTES_MAX bytes."""


@dataclass(slots=True)
class _Survey:
    """What a document consists of."""

    nodes: dict[Location, Mapping[str, Any]] = field(default_factory=dict)
    edges: list[tuple[Location, Location, str | None]] = field(default_factory=list)
    """From a subschema to one it applies, and to which part of the value; None is all of it."""
    anchors: dict[str, Location] = field(default_factory=dict)
    references: list[tuple[Location, str, str]] = field(default_factory=list)
    patterns: list[tuple[Location, str]] = field(default_factory=list)
    sensitive: list[Location] = field(default_factory=list)


def check(text: bytes) -> ForeignSchema | Finding:
    """Return the schema, or why it is not acceptable. It may refer to shipped schemas."""
    if len(text) > SCHEMA_BYTES_MAX:
        return TOO_LARGE
    document = parse(text, DEPTH_MAX)
    if isinstance(document, JsonFault):
        return _rejected(document.reason, document.remedy, document.pointer)
    if not isinstance(document, dict):
        return _rejected("The schema is not an object.", 'Register {"$id": …, "type": …}.')
    fault = _check_head(document) or _check_meta(document)
    if fault is not None:
        return fault
    survey = _survey(document)
    if isinstance(survey, Finding):
        return survey
    fault = (
        _check_patterns(survey)
        or _resolve(survey, document["$id"])
        or _check_loops(survey)
        or _check_compiles(document)
    )
    if fault is not None:
        return fault
    sensitive = _sensitive(survey)
    if isinstance(sensitive, Finding):
        return sensitive
    return ForeignSchema(document["$id"], text, sensitive)


def compile_foreign(document: dict[str, Any]) -> jsonschema_rs.Validator:
    """Return the native validator of a schema; raises ValueError if it does not compile."""
    return jsonschema_rs.Draft202012Validator(
        document,
        pattern_options=shipped_schemas.REGEX_OPTIONS,
        offline=True,
        registry=jsonschema_rs.Registry(list(shipped_schemas.documents().items())),
    )


def _rejected(reason: str, remedy: str, pointer: str = "") -> Finding:
    return Finding(pointer, reason, remedy)


def _check_head(document: Mapping[str, Any]) -> Finding | None:
    schema_id = document.get("$id")
    if (
        not isinstance(schema_id, str)
        or len(schema_id) > ID_CHARACTERS_MAX
        or not _ABSOLUTE.match(schema_id)
    ):
        return _rejected(
            "The schema has no usable $id.",
            'Set "$id" to an absolute address of your own without "#", '
            '"https://acme.example/lease.json".',
            "/$id",
        )
    if re.match(r"https?://([^/@]*@)?([^/]*\.)?llm-x\.org\.?([:/]|\Z)", schema_id.lower()):
        return _rejected(
            "The $id lies where the gateway's own schemas are.", "Use an address of yours.", "/$id"
        )
    if document.get("$schema", DIALECT) not in (DIALECT, DIALECT + "#"):
        return _rejected(
            "The schema is not written in JSON Schema 2020-12.",
            f'Leave out "$schema" or set it to {DIALECT}.',
            "/$schema",
        )
    return None


def _check_meta(document: dict[str, Any]) -> Finding | None:
    try:
        jsonschema_rs.meta.validate(document | {"$schema": DIALECT})
    except jsonschema_rs.ValidationError as error:
        pointer = join_pointer(list(error.instance_path))
        return _rejected(
            "The schema breaks the rules of JSON Schema 2020-12.",
            "Correct what the pointer shows.",
            pointer,
        )
    return None


def _survey(document: Mapping[str, Any]) -> _Survey | Finding:
    """List every subschema; one that stands where no keyword expects it is not found."""
    survey = _Survey()
    pending: list[tuple[Location, object]] = [((), document)]
    while pending:
        where, schema = pending.pop()
        if not isinstance(schema, Mapping):
            survey.nodes[where] = {}
            continue
        survey.nodes[where] = schema
        if len(survey.nodes) > SUBSCHEMAS_MAX:
            return _rejected(
                "The schema has too many subschemas.", f"Use at most {SUBSCHEMAS_MAX}."
            )
        if where and ("$id" in schema or "$schema" in schema):
            return _rejected(
                "A subschema has an $id or $schema of its own.",
                'Use "$anchor" or a pointer into "$defs".',
                join_pointer(list(where)),
            )
        for below, subschema, part in _children(where, schema):
            if part is not False:
                survey.edges.append((where, below, part))
            pending.append((below, subschema))
        fault = _note(survey, where, schema)
        if fault is not None:
            return fault
    return survey


def _children(where: Location, schema: Mapping[str, Any]) -> Iterator[tuple[Location, object, Any]]:
    """Yield each subschema with the part of the value it judges; False for a definition."""
    part: str | bool | None
    for keyword, part in _ONE.items():
        if keyword in schema:
            yield (*where, keyword), schema[keyword], part
    for keyword, kind in _LIST.items():
        for index, subschema in enumerate(schema.get(keyword, ())):
            part = str(index) if kind is True else None
            yield (*where, keyword, index), subschema, part
    for keyword, kind in _MAP.items():
        for name, subschema in schema.get(keyword, {}).items():
            if not isinstance(subschema, list):  # "dependencies" may list names
                part = name.replace("~", "~0").replace("/", "~1") if kind is True else kind
                yield (*where, keyword, name), subschema, part
    for keyword in _DEFINITIONS:
        for name, subschema in schema.get(keyword, {}).items():
            yield (*where, keyword, name), subschema, False


def _note(survey: _Survey, where: Location, schema: Mapping[str, Any]) -> Finding | None:
    """Take down the references, anchors, patterns and marks of one subschema."""
    for keyword in _REFERENCES:
        if keyword in schema:
            survey.references.append((where, keyword, schema[keyword]))
    for keyword in ("$anchor", "$dynamicAnchor"):
        anchor = schema.get(keyword)
        if anchor is not None and survey.anchors.setdefault(anchor, where) != where:
            return _rejected("Two subschemas have the same anchor.", "Rename one.", f"/{anchor}")
    if "pattern" in schema:
        survey.patterns.append(((*where, "pattern"), schema["pattern"]))
    for pattern in schema.get("patternProperties", {}):
        survey.patterns.append(((*where, "patternProperties", pattern), pattern))
    mark = schema.get("x-sensitive", False)
    if not isinstance(mark, bool):
        return _rejected(
            '"x-sensitive" is not true or false.', "Use true.", join_pointer(list(where))
        )
    if mark:
        survey.sensitive.append(where)
    return None


def _check_patterns(survey: _Survey) -> Finding | None:
    if len(survey.patterns) > PATTERNS_MAX:
        return _rejected("The schema has too many patterns.", f"Use at most {PATTERNS_MAX}.")
    for where, pattern in survey.patterns:
        pointer = join_pointer(list(where))
        if len(pattern) > PATTERN_CHARACTERS_MAX:
            return _rejected(
                "The pattern is too long.",
                f"Use at most {PATTERN_CHARACTERS_MAX} characters.",
                pointer,
            )
        try:
            jsonschema_rs.Draft202012Validator(
                {"pattern": pattern}, pattern_options=shipped_schemas.REGEX_OPTIONS, offline=True
            )
        except ValueError:
            return _rejected(
                "The pattern cannot be run in linear time.",
                "Do without back-references and look-around, and without repeats of repeats "
                "that multiply to thousands.",
                pointer,
            )
    return None


def _resolve(survey: _Survey, schema_id: str) -> Finding | None:
    """Turn the references into edges."""
    targets = {_pointer(where): where for where in survey.nodes}
    targets.update(survey.anchors)
    for where, keyword, reference in survey.references:
        document_id, _, fragment = reference.partition("#")
        if document_id in shipped_schemas.documents():
            continue  # shipped schemas refer to nothing of a foreign one
        pointer = join_pointer([*where, keyword])
        if document_id not in ("", schema_id):
            return _rejected(
                "The schema refers to another document, and nothing is fetched.",
                'Copy what you need into "$defs" and refer to "#/$defs/…".',
                pointer,
            )
        # A fragment that needs unescaping (%25) is not found, which is as good an answer.
        target = targets.get(fragment)
        if target is None:
            return _rejected(
                "The reference leads to no subschema of this document.",
                'Refer to "#", "#/$defs/…" or an "$anchor".',
                pointer,
            )
        survey.edges.append((where, target, None))
    return None


def _pointer(where: Location) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in where)


def _check_loops(survey: _Survey) -> Finding | None:
    """Refuse references in a circle that go nowhere in the value."""
    same: dict[Location, list[Location]] = {where: [] for where in survey.nodes}
    arriving = dict.fromkeys(survey.nodes, 0)
    for above, below, part in survey.edges:
        if part is None:
            same[above].append(below)
            arriving[below] += 1
    # Take away what nothing leads to until nothing is left; what stays is in or behind a circle.
    free = [where for where, count in arriving.items() if not count]
    while free:
        for below in same[free.pop()]:
            arriving[below] -= 1
            if not arriving[below]:
                free.append(below)
    stuck = next((where for where, count in arriving.items() if count), None)
    if stuck is None:
        return None
    return _rejected(
        "References lead in a circle without going into the value, which would never end.",
        'Let the circle pass through "properties" or "items".',
        join_pointer(list(stuck)),
    )


def _check_compiles(document: dict[str, Any]) -> Finding | None:
    try:
        compile_foreign(document)
    except ValueError:
        return _rejected(
            "The schema does not compile.",
            "Check its references into shipped schemas and the ranges of its numbers.",
        )
    return None


def _sensitive(survey: _Survey) -> tuple[str, ...] | Finding:
    """Return the pointers of what is marked, following every way the schema is applied."""
    users: dict[Location, list[tuple[Location, str | None]]] = {}
    for above, below, part in survey.edges:
        users.setdefault(below, []).append((above, part))
    found: dict[Location, set[tuple[str, ...]]] = {}
    pending: list[tuple[Location, tuple[str, ...]]] = [(where, ()) for where in survey.sensitive]
    while pending:
        where, path = pending.pop()
        paths = found.setdefault(where, set())
        if path in paths:
            continue
        paths.add(path)
        if len(paths) > SENSITIVE_MAX or len(path) > SENSITIVE_DEPTH_MAX:
            return _rejected(
                "Sensitive fields are too many, or lie in a part that contains itself.",
                f"Mark at most {SENSITIVE_MAX}, at most {SENSITIVE_DEPTH_MAX} levels deep; mark "
                "the member that holds a recursive part instead of members within.",
            )
        for above, part in users.get(where, ()):
            pending.append((above, path if part is None else (part, *path)))
    paths = found.get((), set())
    if () in paths:
        return _rejected(
            "The whole payload is marked sensitive.", 'Mark members with "x-sensitive": true.'
        )
    return tuple(sorted("/" + "/".join(path) for path in paths))


def smallest_example(document: Mapping[str, Any], accepts: Callable[[object], bool]) -> str:
    """Return the shortest of the schema's own valid examples as JSON; empty if it has none."""
    examples = document.get("examples")
    if not isinstance(examples, list):
        return ""
    texts = [orjson.dumps(example).decode() for example in examples[:8] if accepts(example)]
    return min(texts, key=len, default="")
