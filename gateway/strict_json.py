"""Reads JSON the way two programs cannot read differently.

orjson parses; it already refuses invalid UTF-8, NaN, Infinity and numbers that overflow. What it
lets through is refused here: a key that stands twice in an object (it keeps the last, others
keep the first), an integer beyond 64 bits (it becomes a float) and deep nesting.

Looking for those costs less than parsing, because nearly every payload proves its innocence in
one comparison: what orjson prints has each key once, no integer beyond 64 bits, and the
same tokens as the text when the text is printed again. Three proofs are tried, cheapest first;
only a text that passes none of them is scanned token by token. A proof never holds for a text
that ought to be refused. Nothing here raises or recurses, whatever the bytes are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import orjson

DEPTH_MAX = 64
DEPTH_LIMIT = 200
"""The most that `depth_max` may be: orjson prints no more than 254 levels."""
INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**64 - 1
POINTER_CHARACTERS_MAX = 256

_WHITESPACE = b" \t\r\n"
_OPEN_ARRAY = ord("[")
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},]|-?[0-9][0-9.eE+-]*+', re.DOTALL)
# The end of a key and its colon; JSON allows nothing else in front of a member's colon.
_COLONS = (b'":', b" :", b"\t:", b"\n:", b"\r:")

# What orjson says, and what would have been right.
_REMEDIES = (
    ("not valid UTF-8", "Encode the text as UTF-8."),
    ("byte order mark", "Leave out the byte order mark."),
    ("zero-length", 'Send a JSON object, at least {"$schema": …}.'),
    ("infinity", "Use numbers within the range of a 64-bit float."),
    ("trailing comma", "Remove the comma before the closing bracket."),
    ("string key", "Write each key in double quotes."),
    ("control character", "Escape control characters in strings, a line break as \\n."),
    ("surrogate", "Write characters beyond U+FFFF as themselves or as a surrogate pair."),
    ("end of data", "Send the whole text; a bracket or a quote is not closed."),
    ("after document", "Send one JSON value and nothing after it."),
)


@dataclass(frozen=True, slots=True)
class JsonFault:
    """Why a text is not strict JSON."""

    pointer: str
    """A JSON pointer to what is wrong; empty when the whole text is."""
    reason: str
    """A sentence without any of the text's values."""
    remedy: str


def parse(payload: bytes, depth_max: int = DEPTH_MAX) -> object | JsonFault:
    """Return the value of a JSON text, or why it is refused; never raises.

    `depth_max` is the number of brackets that may be open at once, 1 to `DEPTH_LIMIT`. The
    caller bounds the size.
    """
    try:
        value: object = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        return _syntax_fault(payload, error, depth_max)
    # Most payloads have no array, and to look for one bracket is quicker than to count them;
    # to look for its number is quicker than for a text of it.
    brackets = payload.count(b"{") + (payload.count(b"[") if _OPEN_ARRAY in payload else 0)
    if brackets > depth_max and _is_too_deep(value, depth_max):
        return _too_deep(depth_max)
    printed = orjson.dumps(value)
    # The same tokens in the same order: blanks inside strings go too, which moves no token.
    if printed == payload or (
        payload.translate(None, _WHITESPACE) == printed.translate(None, _WHITESPACE)
    ):
        return value
    return _examined(payload, value)


def join_pointer(parts: list[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) of a path; a very long one is cut at a token."""
    pointer = ""
    for part in parts:
        token = "/" + str(part).replace("~", "~0").replace("/", "~1")
        if len(pointer) + len(token) > POINTER_CHARACTERS_MAX:
            break
        pointer += token
    return pointer.encode("utf-8", "replace").decode()


def _is_too_deep(value: object, depth_max: int) -> bool:
    """Tell whether more brackets are open at once than may be; looks no deeper than that."""
    layer: list[dict[str, object] | list[object]] = (
        [value] if isinstance(value, dict | list) else []
    )
    for _ in range(depth_max):
        layer = [
            inner
            for outer in layer
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not layer:
            return False
    return bool(layer)


def _examined(payload: bytes, value: object) -> object | JsonFault:
    """Judge a text that printing it again said nothing about."""
    members, suspicious = _survey(value)
    # Each member of the text has one of these colons, so members ≤ their number. Parsing can
    # only lose members; when as many came out as can have gone in, none was lost.
    if not suspicious and members == sum(map(payload.count, _COLONS)):
        return value
    fault = _scan(payload)
    return value if fault is None else fault


def _survey(value: object) -> tuple[int, bool]:
    """Return the members of all objects, and whether a float may have been an integer."""
    members = 0
    suspicious = False
    layer = [value]
    while layer:
        below: list[object] = []
        for item in layer:
            if isinstance(item, dict):
                members += len(item)
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
            elif isinstance(item, float) and not -(2.0**63) < item < 2.0**63:
                suspicious = True
        layer = below
    return members, suspicious


def _scan(payload: bytes) -> JsonFault | None:
    """Go through the tokens of a text that parses, and find what orjson overlooks."""
    path: list[str | int] = []  # the key or index at which each open bracket stands now
    keys: list[set[str] | None] = []  # what each open object has had; None for an array
    key_next = False
    for match in _TOKEN.finditer(payload):
        token = match[0]
        first = token[0]
        if first == 0x22:  # a string
            if key_next:
                key: str = orjson.loads(token)
                seen = keys[-1]
                assert seen is not None, "a key stands in an object"
                path[-1] = key
                if key in seen:
                    return JsonFault(
                        join_pointer(path),
                        "This key stands twice in its object.",
                        "Give each key once.",
                    )
                seen.add(key)
                key_next = False
        elif first == 0x7B:  # {
            path.append("")
            keys.append(set())
            key_next = True
        elif first == 0x5B:  # [
            path.append(0)
            keys.append(None)
            key_next = False
        elif first in b"]}":
            path.pop()
            keys.pop()
            key_next = False
        elif first == 0x2C:  # a comma
            index = path[-1]
            if isinstance(index, int):
                path[-1] = index + 1
            else:
                key_next = True
        elif token.lstrip(b"-").isdigit() and (
            len(token) > 20 or not INTEGER_MIN <= int(token) <= INTEGER_MAX
        ):
            return JsonFault(
                join_pointer(path),
                "This integer does not fit into 64 bits.",
                "Send a smaller number, or the digits as a string.",
            )
    return None


def _too_deep(depth_max: int) -> JsonFault:
    return JsonFault(
        "",
        f"The JSON is nested deeper than {depth_max} levels.",
        f"Nest at most {depth_max} objects and arrays.",
    )


def _syntax_fault(payload: bytes, error: orjson.JSONDecodeError, depth_max: int) -> JsonFault:
    # orjson also runs out of its stack, which it calls memory, when many brackets stay open.
    if "depth limit" in error.msg or "allocate memory" in error.msg:
        return _too_deep(depth_max)
    try:
        text = payload.decode()
    except UnicodeDecodeError as fault:
        return JsonFault(
            "", f"The text is not valid UTF-8 at byte {fault.start}.", "Encode the text as UTF-8."
        )
    if re.match(r"-?(NaN|Infinity|inf|nan)", text[error.pos : error.pos + 9]):
        return JsonFault(
            "",
            f"NaN and Infinity are not JSON (character {error.pos}).",
            "Send a finite number, or leave the member out.",
        )
    remedy = next((right for said, right in _REMEDIES if said in error.msg), "")
    return JsonFault(
        "",
        f"The text is not JSON: {error.msg} (character {error.pos}).",
        remedy or "Send one JSON object as RFC 8259 says: double quotes, no comments.",
    )
