"""Says what is wrong with a JSON value in words that a person or a language model can act on.

The reference library finds the error, because it finds the one that matters; the native
validator's first error will do where the reference takes too long. Their own messages quote
the value, so none of them is used: a sentence here is made from the schema and from names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jsonschema_rs
import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.validators import extend

from gateway.strict_json import join_pointer

NAMES_MAX = 16
QUOTE_CHARACTERS_MAX = 200
ITEMS_MAX = 8
"""How many items of each array are looked into where the time matters."""
ERRORS_MAX = 64
"""Among how many errors the one that matters is sought where the time matters."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, where, and what would be right."""

    pointer: str
    reason: str
    remedy: str


_TYPES = {
    "object": "an object",
    "array": "an array",
    "string": "a string",
    "number": "a number",
    "integer": "an integer",
    "boolean": "true or false",
    "null": "null",
}


def _quote(expected: object) -> str:
    """Return a piece of the schema as JSON, cut to a length that fits into a sentence."""
    text = orjson.dumps(expected).decode("utf-8", "replace")
    return text if len(text) <= QUOTE_CHARACTERS_MAX else text[:QUOTE_CHARACTERS_MAX] + "…"


def _names(names: Iterable[object]) -> str:
    listed = [str(name)[:64] for name in names]
    more = ", …" if len(listed) > NAMES_MAX else ""
    return ", ".join(listed[:NAMES_MAX]) + more


def _types(expected: object) -> str:
    names = expected if isinstance(expected, list) else [expected]
    return " or ".join(_TYPES.get(str(name), str(name)) for name in names)


_SENTENCES: dict[str, Callable[[Any], tuple[str, str]]] = {
    "type": lambda x: ("The value is of the wrong type.", f"Send {_types(x)}."),
    "enum": lambda x: (
        "The value is not one of those allowed.",
        f"Use one of {_names(_quote(item) for item in x)}.",
    ),
    "const": lambda x: ("The value is not the one expected.", f"Use {_quote(x)}."),
    "minimum": lambda x: ("The number is too small.", f"Use {x} or more."),
    "maximum": lambda x: ("The number is too large.", f"Use {x} or less."),
    "exclusiveMinimum": lambda x: ("The number is too small.", f"Use more than {x}."),
    "exclusiveMaximum": lambda x: ("The number is too large.", f"Use less than {x}."),
    "multipleOf": lambda x: ("The number is not on the grid.", f"Use a multiple of {x}."),
    "minLength": lambda x: ("The text is too short.", f"Use at least {x} characters."),
    "maxLength": lambda x: ("The text is too long.", f"Use at most {x} characters."),
    "pattern": lambda x: (
        "The text does not have the expected form.",
        f"Use a text that matches {_quote(x)}.",
    ),
    "format": lambda x: ("The text does not have the expected form.", f"Use the format {x}."),
    "minItems": lambda x: ("The array is too short.", f"Give at least {x} items."),
    "maxItems": lambda x: ("The array is too long.", f"Give at most {x} items."),
    "uniqueItems": lambda x: ("The array has equal items.", "Give each item once."),
    "contains": lambda x: ("No item of the array is of the expected kind.", "Add such an item."),
    "minProperties": lambda x: ("The object is too small.", f"Give at least {x} members."),
    "maxProperties": lambda x: ("The object is too large.", f"Give at most {x} members."),
    "required": lambda x: ("A required member is missing.", f"Give {_names(x)}."),
    "additionalProperties": lambda x: (
        "There is a member that the schema does not know.",
        "Remove it.",
    ),
    "propertyNames": lambda x: ("A member's name is not allowed.", "Rename or remove it."),
    "dependentRequired": lambda x: (
        "A member that another one needs is missing.",
        "Add it, or remove the one that needs it.",
    ),
    "not": lambda x: ("The value is of a kind that is excluded.", "Change or remove it."),
}
_WITHOUT_LIMIT = ("uniqueItems", "contains", "propertyNames", "not")
"""Keywords whose sentence needs no part of the schema."""
_OTHER = (
    "The value does not fit its schema.",
    "Compare it with the example and with the schema, which GetSchema returns.",
)


def explain_briefly(
    subject: Mapping[str, Any], native: jsonschema_rs.Validator, value: object
) -> Finding:
    """Return a finding about a value that `native`, the compiled `subject`, has refused.

    Takes about a millisecond, whatever the value: the reference library looks into the first
    items of each array only. If they are in order, it is the native validator's first error
    that is told. Meant for schemas of ours, whose other keywords are all cheap.
    """
    found = from_reference(islice(_Brief(subject).iter_errors(value), ERRORS_MAX))
    if found is not None:
        return found
    try:
        native.validate(value)  # stops at the first error, which its iter_errors does not
    except jsonschema_rs.ValidationError as error:
        return from_native(error)
    raise AssertionError("only a value that was refused is explained")


