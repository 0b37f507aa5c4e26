"""Records as lines: what is written is what is read, in every version there was."""

from __future__ import annotations

import json
import typing
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from gateway.record_format import (
    EVENT_KINDS,
    VERSION,
    RecordError,
    bytes_of,
    fingerprint,
    line_of,
    recorded_in,
)
from policy.effects import Effect, Relay, Tell, Turn
from policy.events import Event
from policy.table import Record, Table
from policy.table import replay as played
from tests.support.plays import TIME_UP, make_call, offer, thinking

RECORDED = Path(__file__).parent / "recorded"


def record() -> Record:
    table = Table(keep_records=True)
    call = make_call("flow/high", deadline=10.0)
    table.open(call, 0.0)
    text = offer("bob", 40.0, fields={"value": 40, "text": "günstig", "deep": [1, 2.0, None]})
    for at, event in (
        (1.0, text),
        (1.5, thinking("carol")),
        (2.0, offer("bob", 1.0)),
        (10.0, TIME_UP),
    ):
        table.apply(call.negotiation_id, event, at)
    found = table.record(call.negotiation_id)
    assert found is not None
    return found


def test_a_record_that_is_read_is_the_one_that_was_written() -> None:
    written = record()
    read = recorded_in(line_of(written))
    assert (read.record, read.version) == (written, VERSION)
    assert read.effects == fingerprint(played(written)), "what it did is what it does"


def test_a_line_says_what_it_is_before_anything_else() -> None:
    line = line_of(record())
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    told = json.loads(line)
    assert list(told) == ["version", "by", "opened_at", "call", "events", "effects"]
    assert told["call"]["protocol"] == "contract-net" and told["call"]["options"] == {}
    assert [event[:2] for event in told["events"]] == [
        [1.0, "OfferReceived"],
        [1.5, "ThinkingReceived"],
        [2.0, "OfferReceived"],
        [10.0, "DeadlinePassed"],
    ]
    assert len(told["effects"]["steps"]) == 5 and len(told["effects"]["sha256"]) == 64


def test_a_record_of_which_nobody_noted_the_effects_has_no_fingerprint() -> None:
    whole = record()
    bare = Record(whole.call, whole.opened_at, whole.events)
    assert recorded_in(line_of(bare)).effects is None


@pytest.mark.parametrize("number", range(1, VERSION + 1))
def test_records_of_every_version_are_read_and_do_what_they_did(number: int) -> None:
    """The digests were written by the release that wrote the records."""
    lines = (RECORDED / f"version-{number}.jsonl").read_bytes().splitlines()
    digests = dict(
        line.split() for line in (RECORDED / f"version-{number}.sha256").read_text().splitlines()
    )
    assert len(lines) == len(digests)
    for line in lines:
        read = recorded_in(line)
        assert read.version == number
        now = fingerprint(played(read.record))
        assert now.sha256 == digests[read.record.call.negotiation_id]
        assert read.effects in (None, now)


def test_what_is_written_anew_in_the_version_of_today_is_the_same_record() -> None:
    for line in (RECORDED / "version-1.jsonl").read_bytes().splitlines():
        old = recorded_in(line).record
        assert recorded_in(line_of(old)).record == old


def test_every_kind_of_event_comes_back_with_its_kind() -> None:
    """Also those of which no play here makes one."""
    call = make_call()
    for name, kind in EVENT_KINDS.items():
        event = _one_of(kind)
        line = line_of(Record(call, 0.0, ((1.0, event),)))
        ((_, read),) = recorded_in(line).record.events
        assert type(read).__name__ == name and read == event


def _one_of(kind: type[Event]) -> Event:
    """Return an event of a kind with something in every field that must be given."""
    filled = {"float": 2.5, "int": 2, "str": "x", "bool": True}
    hints = typing.get_type_hints(kind)
    given: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        if field.required:
            plain = filled.get(getattr(hints[field.name], "__name__", ""))
            given[field.name] = plain if plain is not None else _emptiest(hints[field.name])
    return msgspec.convert(given, kind)


def _emptiest(hint: object) -> object:
    for empty in ([], {}, None):
        try:
            msgspec.convert(empty, hint)
        except msgspec.ValidationError:
            continue
        return empty
    raise AssertionError(f"what would be a {hint}?")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "cut short"),
        (b'{"version": 2, "by": "0.4', "cut short"),
        (b"\xff\xfe", "cut short"),
        (b"[1]", "no record"),
        (b"{}", "no record"),
        (b'{"version": 99}', "version 99 is not known here"),
        (b'{"version": "2"}', "no record"),
    ],
)
def test_what_is_no_record_says_why(line: bytes, words: str) -> None:
    with pytest.raises(RecordError, match=words):
        recorded_in(line)


def test_an_event_that_a_later_release_knows_is_named() -> None:
    for line in (
        line_of(record()).replace(b"ThinkingReceived", b"MusingReceived"),
        (RECORDED / "version-1.jsonl").read_bytes().splitlines()[6].replace(b"Thinking", b"Musing"),
    ):
        with pytest.raises(RecordError, match=r"MusingReceived|MusingReceived is not known"):
            recorded_in(line)


def test_equal_effects_have_equal_bytes_and_others_do_not() -> None:
    tell = Tell("agent://bob", "accept", "n:1", "o1", {"price": 40.0, "decision": "accepted"})
    same = Tell("agent://bob", "accept", "n:1", "o1", {"price": 40.0, "decision": "accepted"})
    assert bytes_of([tell]) == bytes_of([same])
    others: list[list[Effect]] = [
        [],
        [tell, tell],
        [replace(tell, recipient="agent://carol")],
        [replace(tell, body={"price": 40, "decision": "accepted"})],
        [replace(tell, body={"decision": "accepted", "price": 40.0})],  # another text on the wire
        [replace(tell, turn=Turn(1, 0, 5.0, 9.0))],
    ]
    assert len({bytes_of(effects) for effects in [[tell], *others]}) == 1 + len(others)


def test_every_kind_of_effect_bears_its_name_and_leaves_out_what_has_its_default() -> None:
    """Then a field that is added later changes no fingerprint that was written before."""
    for kind in typing.get_args(Effect):
        told = kind.__struct_config__
        assert told.tag == kind.__name__ and told.omit_defaults, kind
    assert bytes_of([Relay("agent://bob")]) == b'[{"type":"Relay","recipient":"agent://bob"}]'
    assert Turn.__struct_config__.omit_defaults


def test_a_fingerprint_has_a_part_for_each_step_and_the_opening() -> None:
    steps = played(record())
    told = fingerprint(steps)
    assert len(told.steps) == len(steps)
    changed = fingerprint([*steps[:2], [], *steps[3:]])
    assert changed.sha256 != told.sha256
    differing = [
        n
        for n, pair in enumerate(zip(told.steps, changed.steps, strict=True))
        if len(set(pair)) > 1
    ]
    assert differing == [2]
