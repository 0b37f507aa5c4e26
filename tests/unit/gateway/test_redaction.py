"""Sensitive fields go, the rest stays."""

from __future__ import annotations

import copy

import pytest

from gateway.redaction import redact

PAYLOAD = {
    "$schema": "https://acme.example/x.json",
    "budget": 100,
    "owner": {"name": "Alice", "phone": "12345"},
    "bids": [{"price": 1, "by": "bob"}, {"price": 2, "by": "carol"}],
    "a/b": {"~": 1, "c": 2},
    "pair": ["secret", "public"],
}


@pytest.mark.parametrize(
    ("pointer", "left"),
    [
        ("/budget", {k: v for k, v in PAYLOAD.items() if k != "budget"}),
        ("/owner/phone", PAYLOAD | {"owner": {"name": "Alice"}}),
        ("/bids/*/price", PAYLOAD | {"bids": [{"by": "bob"}, {"by": "carol"}]}),
        ("/bids/*", PAYLOAD | {"bids": [None, None]}),
        ("/pair/0", PAYLOAD | {"pair": [None, "public"]}),
        ("/owner/*", PAYLOAD | {"owner": {}}),
        ("/a~1b/~0", PAYLOAD | {"a/b": {"c": 2}}),
        ("/absent/phone", PAYLOAD),
        ("/budget/deeper", PAYLOAD),
        ("/pair/7", PAYLOAD),
        ("/pair/x", PAYLOAD),
    ],
)
def test_what_is_sensitive_goes_and_the_rest_stays(pointer: str, left: object) -> None:
    before = copy.deepcopy(PAYLOAD)
    if pointer == "/budget/deeper":
        left = PAYLOAD | {"budget": 100}
    assert redact(PAYLOAD, (pointer,), ()) == left
    assert before == PAYLOAD, "the payload itself is not touched"


def test_two_items_of_one_array_both_go() -> None:
    assert redact(PAYLOAD, ("/pair/0", "/pair/1"), ()) == PAYLOAD | {"pair": [None, None]}


@pytest.mark.parametrize("allowed", ["*", "/owner", "/owner/phone", "/owner/*", "/*"])
def test_consent_to_a_field_or_to_what_contains_it_lets_it_through(allowed: str) -> None:
    assert redact(PAYLOAD, ("/owner/phone",), [allowed]) == PAYLOAD


@pytest.mark.parametrize("allowed", ["", "owner", "/owner/name", "/owner/phone/area", "phone"])
def test_consent_to_something_else_or_to_no_pointer_lets_nothing_through(allowed: str) -> None:
    redacted = redact(PAYLOAD, ("/owner/phone",), [allowed])
    assert redacted == PAYLOAD | {"owner": {"name": "Alice"}}
