"""Records of finished negotiations as lines of JSON, in every version there was.

Version 2, what is written today:

    {"version": 2, "by": "0.4.0", "opened_at": 1763000000.0, "call": {…},
     "events": [[1763000000.5, "OfferReceived", {…}], …],
     "effects": {"sha256": "…", "steps": ["1f0c9a2e", …]}}

`effects` is the fingerprint of what the negotiation did when it was live: of the opening and of
each event the first eight hex digits of a SHA-256, to find the place where a replay differs, and
one SHA-256 over all of these, each at its full length, to prove that none does. Version 1 had no
version, no fingerprint, and each event as one flat object.

Whoever adds a version keeps the readers of all before it; a file written by each is in
tests/unit/gateway/recorded. Fields that a later release adds to a call, an event or an
effect have defaults, so older lines are read, and have the same fingerprint, without them.
"""

from __future__ import annotations

import hashlib
import typing
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import version as release_of

import msgspec

from policy.call import Call
from policy.effects import Effect, Relay
from policy.events import Event
from policy.table import Record

VERSION = 2
STEP_DIGITS = 8
"""Hex digits of the fingerprint of one step."""

EVENT_KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in typing.get_args(Event)}


class RecordError(ValueError):
    """A line is no record that this release can read; says why."""


class Fingerprint(msgspec.Struct, frozen=True):
    """What the steps of a negotiation did, so short that it can be kept with them."""

    sha256: str
    """Of the effects of all steps."""
    steps: tuple[str, ...]
    """Of each step by itself, the opening first."""


class Recorded(msgspec.Struct, frozen=True):
    """A record as it was read."""

    record: Record
    version: int
    by: str
    """The release that wrote it; "" before version 2."""
    effects: Fingerprint | None
    """What it did when it was live; None where nobody noted it, as before version 2."""


class _Version(msgspec.Struct, frozen=True):
    version: int = 1


class _First(msgspec.Struct, frozen=True):
    call: Call
    opened_at: float
    events: list[msgspec.Raw]


class _FirstEvent(msgspec.Struct, frozen=True):
    at: float
    event: str


class _Second(msgspec.Struct, frozen=True):
    call: Call
    opened_at: float
    events: list[tuple[float, str, msgspec.Raw]]
    effects: Fingerprint | None
    by: str = ""


_version = msgspec.json.Decoder(_Version).decode
_first = msgspec.json.Decoder(_First).decode
_first_event = msgspec.json.Decoder(_FirstEvent).decode
_second = msgspec.json.Decoder(_Second).decode
_event_decoders = {name: msgspec.json.Decoder(kind).decode for name, kind in EVENT_KINDS.items()}
_encode = msgspec.json.Encoder().encode


def line_of(record: Record) -> bytes:
    """Return a record as one line of JSON in the version of today."""
    line = {
        "version": VERSION,
        "by": _release(),
        "opened_at": record.opened_at,
        "call": record.call,
        "events": [(at, type(event).__name__, event) for at, event in record.events],
        "effects": fingerprint(record.effects) if record.effects else None,
    }
    return _encode(line) + b"\n"


def recorded_in(line: bytes) -> Recorded:
    """Return the record that a line of any version holds. Raises RecordError."""
    try:
        number = _version(line).version
        if number == 1:
            return _read_first(line)
        if number == VERSION:
            return _read_second(line)
    except msgspec.ValidationError as error:
        raise RecordError(f"no record: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"no JSON, cut short perhaps: {error}") from None
    raise RecordError(f"version {number} is not known here, only 1 to {VERSION}")


def fingerprint(steps: Iterable[Sequence[Effect]]) -> Fingerprint:
    """Return the fingerprint of the effects of each step."""
    digests = []
    relays: dict[Effect, bytes] = {}  # most steps ask for the same single relay
    for effects in steps:
        if len(effects) == 1 and type(effects[0]) is Relay:
            digest = relays.get(effects[0])
            if digest is None:
                digest = relays[effects[0]] = _digest(effects)
        else:
            digest = _digest(effects)
        digests.append(digest)
    whole = hashlib.sha256(b"".join(digests)).hexdigest()
    return Fingerprint(whole, tuple([digest.hex()[:STEP_DIGITS] for digest in digests]))


def _digest(effects: Sequence[Effect]) -> bytes:
    return hashlib.sha256(bytes_of(effects)).digest()


def bytes_of(effects: Sequence[Effect]) -> bytes:
    """Return effects as bytes: equal if and only if the same is asked for in the same order.

    What has its default is left out, see `effects`.
    """
    return _encode(effects)


@cache
def _release() -> str:
    return release_of("llmx-gateway")


def _read_first(line: bytes) -> Recorded:
    read = _first(line)
    events = []
    for raw in read.events:
        told = _first_event(raw)
        events.append((told.at, _event(told.event, raw)))
    return Recorded(Record(read.call, read.opened_at, tuple(events)), 1, "", None)


def _read_second(line: bytes) -> Recorded:
    read = _second(line)
    events = tuple((at, _event(kind, raw)) for at, kind, raw in read.events)
    return Recorded(Record(read.call, read.opened_at, events), 2, read.by, read.effects)


def _event(kind: str, raw: msgspec.Raw) -> Event:
    decode = _event_decoders.get(kind)
    if decode is None:
        raise RecordError(f"the event {kind} is not known here")
    return decode(raw)
