"""Who sends a wrong payload is shown a right one, under whatever schema."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import shipped_schemas
from gateway.examples import EXAMPLE_BYTES_MAX, examples_of
from gateway.foreign_schemas import ForeignSchema, check, compile_foreign

ID = "https://acme.example/lease.json"
NEGOTIATION = shipped_schemas.NEGOTIATION_ACTS
HEAD = {"$schema": {"type": "string"}}


def found(**members: Any) -> dict[str, Any]:
    """Return the examples under a schema; `_ref` and `_defs` stand for `$ref` and `$defs`."""
    named = {"$" + key[1:] if key[0] == "_" else key: item for key, item in members.items()}
    document = {"$id": ID, **named}
    assert isinstance(check(orjson.dumps(document)), ForeignSchema)
    native = compile_foreign(document)
    texts: dict[str, str] = {}
    examples_of(document, native.is_valid, texts)
    values = {act: orjson.loads(text) for act, text in texts.items()}
    for act, value in values.items():
        assert native.is_valid(value)
        assert value["$schema"] == ID
        if act != "message":
            subject = shipped_schemas.subject("Negotiation", act)
            assert shipped_schemas.native(subject).is_valid(value)
    return values


def plain(**members: Any) -> Any:
    """Return the example of a plain message, without the name of its schema."""
    value = found(type="object", **members).get("message")
    return value and {key: item for key, item in value.items() if key != "$schema"}


def test_an_authors_own_example_goes_before_one_that_is_made() -> None:
    lease = {"gpus": 2, "owner": "acme"}
    members: dict[str, Any] = {"properties": {"gpus": {"minimum": 1}}, "required": ["gpus"]}
    assert plain(**members, examples=[{**lease, "x": 1}, lease]) == lease
    assert plain(**members, examples=[{"gpus": 0}, 5]) == {"gpus": 1}


def test_an_example_names_its_schema_whatever_the_author_wrote() -> None:
    assert found(examples=[{"$schema": "lease"}])["message"] == {"$schema": ID}


@pytest.mark.parametrize("act", NEGOTIATION)
def test_under_an_open_schema_there_is_an_example_of_every_act(act: str) -> None:
    assert act in found(type="object")


def test_an_act_keeps_to_the_schema_of_the_negotiation_as_well() -> None:
    terms = {"type": "object", "required": ["gpus"], "properties": {"gpus": {"const": 4}}}
    examples = found(type="object", required=["terms"], properties={"terms": terms})
    assert examples["offer"]["terms"] == {"gpus": 4}
    assert examples["offer"]["value"] == 42.5
    assert "accept" not in examples, "an accept has no terms"


def test_an_authors_example_is_completed_with_what_the_act_needs() -> None:
    examples = found(type="object", examples=[{"terms": {"gpus": 8}}])
    assert examples["offer"] == {"$schema": ID, "value": 42.5, "terms": {"gpus": 8}}
    assert examples["message"] == {"$schema": ID, "terms": {"gpus": 8}}
    assert examples["refuse"] == {"$schema": ID}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"const": [1, {"b": None}]}, [1, {"b": None}]),
        ({"enum": ["large", "s", "medium"]}, "s"),
        ({"default": "eu", "type": "string"}, "eu"),
        ({"examples": ["eu-north", "eu"]}, "eu"),
        ({"type": "string", "minLength": 5}, "aaaaa"),
        ({"type": "string", "maxLength": 0}, None),
        ({"type": "string", "pattern": "^[A-Z]{3}$"}, "ABC"),
        ({"type": "string", "pattern": "^a+$", "minLength": 3}, "aaa"),
        ({"type": "string", "format": "date-time"}, "2025-08-21T18:45:00Z"),
        ({"type": "string", "pattern": "^nobody guesses this$"}, None),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3}, 4),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "integer", "exclusiveMaximum": 1}, 0),
        ({"type": "integer", "minimum": 7, "multipleOf": 5}, 10),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, 0.75),
        ({"type": "number", "minimum": 2.5, "maximum": 2.5}, 2.5),
        ({"multipleOf": 1e-320, "minimum": 1}, None),
        ({"type": ["null", "boolean"]}, True),
        ({"type": "null"}, None),
        ({"type": "array"}, []),
        ({"type": "array", "minItems": 2, "items": {"type": "integer"}}, [1, 2]),
        ({"minItems": 2, "uniqueItems": True, "items": {"enum": ["b", "aa"]}}, ["b", "aa"]),
        ({"minItems": 2, "items": {"type": "string"}, "uniqueItems": True}, ["a", "1"]),
        ({"prefixItems": [{"const": 1}], "minItems": 2, "items": {"const": 2}}, [1, 2]),
        ({"contains": {"const": 3}}, [3]),
        ({"type": "array", "minItems": 17}, None),
        ({"type": "object", "minProperties": 2.0}, {"a": "a", "b": "a"}),
        ({"required": ["a"], "dependentRequired": {"a": ["b"]}}, {"a": "a", "b": "a"}),
        ({"allOf": [{"minimum": 3}, {"minimum": 5, "maximum": 9}], "type": "integer"}, 5),
        ({"oneOf": [False, {"const": 2}]}, 2),
        ({"anyOf": [{"const": 7}, {"const": 22}]}, 7),
        ({"allOf": [{"enum": [1, 2]}, {"enum": [2, 3]}]}, 2),
        (False, None),
        (True, "a"),
    ],
)
def test_a_value_is_made_from_what_its_schema_says(rules: Any, expected: Any) -> None:
    made = plain(required=["x"], properties={"x": rules})
    if expected is None and rules != {"type": "null"}:
        assert made is None
    else:
        assert made == {"x": expected}


def test_references_are_followed_into_this_document_and_those_that_shipped() -> None:
    offer = f"{shipped_schemas.schema_id('Negotiation')}#/$defs/offer"
    assert plain(
        required=["size", "bid"],
        properties={"size": {"$ref": "#/$defs/si~1ze/anyOf/0"}, "bid": {"$ref": offer}},
        _defs={"si/ze": {"anyOf": [{"const": 4}]}},
    ) == {
        "size": 4,
        "bid": {"$schema": shipped_schemas.schema_id("Negotiation"), "value": 42.5},
    }
    assert plain(_ref="#/$defs/a", _defs={"a": {"required": ["b"]}}) == {"b": "a"}


def test_what_both_parts_say_of_a_member_counts() -> None:
    assert plain(
        allOf=[
            {"required": ["n"], "properties": {"n": {"minimum": 3}}},
            {"required": ["n", "m"], "properties": {"n": {"maximum": 3, "type": "integer"}}},
        ]
    ) == {"n": 3, "m": "a"}


@pytest.mark.parametrize(
    "members",
    [
        {"_ref": "#node", "_defs": {"a": {"$anchor": "node", "required": ["b"]}}},
        {"required": ["x"], "properties": {"x": {"$ref": "#"}}},
        {"required": [f"n{n}" for n in range(3_000)]},
        {"required": ["x"], "properties": {"x": {"const": "x" * EXAMPLE_BYTES_MAX}}},
        {"not": {}},
    ],
)
def test_where_no_guess_fits_there_is_no_example(members: dict[str, Any]) -> None:
    assert found(type="object", **members) == {}


def test_a_schema_of_something_else_than_objects_has_no_example() -> None:
    """A payload is an object."""
    assert found(type="integer") == {}


RULES = st.recursive(
    st.sampled_from(
        [True, {"type": "integer", "minimum": 2}, {"enum": ["a", "b"]}, {"pattern": "^[0-9]+$"}]
    ),
    lambda inner: st.one_of(
        st.builds(lambda a, b: {"anyOf": [a, b]}, inner, inner),
        st.builds(lambda a, b: {"allOf": [a, b]}, inner, inner),
        st.builds(lambda a: {"type": "array", "minItems": 1, "items": a}, inner),
        st.builds(
            lambda a, b: {"required": ["a"], "properties": {"a": a, "b": b}, "minProperties": 2},
            inner,
            inner,
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=60)
@given(RULES)
def test_whatever_is_shown_is_valid(rules: Any) -> None:
    found(properties={**HEAD, "x": rules}, required=["x"])
