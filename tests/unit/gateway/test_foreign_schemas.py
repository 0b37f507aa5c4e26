"""What somebody wants to register is checked before anything runs it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.explanation import Finding
from gateway.foreign_schemas import (
    DEPTH_MAX,
    PATTERNS_MAX,
    SCHEMA_BYTES_MAX,
    SUBSCHEMAS_MAX,
    ForeignSchema,
    check,
    compile_foreign,
    smallest_example,
)
from gateway.shipped_schemas import schema_id

ID = "https://acme.example/lease.json"


def checked(**members: Any) -> ForeignSchema | Finding:
    """Check a schema whose members may be spelled `_ref`, `_defs` for `$ref`, `$defs`."""
    named = {"$" + key[1:] if key[0] == "_" else key: item for key, item in members.items()}
    return check(json.dumps({"$id": ID} | named).encode())


def refused(found: ForeignSchema | Finding) -> Finding:
    assert isinstance(found, Finding), "the schema was accepted"
    assert found.reason
    assert found.remedy
    return found


def test_an_ordinary_schema_is_accepted_as_its_bytes() -> None:
    text = json.dumps({"$id": ID, "type": "object", "required": ["gpus"]}, indent=4).encode()
    assert check(text) == ForeignSchema(ID, text, ())


@pytest.mark.parametrize(
    "schema_uri",
    [
        None,
        7,
        "",
        "lease.json",
        "/lease.json",
        ID + "#",
        ID + "#part",
        "https://acme.example/a b",
        "https://acme.example/" + "x" * 600,
    ],
)
def test_a_schema_needs_an_absolute_id(schema_uri: object) -> None:
    assert refused(checked(_id=schema_uri)).pointer == "/$id"


@pytest.mark.parametrize(
    "schema_uri",
    [
        schema_id("Negotiation"),
        "https://llm-x.org/mine.json",
        "HTTPS://LLM-X.org/mine.json",
        "http://llm-x.org/mine.json",
        "https://www.llm-x.org/mine.json",
        "https://user@llm-x.org:443/mine.json",
        "https://llm-x.org.",
    ],
)
def test_nobody_registers_under_the_gateways_own_address(schema_uri: str) -> None:
    assert "gateway's own" in refused(checked(_id=schema_uri)).reason


def test_an_id_may_merely_resemble_the_gateways_own() -> None:
    for schema_uri in ("https://llm-x.org.example/x.json", "urn:acme:lease"):
        assert isinstance(checked(_id=schema_uri), ForeignSchema)


def test_strict_json_holds_for_schemas_too() -> None:
    assert "twice" in refused(check(b'{"$id":"x","$id":"y"}')).reason
    assert refused(check(b"\xff"))
    assert refused(check(b"[]"))
    assert refused(check(b""))


def test_size_and_depth_are_bounded() -> None:
    assert isinstance(checked(description="x" * (SCHEMA_BYTES_MAX - 100)), ForeignSchema)
    assert "large" in refused(checked(description="x" * SCHEMA_BYTES_MAX)).reason
    deep: dict[str, Any] = {}
    for _ in range(DEPTH_MAX - 1):
        deep = {"not": deep}
    assert isinstance(checked(**deep), ForeignSchema)
    assert "deeper" in refused(checked(**{"not": deep})).reason


def test_the_number_of_subschemas_is_bounded() -> None:
    within = {str(n): {} for n in range(SUBSCHEMAS_MAX - 1)}
    assert isinstance(checked(properties=within), ForeignSchema)
    assert "too many" in refused(checked(properties=within | {"one more": {}})).reason


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"type": "text"}, "/type"),
        ({"properties": {"a": {"minLength": -1}}}, "/properties/a/minLength"),
        ({"required": "a"}, "/required"),
        ({"_schema": "http://json-schema.org/draft-07/schema#"}, "/$schema"),
        ({"_defs": {"a": {"$id": "https://acme.example/b"}}}, "/$defs/a"),
        ({"properties": {"a": {"x-sensitive": "yes"}}}, "/properties/a"),
    ],
)
def test_what_breaks_the_rules_of_schemas_is_shown(members: dict[str, Any], pointer: str) -> None:
    assert refused(checked(**members)).pointer == pointer


def test_a_property_may_be_called_like_a_keyword() -> None:
    names = {name: {"type": "string"} for name in ("$ref", "$id", "pattern", "allOf", "const")}
    assert isinstance(checked(properties=names), ForeignSchema)
    quoted = {"$ref": "https://elsewhere.example", "pattern": "(?=a)"}
    assert isinstance(checked(const=quoted, enum=[quoted], examples=[quoted]), ForeignSchema)


@pytest.mark.parametrize(
    "pattern",
    [r"(a*)*\1b", "(?=a)b", "(?!a)b", "(?<=a)b", "a{1000}{1000}", "(((", "x" * 257],
)
def test_a_pattern_that_is_not_linear_or_too_large_is_refused(pattern: str) -> None:
    assert refused(checked(properties={"a": {"pattern": pattern}})).pointer.startswith(
        "/properties/a/pattern"
    )
    assert refused(checked(patternProperties={pattern: {}})).pointer


def test_a_pattern_that_backtracks_elsewhere_is_harmless_here() -> None:
    assert isinstance(checked(pattern="^(a+)+$"), ForeignSchema)


def test_the_number_of_patterns_is_bounded() -> None:
    many = {str(n): {"pattern": f"^{n}$"} for n in range(PATTERNS_MAX + 1)}
    assert "patterns" in refused(checked(properties=many)).reason


@pytest.mark.parametrize(
    "reference",
    [
        "https://evil.example/x.json",
        "file:///etc/passwd",
        "other.json",
        "//evil.example/x",
        "#/$defs/absent",
        "#absent",
        "#/const",
        schema_id("Negotiation") + "#/$defs/absent",
        schema_id("Absent"),
    ],
)
@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_a_reference_leads_into_the_document_or_to_a_shipped_schema(
    keyword: str, reference: str
) -> None:
    refused(checked(const={}, properties={"a": {keyword: reference}}))


@pytest.mark.parametrize(
    "reference",
    ["#", "#/$defs/b", "#here", ID, ID + "#/$defs/b", schema_id("Negotiation") + "#/$defs/offer"],
)
def test_references_that_lead_somewhere_known_are_fine(reference: str) -> None:
    defined = {"b": {"$anchor": "here", "type": "string"}}
    assert isinstance(checked(properties={"a": {"$ref": reference}}, _defs=defined), ForeignSchema)


def test_two_anchors_of_one_name_are_refused() -> None:
    refused(checked(_defs={"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}))


ENDLESS = [
    {"_ref": "#"},
    {"_ref": ID},
    {"_dynamicRef": "#"},
    {"allOf": [{"$ref": "#"}]},
    {"anyOf": [{"type": "null"}, {"$ref": "#"}]},
    {"oneOf": [{"not": {"$ref": "#"}}]},
    {"if": {}, "then": {"$ref": "#"}},
    {"else": {"$ref": "#"}},
    {"dependentSchemas": {"a": {"$ref": "#"}}},
    {"_defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    {"_ref": "#/$defs/a", "_defs": {"a": {"allOf": [{"not": {"$ref": "#/$defs/a"}}]}}},
    {"properties": {"a": {"$ref": "#/properties/a"}}},
]


@pytest.mark.parametrize("members", ENDLESS)
def test_references_in_a_circle_that_consume_nothing_are_refused(members: dict[str, Any]) -> None:
    assert "circle" in refused(checked(**members)).reason


@pytest.mark.parametrize(
    "members",
    [
        {"properties": {"child": {"$ref": "#"}}},
        {"items": {"$ref": "#"}},
        {"prefixItems": [{"$ref": "#"}]},
        {"additionalProperties": {"allOf": [{"$ref": "#"}]}},
        {"patternProperties": {"^x": {"$ref": "#"}}},
        {"_defs": {"a": {}}, "allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]},
    ],
)
def test_recursion_that_goes_into_the_value_is_fine(members: dict[str, Any]) -> None:
    assert isinstance(checked(**members), ForeignSchema)


def test_a_fan_of_references_is_accepted_and_left_to_the_time_budget() -> None:
    fan = {f"l{n}": {"anyOf": [{"$ref": f"#/$defs/l{n + 1}"}] * 2} for n in range(22)}
    assert isinstance(checked(_ref="#/$defs/l0", _defs={**fan, "l22": {}}), ForeignSchema)


@pytest.mark.parametrize(
    ("members", "sensitive"),
    [
        ({"properties": {"a": {"x-sensitive": True}}}, ("/a",)),
        ({"properties": {"a": {"x-sensitive": False}}}, ()),
        ({"properties": {"a/~": {"x-sensitive": True}}}, ("/a~1~0",)),
        ({"items": {"properties": {"p": {"x-sensitive": True}}}}, ("/*/p",)),
        ({"prefixItems": [{}, {"x-sensitive": True}]}, ("/1",)),
        ({"patternProperties": {"^s": {"x-sensitive": True}}}, ("/*",)),
        ({"additionalProperties": {"x-sensitive": True}}, ("/*",)),
        ({"anyOf": [{"properties": {"a": {"x-sensitive": True}}}, {}]}, ("/a",)),
        (
            {
                "properties": {"x": {"$ref": "#/$defs/s"}, "y": {"items": {"$ref": "#/$defs/s"}}},
                "_defs": {"s": {"properties": {"p": {"x-sensitive": True}}}},
            },
            ("/x/p", "/y/*/p"),
        ),
        ({"_defs": {"unused": {"x-sensitive": True}}}, ()),
    ],
)
def test_sensitive_fields_are_found_however_the_schema_reaches_them(
    members: dict[str, Any], sensitive: tuple[str, ...]
) -> None:
    found = checked(**members)
    assert isinstance(found, ForeignSchema)
    assert found.sensitive == sensitive


def test_sensitive_fields_that_cannot_be_listed_are_refused() -> None:
    """Better no registration than a field that slips through."""
    recursive = {"child": {"$ref": "#"}, "secret": {"x-sensitive": True}}
    assert "contains itself" in refused(checked(properties=recursive)).reason
    many = {str(n): {"x-sensitive": True} for n in range(65)}
    refused(checked(properties=many))
    assert "whole payload" in refused(checked(**{"x-sensitive": True})).reason
    refused(checked(allOf=[{"x-sensitive": True}]))


def test_the_smallest_valid_example_is_shown() -> None:
    document = {"$id": ID, "type": "object", "examples": [{"a": 1, "b": 2}, {"a": 1}, 5]}
    accepts = compile_foreign(document).is_valid
    assert smallest_example(document, accepts) == '{"a":1}'
    assert smallest_example({"examples": [5]}, accepts) == ""
    assert smallest_example({}, accepts) == ""
