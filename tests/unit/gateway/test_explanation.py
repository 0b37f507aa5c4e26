"""What was wrong is said in words that an LLM can act on."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator

from gateway.explanation import Finding, from_native, from_reference

CASES: list[tuple[dict[str, Any], Any, str]] = [
    ({"type": "string"}, 1, ""),
    ({"type": ["string", "null"]}, 1, ""),
    ({"properties": {"a": {"enum": [1, 2]}}}, {"a": "hunter2"}, "/a"),
    ({"properties": {"a": {"const": "x"}}}, {"a": "hunter2"}, "/a"),
    ({"items": {"minimum": 3}}, [5, 1], "/1"),
    ({"maximum": 3}, 5, ""),
    ({"exclusiveMinimum": 3}, 3, ""),
    ({"exclusiveMaximum": 3}, 3, ""),
    ({"multipleOf": 2}, 3, ""),
    ({"minLength": 9}, "hunter2", ""),
    ({"maxLength": 3}, "hunter2", ""),
    ({"pattern": "^[0-9]$"}, "hunter2", ""),
    ({"minItems": 2}, ["hunter2"], ""),
    ({"maxItems": 0}, ["hunter2"], ""),
    ({"uniqueItems": True}, ["hunter2", "hunter2"], ""),
    ({"contains": {"type": "null"}}, ["hunter2"], ""),
    ({"minProperties": 1}, {}, ""),
    ({"maxProperties": 0}, {"a": "hunter2"}, ""),
    ({"required": ["b"]}, {"a": "hunter2"}, ""),
    ({"additionalProperties": False}, {"a~/b": "hunter2"}, "/a~0~1b"),
    ({"propertyNames": {"maxLength": 1}}, {"aaa": 1}, ""),
    ({"dependentRequired": {"a": ["b"]}}, {"a": "hunter2"}, ""),
    ({"not": {"type": "string"}}, "hunter2", ""),
    ({"unevaluatedProperties": False}, {"a": "hunter2"}, ""),
    ({"anyOf": [{"type": "null"}, {"type": "array"}]}, "hunter2", ""),
    ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": "hunter2"}, ""),
    ({"if": {"type": "string"}, "then": {"maxLength": 1}}, "hunter2", ""),
    ({"properties": {"a": False}}, {"a": "hunter2"}, ""),
]


@pytest.mark.parametrize(("schema", "value", "pointer"), CASES)
def test_each_rule_is_explained_in_a_sentence_with_its_place_and_no_value(
    schema: dict[str, Any], value: Any, pointer: str
) -> None:
    native = jsonschema_rs.Draft202012Validator(schema)
    found = from_reference(Draft202012Validator(schema).iter_errors(value))
    assert isinstance(found, Finding)
    assert found.pointer == pointer
    for finding in (found, from_native(next(iter(native.iter_errors(value))))):
        assert finding.reason.endswith(".")
        assert finding.remedy
        assert "hunter2" not in f"{finding}"


def test_a_valid_value_has_no_finding() -> None:
    assert from_reference(Draft202012Validator({}).iter_errors(1)) is None


def test_what_a_schema_says_is_cut_to_fit_a_sentence() -> None:
    schema = {"enum": ["x" * 999] * 50}
    found = from_reference(Draft202012Validator(schema).iter_errors(1))
    assert found is not None
    assert len(found.remedy) < 4_000
    for about, told in (("One. " * 60, "One."), ("x" * 999, "x…")):
        schema = {"properties": {"a": {"type": "string", "description": about}}}
        found = from_reference(Draft202012Validator(schema).iter_errors({"a": 1}))
        assert found is not None
        assert found.remedy.endswith(told) and len(found.remedy) < 250
