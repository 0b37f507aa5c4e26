"""Whatever is done to a line, the chain shows where."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.telemetry.audit_chain import (
    BEGINNING,
    LINE_BYTES_MAX,
    Head,
    fault_after,
    number_of,
    read,
    seal_of,
    sealed,
    verify,
)

KEY = b"k" * 32


def chain(count: int, key: bytes | None = None, head: Head | None = None) -> list[bytes]:
    head, lines = head or Head(), []
    for number in range(count):
        said = {"agent": f"agent://bob-{number}", "act": "offer"}
        line, head = sealed(head, "2026-11-21T12:00:00.000Z", "admitted", said, key)
        lines.append(line)
    return lines


@pytest.mark.parametrize("key", [None, KEY])
def test_what_nobody_touched_is_whole(key: bytes | None) -> None:
    found = verify(chain(20, key), key)
    assert (found.lines, found.first, found.fault, found.torn_bytes) == (20, 1, "", 0)
    assert found.head is not None and found.head.number == 20


def test_the_first_line_stands_on_nothing() -> None:
    said, fault = read(chain(1)[0], None)
    assert said is not None and not fault
    assert (said["n"], said["before"]) == (1, BEGINNING)


TEN = chain(10)


@settings(max_examples=50)
@given(st.integers(1, 9), st.integers(0, 2000), st.integers(0, 7))
def test_whichever_bit_is_turned_that_line_is_named(line: int, place: int, bit: int) -> None:
    lines = list(TEN)
    changed = bytearray(lines[line])
    changed[place % (len(changed) - 1)] ^= 1 << bit  # its end is another matter
    if b"\n" in changed[:-1]:
        return
    lines[line] = bytes(changed)
    found = verify(lines, None)
    assert found.fault and (found.broken_at, found.lines) == (line + 1, line)


@pytest.mark.parametrize(
    ("mend", "broken_at"),
    [
        (lambda lines: lines[:3] + lines[4:], 4),  # one is gone
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], 4),  # two changed places
        (lambda lines: [*lines[:4], lines[3], *lines[4:]], 5),  # one is there twice
        (lambda lines: [*lines[:3], b"\n", *lines[3:]], 4),
        (lambda lines: [*lines[:3], b'{"n":4}\n', *lines[3:]], 4),
        (lambda lines: [*lines[:3], b"[]\n", *lines[3:]], 4),
        (lambda lines: [*lines[:3], b"x" * LINE_BYTES_MAX + b"\n"], 4),
    ],
)
def test_lines_that_are_missing_moved_or_added_break_the_chain(mend, broken_at: int) -> None:  # type: ignore[no-untyped-def]
    found = verify(mend(chain(8)), None)
    assert found.fault and found.broken_at == broken_at


def test_lines_sealed_anew_from_one_on_break_the_chain_there() -> None:
    """Somebody may seal what he writes, but not what others have confirmed before it."""
    lines = chain(8)
    said = orjson.loads(lines[3])
    body = orjson.dumps({**{k: v for k, v in said.items() if k != "seal"}, "act": "accept"})[:-1]
    lines[3] = body + b',"seal":"' + seal_of(body, None).encode() + b'"}\n'
    found = verify(lines, None)
    assert (found.broken_at, found.fault) == (5, "it was not written after the line before it")


def test_with_a_key_nobody_else_can_seal() -> None:
    """Without one, whoever can write the file can write all of it anew."""
    assert verify(chain(5), KEY).broken_at == 1
    assert verify(chain(5, KEY), None).broken_at == 1
    assert verify(chain(5, KEY), b"l" * 32).broken_at == 1


def test_a_last_line_that_was_cut_short_is_torn_and_not_broken() -> None:
    lines = chain(5)
    lines[4] = lines[4][:-20]
    found = verify(lines, None)
    assert (found.lines, found.fault, found.torn_bytes) == (4, "", len(lines[4]))
    assert verify(lines, None, is_last=False).fault
    found = verify([*lines[:4], lines[4], b"more"], None)
    assert (found.fault, found.broken_at) == ("it was cut short", 5)


def test_a_chain_goes_on_where_the_file_before_it_ended() -> None:
    first = verify(chain(5), None, is_last=False)
    assert first.head is not None
    assert verify(chain(5, head=first.head), None, first.head).lines == 5
    missed = verify(chain(5, head=Head(9, first.head.seal)), None, first.head)
    assert missed.fault == "it is line 10 of the chain, after 5: lines are missing"


def test_where_a_chain_begins_in_the_middle_only_what_is_there_is_proven() -> None:
    found = verify(chain(8)[3:], None)
    assert (found.lines, found.first, found.fault) == (5, 4, "")
    assert fault_after(None, {"n": 4}) == ""


def test_a_line_says_its_number_whatever_else_is_wrong_with_it() -> None:
    assert number_of(chain(3)[2][:-5] + b'x"}\n') == 3
    for line in (b"", b"[]", b"{}", b'{"n":"x"}', b"\xff"):
        assert number_of(line) == 0
