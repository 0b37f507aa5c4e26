"""Strict JSON against a slow and simple reading of the same text."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.strict_json import DEPTH_MAX, POINTER_CHARACTERS_MAX, JsonFault, join_pointer, parse

KEYS = st.sampled_from(["a", "b", "a:", '":', "é", "a b", "\\", "\t:", "~/", "1"])
NUMBERS = (
    st.integers(-(2**66), 2**66)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 1e300, -0.0, 1e19])
)
TEXTS = st.sampled_from(["", ":", '"x":', " : ", "\u20ac", 'a":"b', "\n:", "{", "]]"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=5
)


class Pairs(list[tuple[str, Any]]):
    """An object as its text has it: keys may repeat."""


def documents() -> st.SearchStrategy[Any]:
    return st.recursive(
        st.none() | st.booleans() | NUMBERS | TEXTS,
        lambda inner: (
            st.lists(inner, max_size=4) | st.lists(st.tuples(KEYS, inner), max_size=4).map(Pairs)
        ),
        max_leaves=12,
    )


def written(value: Any, blank: str, ascii_only: bool) -> str:
    """Print a document, repeated keys included, with `blank` wherever blanks may stand."""
    if isinstance(value, Pairs):
        members = [
            f"{json.dumps(key, ensure_ascii=ascii_only)}{blank}:{blank}"
            f"{written(item, blank, ascii_only)}"
            for key, item in value
        ]
        return f"{{{blank}{f',{blank}'.join(members)}{blank}}}"
    if isinstance(value, list):
        return f"[{f'{blank},'.join(written(item, blank, ascii_only) for item in value)}{blank}]"
    return json.dumps(value, ensure_ascii=ascii_only)


def ought_to_be_refused(value: Any) -> bool:
    if isinstance(value, Pairs):
        keys = [key for key, _ in value]
        return len(set(keys)) < len(keys) or any(ought_to_be_refused(item) for _, item in value)
    if isinstance(value, list):
        return any(ought_to_be_refused(item) for item in value)
    return type(value) is int and not -(2**63) <= value < 2**64


@given(documents(), st.sampled_from(["", " ", "\n\t", "\r"]), st.booleans())
def test_a_text_is_refused_exactly_when_a_key_repeats_or_an_integer_is_too_long(
    value: Any, blank: str, ascii_only: bool
) -> None:
    text = written(value, blank, ascii_only).encode()
    parsed = parse(text)
    if ought_to_be_refused(value):
        assert isinstance(parsed, JsonFault)
        assert parsed.reason
        assert parsed.remedy
    else:
        assert parsed == json.loads(text)


@given(st.binary(max_size=40) | st.text('{}[]",:0a\\ -.eE', max_size=40).map(str.encode))
def test_no_bytes_make_it_raise(text: bytes) -> None:
    parsed = parse(text)
    if not isinstance(parsed, JsonFault):
        assert orjson.loads(text) == parsed


@pytest.mark.parametrize(
    ("text", "pointer", "said"),
    [
        (b'{"a":1,"a":2}', "/a", "twice"),
        (b'{"a" : 1 , "a" : 2}', "/a", "twice"),
        (b'{"a":{"b":[1,{"x":1,"\\u0078":2}]}}', "/a/b/1/x", "twice"),
        (b'{"t":"\\":","a":1,"a":2}', "/a", "twice"),
        (b'{"a" :1,"e":"\\u00e9","a":2}', "/a", "twice"),
        (b'{"a":1e5,"b":100000000,"a":2}', "/a", "twice"),
        (b'{"a/b":{"~":18446744073709551616}}', "/a~1b/~0", "64 bits"),
        (b"[1,[-9223372036854775809]]", "/1/0", "64 bits"),
        (b"[NaN]", "", "NaN"),
        (b"[-Infinity]", "", "Infinity"),
        (b"1e999", "", "infinity"),
        (b"1" * 5000, "", "infinity"),
        (b'"\xff"', "", "UTF-8 at byte 1"),
        (b"\xed\xa0\x80", "", "UTF-8"),
        (b'"\\ud800"', "", "surrogate"),
        (b"\xef\xbb\xbf{}", "", "byte order mark"),
        (b"", "", "empty"),
        (b'{"a":1,}', "", "comma"),
        (b"{'a':1}", "", "key"),
        (b"{} {}", "", "after document"),
        (b'{"a":1', "", "end of data"),
    ],
)
def test_a_refusal_says_what_and_where(text: bytes, pointer: str, said: str) -> None:
    fault = parse(text)
    assert isinstance(fault, JsonFault)
    assert fault.pointer == pointer
    assert said in fault.reason
    assert fault.remedy


def test_a_refusal_never_quotes_a_value() -> None:
    for text in (b'{"a":"hunter2","a":"hunter3"}', b'{"a":"hunter2"', b'["hunter2" 1]'):
        fault = parse(text)
        assert isinstance(fault, JsonFault)
        assert "hunter" not in f"{fault}"


@pytest.mark.parametrize("depth", [DEPTH_MAX + 1, 200, 254, 255, 1000, 1024, 1025, 10_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused_with_its_reason(depth: int, opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    for text in (opening * depth + b"1" + closing * depth, opening * depth):
        fault = parse(text)
        assert isinstance(fault, JsonFault)
        if closing in text or depth > 1024:
            assert "deeper than 64" in fault.reason


def test_the_depth_that_is_allowed_is_allowed_and_can_be_set() -> None:
    def nested(depth: int) -> bytes:
        return b"[" * depth + b"]" * depth

    assert parse(nested(DEPTH_MAX)) == json.loads(nested(DEPTH_MAX))
    assert isinstance(parse(nested(4), depth_max=3), JsonFault)
    assert parse(nested(3), depth_max=3) == [[[]]]
    assert parse(nested(200), depth_max=200) == json.loads(nested(200))


def test_many_brackets_side_by_side_are_not_deep() -> None:
    value = {"rows": [{"n": n, "deep": [[[]]]} for n in range(500)]}
    assert parse(orjson.dumps(value)) == value
    assert parse(json.dumps(value).encode()) == value


@pytest.mark.parametrize("value", [2**63, 2**64 - 1, -(2**63), 1e19, 1e300, 5e-324, 0.1])
def test_numbers_within_64_bits_come_back_as_they_were(value: float) -> None:
    assert parse(json.dumps([value, "\u00e9"]).encode()) == [value, "\u00e9"]


def test_negative_zero_stays_a_float() -> None:
    parsed = parse(b"[-0.0]")
    assert isinstance(parsed, list)
    assert math.copysign(1, parsed[0]) == -1


@given(st.lists(st.text(max_size=80) | st.integers(0, 9), max_size=20))
def test_a_pointer_is_bounded_text_and_ends_at_a_token(parts: list[str | int]) -> None:
    pointer = join_pointer(parts)
    pointer.encode()
    assert len(pointer) <= POINTER_CHARACTERS_MAX
    tokens = [str(part).replace("~", "~0").replace("/", "~1") for part in parts]
    whole = "".join("/" + token for token in tokens).encode("utf-8", "replace").decode()
    assert whole.startswith(pointer)


@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\r"])
def test_a_blank_before_a_colon_hides_no_repeated_key(blank: str) -> None:
    """The escape keeps the text from proving itself by being printed again."""
    text = f'{{"a"{blank}:1,"e":"\\u00e9","a":2}}'.encode()
    assert isinstance(parse(text), JsonFault)
