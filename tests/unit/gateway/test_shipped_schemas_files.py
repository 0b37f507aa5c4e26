"""The schema files against both libraries: examples validate, mutations of them do not.

The mutations are made from the schema, not listed by hand: every property of every example is
dropped where required, given the wrong type, pushed over each bound that its schema sets, and
joined by one that the schema does not know.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from jsonschema import Draft202012Validator

import gateway
from gateway.shipped_schemas import ACTS_OF, NEGOTIATION_ACTS, REGEX_OPTIONS, schema_id

FILES = Path(gateway.__file__).parent / "schema_files"
DOCUMENTS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted(FILES.glob("*.json"))
}
DEFINITIONS = [
    (name, definition)
    for name, document in DOCUMENTS.items()
    for definition in ("", *document.get("$defs", ()))
]
WRONG_TYPE: dict[str, Any] = {
    "object": ["not an object"],
    "array": {"not": "an array"},
    "string": 7,
    "number": "seven",
    "integer": 1.5,
    "boolean": "yes",
    "null": "nothing",
}
Path_ = tuple[str | int, ...]


class Both:
    """The two libraries with one schema; they must always agree."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.native = jsonschema_rs.Draft202012Validator(
            schema, pattern_options=REGEX_OPTIONS, offline=True
        )
        self.reference = Draft202012Validator(schema)

    def accept(self, value: object) -> bool:
        verdict = self.native.is_valid(value)
        assert self.reference.is_valid(value) is verdict, "the libraries disagree"
        return verdict


def subject(name: str, definition: str) -> dict[str, Any]:
    document = DOCUMENTS[name]
    if not definition:
        return document
    return {"$defs": document["$defs"], "$ref": f"#/$defs/{definition}"}


