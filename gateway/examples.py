"""Makes small payloads that a registered schema accepts, to be shown to who sent another.

An author's own examples come first. Where there are none, or none of them is a payload of the
act in question, one is made from the schema: required members only, constants, defaults and
numbers at their bounds. That is a guess, so every candidate is judged before it is kept, and a
schema that no guess fits has no example. Runs in a worker, once, when a schema is registered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema_rs
import orjson

from gateway import shipped_schemas

EXAMPLE_BYTES_MAX = 4_096
EXAMPLES_READ_MAX = 8
"""How many of an author's own examples are looked at."""
BRANCHES_MAX = 4
"""How many of the branches of each anyOf or oneOf are tried."""
STEPS_MAX = 2_000
DEPTH_MAX = 12
ITEMS_MAX = 16

Judge = Callable[[object], bool]
_Schema = Mapping[str, Any]

# Texts that many patterns and formats accept; the first that fits is taken.
_TEXTS = (
    "a", "A", "1", "abc", "ABC", "a1", "A1", "a-1", "42", "42.5", "1.0.0", "EUR", "#00ff00",
    "2025-08-21T18:45:00Z", "2025-08-21", "18:45:00Z", "PT1H", "agent://bob", "topic://gpu",
    "bob@example.com", "example.com", "https://example.com/a", "192.0.2.1", "2001:db8::1",
    "4e9b2f60-9d51-4c0e-8c0b-2b1a7c3d5e6f", "/a", "en", "a b",
)  # fmt: skip
_FORMATS = {
    "date-time": "2025-08-21T18:45:00Z",
    "date": "2025-08-21",
    "time": "18:45:00Z",
    "duration": "PT1H",
    "email": "bob@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/a",
    "uuid": "4e9b2f60-9d51-4c0e-8c0b-2b1a7c3d5e6f",
}
_STRICTER: Mapping[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
    "required": lambda one, other: [*one, *(name for name in other if name not in one)],
    "enum": lambda one, other: [item for item in one if item in other],
}


class NoExampleError(Exception):
    """No value can be made from this part of the schema."""


def examples_of(document: _Schema, accepts: Judge, found: dict[str, str]) -> None:
    """File a small payload for each act that the schema can be used for, by the act's name.

    Each is valid by the schema and, for acts of a negotiation, by `Negotiation.json`. What is
    found so far is in `found` even if somebody ends this early.
    """
    authored = _authored(document)
    made = list(_made(document))
    for act in ("message", *shipped_schemas.NEGOTIATION_ACTS):
        judges, frame = [accepts], {}
        if act in shipped_schemas.NEGOTIATION_ACTS:
            subject = shipped_schemas.subject("Negotiation", act)
            judges.append(shipped_schemas.native(subject).is_valid)
            if act == "offer":  # most offers are compared
                judges.append(lambda value: isinstance(value, dict) and "value" in value)
            frame = min(subject["examples"], key=len)
        for candidates in (authored, made):
            text = _smallest(candidates, frame, document["$id"], judges)
            if text:
                found[act] = text
                break


def _smallest(
    candidates: list[dict[str, Any]], frame: _Schema, schema_id: str, judges: list[Judge]
) -> str:
    """Return the shortest candidate that all accept, as it is or with what the act needs."""
    name = {"$schema": schema_id}
    texts = []
    for candidate in candidates:
        for value in ({**candidate, **name}, {**frame, **candidate, **name}):
            try:
                text = orjson.dumps(value).decode()
            except (TypeError, UnicodeDecodeError):
                continue  # an integer that JSON has and orjson does not
            if len(text) <= EXAMPLE_BYTES_MAX and all(accepts(value) for accepts in judges):
                texts.append(text)
                break
    return min(texts, key=len, default="")


def _authored(document: _Schema) -> list[dict[str, Any]]:
    examples = document.get("examples")
    if not isinstance(examples, list):
        return []
    return [example for example in examples[:EXAMPLES_READ_MAX] if isinstance(example, dict)]


def _made(document: _Schema) -> Iterator[dict[str, Any]]:
    """Yield what can be made, each time with the next branch of every choice."""
    plain = {key: item for key, item in document.items() if key not in ("examples", "default")}
    for branch in range(BRANCHES_MAX):
        try:
            value = _Maker(document, branch).make(plain, 0)
        except (NoExampleError, ArithmeticError):
            continue  # a choice that leads nowhere, or numbers beyond all bounds
        if isinstance(value, dict):
            yield value