def _first_items(
    validator: Any, items: object, instance: object, _schema: object
) -> Iterator[ValidationError]:
    """Judge the first items of an array; schemas of ours have no `prefixItems`."""
    if isinstance(instance, list):
        for index, item in enumerate(instance[:ITEMS_MAX]):
            yield from validator.descend(item, items, path=index)


_Brief: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"items": _first_items}
)


def from_reference(errors: Iterable[ValidationError]) -> Finding | None:
    """Return the finding that matters most among the reference library's; None if none."""
    error = best_match(errors)
    if error is None:
        return None
    parent = error.parent
    while parent is not None:
        if _choice(parent.validator, parent.validator_value):
            error = parent
        parent = parent.parent
    path = list(error.absolute_path)
    keyword, expected, schema = str(error.validator), error.validator_value, error.schema
    choice = _choice(keyword, expected)
    if choice:
        how = "exactly one" if keyword == "oneOf" else "at least one"
        reason = f"The object must have {how} of: {_names(choice)}."
        return Finding(join_pointer(path), reason, f"Give {how} of: {_names(choice)}.")
    if keyword == "required" and isinstance(error.instance, Mapping):
        missing = [name for name in expected if name not in error.instance]
        return _missing(path, missing)
    if keyword == "additionalProperties" and isinstance(schema, Mapping):
        known = list(schema.get("properties", {}))
        if isinstance(error.instance, Mapping) and "patternProperties" not in schema:
            path.extend(islice((name for name in error.instance if name not in known), 1))
        return _unknown(path, known)
    kinds = _kinds(keyword, expected)
    if kinds:
        reason, remedy = (
            "The value is of none of the kinds allowed, or out of their range.",
            f"Send {' or '.join(kinds)}.",
        )
    else:
        reason, remedy = _sentence(keyword, expected)
    about = schema.get("description") if isinstance(schema, Mapping) else None
    if isinstance(about, str) and path:
        remedy = f"{remedy} {_beginning(about)}"
    return Finding(join_pointer(path), reason, remedy)


def _beginning(text: str) -> str:
    """Return the sentences that a text begins with, as many as may be quoted, or its beginning."""
    if len(text) <= QUOTE_CHARACTERS_MAX:
        return text
    whole, dot, _ = text[:QUOTE_CHARACTERS_MAX].rpartition(". ")
    return f"{whole}." if dot else f"{text[:QUOTE_CHARACTERS_MAX]}…"


def from_native(error: jsonschema_rs.ValidationError) -> Finding:
    """Return the finding for an error of the native validator."""
    path = list(error.instance_path)
    keyword, expected = error.kind.name, error.kind.value
    if keyword == "required":
        return _missing(path, [expected])
    if keyword == "additionalProperties" or error.schema_path[-1:] == ["additionalProperties"]:
        return _unknown(path, [])
    if not isinstance(expected, str | int | float | list):
        expected = None
    told = expected is not None or keyword in _WITHOUT_LIMIT
    reason, remedy = _sentence(keyword, expected) if told else _OTHER
    return Finding(join_pointer(path), reason, remedy)


def _sentence(keyword: str, expected: object) -> tuple[str, str]:
    make = _SENTENCES.get(keyword)
    return _OTHER if make is None else make(expected)


def _missing(path: list[str | int], names: list[object]) -> Finding:
    reason = f"The object lacks: {_names(names)}."
    return Finding(join_pointer(path), reason, f"Give {_names(names)}.")


def _unknown(path: list[str | int], known: list[str]) -> Finding:
    remedy = f"Remove it; known are: {_names(known)}." if known else "Remove it."
    return Finding(join_pointer(path), "The schema does not know this member.", remedy)


def _choice(keyword: object, branches: object) -> list[str]:
    """Return the names that an anyOf or oneOf of nothing but `required` chooses among."""
    if keyword not in ("anyOf", "oneOf") or not isinstance(branches, list):
        return []
    names: list[str] = []
    for branch in branches:
        if not isinstance(branch, Mapping) or list(branch) != ["required"]:
            return []
        names.extend(branch["required"])
    return names


def _kinds(keyword: object, branches: object) -> list[str]:
    """Return what each branch of an anyOf or oneOf takes, if every one says so."""
    if keyword not in ("anyOf", "oneOf") or not isinstance(branches, list):
        return []
    kinds: list[str] = []
    for branch in branches:
        if not isinstance(branch, Mapping):
            return []
        if "const" in branch:
            kinds.append(_quote(branch["const"]))
        elif "type" in branch:
            kinds.append(_types(branch["type"]))
        else:
            return []
    return kinds