def resolved(schema: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        reference = schema["$ref"].removeprefix("#/$defs/")
        schema = {key: item for key, item in schema.items() if key != "$ref"} | root["$defs"][
            reference
        ]
    return schema


def spots(
    schema: dict[str, Any], value: Any, root: dict[str, Any], path: Path_ = ()
) -> Iterator[tuple[Path_, dict[str, Any], Any]]:
    """Yield every place in `value` whose schema is known, with that schema."""
    schema = resolved(schema, root)
    yield path, schema, value
    if isinstance(value, dict):
        for key, item in value.items():
            if key in schema.get("properties", {}):
                yield from spots(schema["properties"][key], item, root, (*path, key))
        for branch in schema.get("anyOf", ()):
            if branch.get("type") == "object":
                yield from list(spots(branch, value, root, path))
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from spots(schema["items"], item, root, (*path, index))


def changed(value: Any, path: Path_, new: Any) -> Any:
    """Return a copy of `value` with something else at `path`."""
    if not path:
        return new
    value = copy.deepcopy(value)
    spot = value
    for step in path[:-1]:
        spot = spot[step]
    spot[path[-1]] = new
    return value


def without(value: Any, path: Path_, name: str) -> Any:
    value = copy.deepcopy(value)
    spot = value
    for step in path:
        spot = spot[step]
    del spot[name]
    return value


def mutations(
    schema: dict[str, Any], example: Any, root: dict[str, Any]
) -> Iterator[tuple[str, Path_, Any]]:
    """Yield what must fail: the rule it breaks, where, and the mutated example."""
    for path, rules, value in spots(schema, example, root):
        if isinstance(value, dict):
            for name in rules.get("required", ()):
                yield "required", (*path, name), without(example, path, name)
            if rules.get("additionalProperties") is False:
                extra = changed(example, path, {**value, "x-unknown": 1})
                yield "additionalProperties", path, extra
        types = rules.get("type", ())
        types = [types] if isinstance(types, str) else types
        if types:
            for name, wrong in WRONG_TYPE.items():
                fits = name in types or (name == "integer" and "number" in types)
                if fits and not any(matches(wrong, other) for other in types):
                    yield "type", path, changed(example, path, wrong)
        if "const" in rules or "enum" in rules:
            rule = "const" if "const" in rules else "enum"
            yield rule, path, changed(example, path, "x-unknown")
            yield rule, path, changed(example, path, 7)
        yield from ((rule, path, changed(example, path, new)) for rule, new in beyond(rules, value))
        for keyword in ("anyOf", "oneOf"):
            branches = rules.get(keyword, ())
            if branches and all(set(branch) == {"required"} for branch in branches):
                names = {name for branch in branches for name in branch["required"]}
                none = {key: item for key, item in value.items() if key not in names}
                yield keyword, path, changed(example, path, none)
            elif branches and not any("$ref" in branch for branch in branches):
                yield keyword, path, changed(example, path, ["x-unknown"])


def matches(value: Any, kind: str) -> bool:
    return Draft202012Validator({"type": kind}).is_valid(value)


def beyond(rules: dict[str, Any], value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a value just outside each bound."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "minimum" in rules:
            yield "minimum", rules["minimum"] - 1
        if "maximum" in rules:
            yield "maximum", rules["maximum"] + 1
        if "exclusiveMinimum" in rules:
            yield "exclusiveMinimum", rules["exclusiveMinimum"]
        if "exclusiveMaximum" in rules:
            yield "exclusiveMaximum", rules["exclusiveMaximum"]
    if isinstance(value, str):
        if "pattern" in rules:
            yield "pattern", " " + value
            yield "pattern", value + " "
            yield "pattern", ""
        if rules.get("minLength"):
            yield "minLength", ""
        if "maxLength" in rules:
            yield "maxLength", "x" * (rules["maxLength"] + 1)
    if isinstance(value, list) and "maxItems" in rules:
        filler = value[:1] or ["agent://bob"]
        yield "maxItems", filler * (rules["maxItems"] + 1)
    if isinstance(value, dict) and rules.get("minProperties"):
        yield "minProperties", {}


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every property that a document declares, however deep."""
    if isinstance(schema, dict):
        declared = schema.get("properties")
        if isinstance(declared, dict):
            yield from ((f"{path}/{name}", rules) for name, rules in declared.items())
        for key, part in schema.items():
            if key not in ("examples", "const", "enum"):
                yield from properties(part, f"{path}/{key}")
    elif isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from properties(part, f"{path}/{index}")


def test_every_file_is_known_and_every_known_file_is_there() -> None:
    assert set(DOCUMENTS) == set(ACTS_OF)


def test_every_act_of_a_negotiation_has_a_definition() -> None:
    assert set(DOCUMENTS["Negotiation"]["$defs"]) == set(NEGOTIATION_ACTS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_is_a_schema_of_2020_12_under_its_own_id(name: str) -> None:
    document = DOCUMENTS[name]
    Draft202012Validator.check_schema(document)
    jsonschema_rs.meta.validate(document)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert document["$id"] == schema_id(name)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_property_tells_an_author_what_it_is(name: str) -> None:
    told = dict(properties(DOCUMENTS[name]))
    assert told
    assert [path for path, rules in told.items() if len(rules.get("description", "")) < 8] == []


@pytest.mark.parametrize(("name", "definition"), DEFINITIONS)
def test_every_definition_has_a_title_a_description_and_valid_examples(
    name: str, definition: str
) -> None:
    document = DOCUMENTS[name]
    chosen = document["$defs"][definition] if definition else document
    assert chosen["title"]
    assert chosen["description"]
    assert chosen["examples"]
    both = Both(subject(name, definition))
    assert all(both.accept(example) for example in chosen["examples"])


@pytest.mark.parametrize(("name", "definition"), DEFINITIONS)
def test_every_property_of_a_definition_appears_in_an_example(name: str, definition: str) -> None:
    """Otherwise the mutations below would leave it out."""
    document = DOCUMENTS[name]
    chosen = document["$defs"][definition] if definition else document
    shown = {key for example in chosen["examples"] for key in example}
    assert set(chosen.get("properties", ())) <= shown


@pytest.mark.parametrize(
    ("name", "definition"),
    # As a whole it takes any act that fits: its definitions are mutated one by one.
    [pair for pair in DEFINITIONS if pair != ("Negotiation", "")],
)
def test_every_mutation_that_breaks_a_rule_fails_in_both_libraries(
    name: str, definition: str
) -> None:
    document = DOCUMENTS[name]
    chosen = document["$defs"][definition] if definition else document
    both = Both(subject(name, definition))
    broken: Counter[str] = Counter()
    accepted = []
    for example in chosen["examples"]:
        for rule, path, mutant in mutations(chosen, example, document):
            broken[rule] += 1
            if both.accept(mutant):
                accepted.append((rule, path))
    assert accepted == []
    for rule in ("required", "type"):
        assert broken[rule] >= 1, f"no mutation broke {rule}: {broken}"
    if chosen.get("additionalProperties") is False:
        assert broken["additionalProperties"] >= len(chosen["examples"])


def test_the_mutations_break_every_kind_of_rule() -> None:
    """A generator that silently yields less would make the test above pass for nothing."""
    broken = Counter(
        rule
        for name, definition in DEFINITIONS
        for chosen in [DOCUMENTS[name]["$defs"][definition] if definition else DOCUMENTS[name]]
        for example in chosen["examples"]
        for rule, _, _ in mutations(chosen, example, DOCUMENTS[name])
    )
    assert set(broken) == {
        "required", "additionalProperties", "type", "const", "enum", "minimum", "maximum",
        "exclusiveMinimum", "pattern", "minLength", "maxLength", "maxItems",
        "minProperties", "anyOf", "oneOf",
    }  # fmt: skip
    assert sum(broken.values()) > 600


@pytest.mark.parametrize(
    ("definition", "payload"),
    [
        ("cfp", {"deadline": "2025-08-21T18:45Z", "round": 1, "constraints": {}}),
        ("offer", {"value": 42}),
        ("accept", {"offer_id": "m-1", "decision": "accepted"}),
        ("reject", {"offer_id": "m-1", "decision": "rejected"}),
    ],
)
def test_the_whole_negotiation_schema_knows_an_act_by_its_shape(
    definition: str, payload: dict[str, Any]
) -> None:
    payload = {"$schema": schema_id("Negotiation"), **payload}
    assert Both(subject("Negotiation", "")).accept(payload)
    assert Both(subject("Negotiation", definition)).accept(payload)


def test_a_call_has_a_deadline_or_a_time_to_reply_and_not_both() -> None:
    both = Both(subject("Negotiation", "cfp"))
    head = {"$schema": schema_id("Negotiation")}
    assert both.accept(head | {"reply_within": 1})
    assert both.accept(head | {"deadline": "2025-08-21T18:45Z"})
    assert not both.accept(head)
    assert not both.accept(head | {"reply_within": 1, "deadline": "2025-08-21T18:45Z"})


@pytest.mark.parametrize(
    ("time", "good"),
    [
        ("2025-08-21T18:45Z", True),
        ("2025-08-21T18:45:12Z", True),
        ("2025-08-21T18:45:12.123456789+02:00", True),
        ("2025-08-21T18:45:60Z", True),
        ("2025-08-21T18:45", False),
        ("2025-08-21 18:45Z", False),
        ("2025-13-21T18:45Z", False),
        ("2025-08-21T24:45Z", False),
        ("2025-08-21T18:45:12,5Z", False),
        ("\u0662\u0660\u0662\u0665-08-21T18:45Z", False),
    ],
)
def test_times_have_a_zone_and_may_stop_at_the_minute(time: str, good: bool) -> None:
    payload = {"$schema": schema_id("Negotiation"), "deadline": time}
    assert Both(subject("Negotiation", "cfp")).accept(payload) is good