class _Maker:
    """Makes one value; takes the same branch of every choice."""

    def __init__(self, document: _Schema, branch: int) -> None:
        self._document = document
        self._branch = branch
        self._steps = STEPS_MAX

    def make(self, schema: object, depth: int, nth: int = 0) -> Any:
        """Return a value; `nth` tells items of an array apart."""
        self._steps -= 1
        if self._steps < 0 or depth > DEPTH_MAX or schema is False:
            raise NoExampleError
        rules = self._flat(schema, depth)
        if "const" in rules:
            return rules["const"]
        for keyword in ("enum", "examples"):
            choices = rules.get(keyword)
            if isinstance(choices, list) and choices:
                ordered = sorted(choices, key=lambda item: len(_text(item)))
                return ordered[nth % len(ordered)]
        if "default" in rules:
            return rules["default"]
        return self._of_type(rules, depth, nth)

    def _flat(self, schema: object, depth: int) -> dict[str, Any]:
        """Return the schema with its references and choices resolved into it."""
        if not isinstance(schema, Mapping):
            return {}
        self._steps -= 1
        if self._steps < 0 or depth > DEPTH_MAX:
            raise NoExampleError
        parts: list[object] = list(schema.get("allOf", ()))
        for keyword in ("anyOf", "oneOf"):
            branches = schema.get(keyword)
            if branches:
                parts.append(branches[self._branch % len(branches)])
        if "$ref" in schema:
            parts.append(self._target(schema["$ref"]))
        flat = {
            key: item
            for key, item in schema.items()
            if key not in ("allOf", "anyOf", "oneOf", "$ref")
        }
        for part in parts:
            if part is False:
                raise NoExampleError
            flat = _merged(flat, self._flat(part, depth + 1))
        return flat

    def _target(self, reference: str) -> object:
        document_id, _, fragment = reference.partition("#")
        target: Any = self._document
        if document_id and document_id != self._document.get("$id"):
            target = shipped_schemas.documents().get(document_id)
        for step in fragment.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            try:
                target = target[int(name)] if isinstance(target, list) else target[name]
            except (LookupError, TypeError, ValueError):
                raise NoExampleError from None
        if target is None or (fragment and not fragment.startswith("/")):
            raise NoExampleError  # an anchor: rare, and a guess less
        return target

    def _of_type(self, rules: _Schema, depth: int, nth: int) -> Any:
        kinds = rules.get("type", _kind(rules))
        if isinstance(kinds, list):
            able = [kind for kind in kinds if kind != "null"] or kinds
            kinds = able[self._branch % len(able)]
        match kinds:
            case "object":
                return self._object(rules, depth)
            case "array":
                return self._array(rules, depth)
            case "string":
                return _string(rules, nth)
            case "number" | "integer":
                return _number(rules, kinds == "integer", nth)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return "a"

    def _object(self, rules: _Schema, depth: int) -> dict[str, Any]:
        known = rules.get("properties", {})
        wanted = list(rules.get("required", ()))
        needs = rules.get("dependentRequired", {})
        for name in wanted:  # grows while it is read
            wanted.extend(other for other in needs.get(name, ()) if other not in wanted)
        spare = [name for name in (*known, "a", "b", "c", "d") if name not in wanted]
        wanted += spare[: max(0, int(rules.get("minProperties", 0)) - len(wanted))]
        otherwise = rules.get("additionalProperties", True)
        return {name: self.make(known.get(name, otherwise), depth + 1) for name in wanted}

    def _array(self, rules: _Schema, depth: int) -> list[Any]:
        first, others = rules.get("prefixItems", []), rules.get("items", True)
        count = int(rules.get("minItems", 0))
        if "contains" in rules:
            others = {"allOf": [others, rules["contains"]]}
            count = max(count, int(rules.get("minContains", 1)))
        if count > ITEMS_MAX:
            raise NoExampleError
        return [
            self.make(first[nth] if nth < len(first) else others, depth + 1, nth)
            for nth in range(count)
        ]


def _merged(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return rules that ask for what both ask for, as far as that is easily said."""
    merged = dict(one)
    for key, item in other.items():
        if key not in merged:
            merged[key] = item
        elif key == "properties":
            merged[key] = {
                **item,
                **{
                    name: {"allOf": [rules, item[name]]} if name in item else rules
                    for name, rules in merged[key].items()
                },
            }
        elif key in _STRICTER:
            merged[key] = _STRICTER[key](merged[key], item)
    return merged


def _kind(rules: _Schema) -> str:
    """Return the type that a schema has in mind which names none."""
    hints = (
        ("object", ("properties", "required", "minProperties")),
        ("array", ("items", "prefixItems", "minItems", "contains")),
        ("string", ("minLength", "maxLength", "pattern", "format")),
        ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
    )
    return next((kind for kind, words in hints if any(word in rules for word in words)), "")


def _string(rules: _Schema, nth: int) -> str:
    texts: tuple[str, ...] = (_FORMATS.get(str(rules.get("format")), ""), *_TEXTS)
    if nth:
        texts = (*(text + str(nth) for text in texts), *texts[nth:])
    own = {key: rules[key] for key in ("pattern", "minLength", "maxLength") if key in rules}
    judge = jsonschema_rs.Draft202012Validator(
        own, pattern_options=shipped_schemas.REGEX_OPTIONS, offline=True
    )
    length = int(min(rules.get("minLength", 0), EXAMPLE_BYTES_MAX))
    for text in texts:
        for candidate in (text, text.ljust(length, text[-1:] or "a")):
            if candidate and judge.is_valid(candidate):
                return candidate
    raise NoExampleError


def _number(rules: _Schema, whole: bool, nth: int) -> float:
    """Return the number nearest to 1 that the bounds allow; further ones for further items."""
    low = max(rules.get("minimum", -math.inf), rules.get("exclusiveMinimum", -math.inf))
    high = min(rules.get("maximum", math.inf), rules.get("exclusiveMaximum", math.inf))
    step = rules.get("multipleOf", 1)
    if not (whole or "multipleOf" in rules) and high - low <= 1:
        step = (high - low) / 4
    start: float = max(low, min(1, high))
    if low == high and nth == 0:
        return start
    if not math.isfinite(start) or not step:
        raise NoExampleError
    base = math.ceil(start / step)
    for count in (base, base + 1, base - 1):
        value = (count + nth) * step
        fits = low <= value <= high and value != rules.get("exclusiveMinimum")
        if fits and value != rules.get("exclusiveMaximum"):
            return int(value) if float(value).is_integer() else value
    raise NoExampleError


def _text(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        return b"x" * EXAMPLE_BYTES_MAX
