"""The chain of an audit: each line is sealed together with the seal of the line before.

    {"n":7,"at":"…","kind":"admitted",…,"before":"<seal of line 6>","seal":"<seal of all before>"}

A seal is the SHA-256 of the line up to its seal, or the HMAC-SHA-256 where there is a key. Who
changes, removes, adds or moves a line breaks the chain there. Without a key somebody who can write
the file can seal everything after it anew; with one that takes the key. Lines that are missing at
the end are not noticed by the file alone: compare with the last seal, which the gateway logs when
it stops and when it begins another file.

Pure: nothing here opens a file.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

BEGINNING = "0" * 64
"""What stands for the seal before the first line."""
LINE_BYTES_MAX = 64 * 1024
_TAIL = len(',"seal":""}\n') + 64


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain stands."""

    number: int = 0
    """Of the last line, 0 before the first one."""
    seal: str = BEGINNING


def seal_of(body: bytes, key: bytes | None) -> str:
    """Return the seal of a line up to it."""
    if key is None:
        return hashlib.sha256(body).hexdigest()
    return hmac.new(key, body, hashlib.sha256).hexdigest()


def sealed(
    head: Head, at: str, kind: str, said: Mapping[str, object], key: bytes | None
) -> tuple[bytes, Head]:
    """Return the next line of a chain, and where the chain stands with it."""
    number = head.number + 1
    line = {"n": number, "at": at, "kind": kind, **said, "before": head.seal}
    body = orjson.dumps(line)[:-1]
    seal = seal_of(body, key)
    return b'%b,"seal":"%b"}\n' % (body, seal.encode()), Head(number, seal)


def read(line: bytes, key: bytes | None) -> tuple[Mapping[str, Any] | None, str]:
    """Return what a line says, or None and what is wrong with it; its chain is not looked at."""
    if not line.endswith(b'"}\n') or len(line) > LINE_BYTES_MAX:
        return None, "it is no line of an audit"
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None, "it is no JSON"
    if not isinstance(said, dict) or not isinstance(said.get("n"), int):
        return None, "it is no line of an audit"
    seal, before = said.get("seal"), said.get("before")
    if not isinstance(seal, str) or not isinstance(before, str):
        return None, "it has no seal"
    if not hmac.compare_digest(seal_of(line[:-_TAIL], key), seal):
        return None, "it was changed, or sealed with another key"
    return said, ""


def number_of(line: bytes) -> int:
    """Return the number that a line says it has, 0 for none; nothing is proven by it."""
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        return 0
    number = said.get("n") if isinstance(said, dict) else None
    return number if isinstance(number, int) else 0


def fault_after(head: Head | None, said: Mapping[str, Any]) -> str:
    """Return why a line does not follow where the chain stands; empty when it does."""
    if head is None:
        return ""
    number = said["n"]
    if number != head.number + 1:
        between = "missing" if number > head.number + 1 else "twice, or moved"
        return f"it is line {number} of the chain, after {head.number}: lines are {between}"
    if said["before"] != head.seal:
        return "it was not written after the line before it"
    return ""


@dataclass(slots=True)
class Verification:
    """What became of looking through lines."""

    lines: int = 0
    first: int = 0
    """The number of the first line in the chain, 0 without any."""
    head: Head | None = None
    torn_bytes: int = 0
    """Of a last line that was cut short."""
    fault: str = ""
    broken_at: int = 0
    """Which line of its file is the first broken one, from 1."""


def verify(
    lines: Iterable[bytes], key: bytes | None, after: Head | None = None, *, is_last: bool = True
) -> Verification:
    """Look through the lines of one file until one is broken.

    `after` is where the chain stands before them, None when nobody knows. A last line without its
    end counts as torn if the file `is_last`; elsewhere it is broken.
    """
    found = Verification(head=after)
    for at, line in enumerate(lines, 1):
        if found.torn_bytes:
            found.fault, found.torn_bytes = "it was cut short", 0
            return found
        if not line.endswith(b"\n") and is_last and len(line) <= LINE_BYTES_MAX:
            found.torn_bytes, found.broken_at = len(line), at
            continue
        said, fault = read(line, key)
        if said is not None:
            fault = fault_after(found.head, said)
        if said is None or fault:
            found.fault, found.broken_at = fault, at
            return found
        found.lines += 1
        found.first = found.first or said["n"]
        found.head = Head(said["n"], said["seal"])
    return found
