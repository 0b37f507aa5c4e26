"""What runs in a validation worker: one task after the other, until the pipe ends.

A task arrives as a frame and its verdict leaves as one. Everything that came from an agent,
the payload and perhaps the schema, is only ever looked at here, within a time budget that the
parent enforces by killing the process. The worker holds nothing worth keeping.

A frame is the lengths of its parts, then the parts; see `pack`. Only plain bytes travel, so
nothing that a worker says can run code in the gateway.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import struct
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, field
from types import FrameType
from typing import Any

import orjson
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from gateway import foreign_schemas, shipped_schemas
from gateway.examples import examples_of
from gateway.explanation import Finding, from_native, from_reference
from gateway.strict_json import JsonFault, parse

READY = b"ready"
CACHED_MAX = 64
"""How many compiled foreign schemas a worker keeps."""
MEMORY_BYTES_MAX = 2 * 1024**3
EXPLAIN_SHARE = 0.6
"""The part of the time budget after which the reference library must have explained."""

HEADER = struct.Struct("!III")
Parts = tuple[bytes, bytes, bytes]


def pack(order: bytes, payload: bytes = b"", schema: bytes = b"") -> bytes:
    """Return the frame of an order, or of an answer, with its attachments."""
    return HEADER.pack(len(order), len(payload), len(schema)) + order + payload + schema


class OverrunError(BaseException):
    """Ends an explanation that takes too long; not an Exception, so that nobody swallows it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker found."""

    kind: str
    """"valid", "invalid_json", "violation", "rejected" or "accepted"."""
    pointer: str = ""
    reason: str = ""
    remedy: str = ""
    example: str = ""
    schema_id: str = ""
    sensitive: tuple[str, ...] = ()
    examples: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A validator in both libraries."""

    is_valid: Callable[[object], bool]
    native_error: Callable[[object], Finding]
    reference: Callable[[], Any]
    example: str


def serve(parent: int) -> None:
    """Judge what arrives on the socket that is standard input, until it or `parent` ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the gateway, which closes us
    signal.signal(signal.SIGALRM, _overrun)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold payloads
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    compiled = _Cache()
    shipped_schemas.documents()
    with socket.socket(fileno=0) as channel, channel.makefile("rwb") as stream:
        try:
            stream.write(pack(READY))
            stream.flush()
            while os.getppid() == parent:
                lengths = stream.read(HEADER.size)
                if len(lengths) < HEADER.size:
                    return
                order, payload, schema = map(stream.read, HEADER.unpack(lengths))
                answer = _carry_out(orjson.loads(order), payload, schema, compiled)
                stream.write(pack(orjson.dumps(astuple(answer))))
                stream.flush()
        except (BrokenPipeError, ConnectionResetError):
            return  # the gateway is gone


class _Cache:
    """Compiled validators, the least recently used of which goes first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, bytes], _Compiled] = OrderedDict()

    def get(self, key: tuple[str, bytes], make: Callable[[], _Compiled]) -> _Compiled:
        compiled = self._kept.pop(key, None) or make()
        self._kept[key] = compiled
        if len(self._kept) > CACHED_MAX:
            self._kept.popitem(last=False)
        return compiled


def _carry_out(order: Any, payload: bytes, schema: bytes, cache: _Cache) -> Answer:
    explain_by = time.monotonic() + order["budget"] * EXPLAIN_SHARE
    if order["do"] == "check":
        checked = foreign_schemas.check(schema)
        if isinstance(checked, Finding):
            return Answer("rejected", checked.pointer, checked.reason, checked.remedy)
        return Answer(
            "accepted",
            schema_id=checked.schema_id,
            sensitive=checked.sensitive,
            examples=_examples(schema, explain_by),
        )
    value = parse(payload, order["depth_max"])
    if isinstance(value, JsonFault):
        return Answer("invalid_json", value.pointer, value.reason, value.remedy)
    act, shipped = order["act"], order["shipped"]
    judges = []
    if shipped and act not in shipped_schemas.ACTS_OF[shipped]:
        reason = f'{shipped}.json does not judge the act "{act}".'
        return Answer("violation", "/$schema", reason, "Name a schema that judges it.")
    if shipped:
        judges.append(cache.get((shipped, act.encode()), lambda: _shipped(shipped, act)))
    else:
        if act in shipped_schemas.NEGOTIATION_ACTS:
            name = "Negotiation"
            judges.append(cache.get((name, act.encode()), lambda: _shipped(name, act)))
        judges.append(cache.get(("", schema), lambda: _foreign(schema)))
    for judge in judges:
        if not judge.is_valid(value):
            found = _explain(judge, value, explain_by)
            return Answer("violation", found.pointer, found.reason, found.remedy, judge.example)
    return Answer("valid")


def _shipped(name: str, act: str) -> _Compiled:
    subject = shipped_schemas.subject(name, act)
    return _both(subject, shipped_schemas.native(subject))


def _foreign(schema: bytes) -> _Compiled:
    document = orjson.loads(schema)
    return _both(document, foreign_schemas.compile_foreign(document))


def _both(document: Mapping[str, Any], native: Any) -> _Compiled:
    def native_error(value: object) -> Finding:
        return from_native(next(iter(native.iter_errors(value))))

    example = foreign_schemas.smallest_example(document, native.is_valid)
    return _Compiled(native.is_valid, native_error, lambda: _reference(document), example)


def _reference(document: Mapping[str, Any]) -> Any:
    documents = shipped_schemas.documents().items()
    registry: Registry[Any] = Registry().with_resources(
        (schema_id, DRAFT202012.create_resource(known)) for schema_id, known in documents
    )
    return Draft202012Validator(document, registry=registry)


def _examples(schema: bytes, ready_by: float) -> dict[str, str]:
    """Return small valid payloads under a schema, by act, as many as are found in time.

    The reference library judges them first, because it can be interrupted and is slower than the
    native validator, which has the last word.
    """
    document = orjson.loads(schema)
    found: dict[str, str] = {}
    native = foreign_schemas.compile_foreign(document)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, ready_by - time.monotonic()))
            reference = _reference(document)
            examples_of(
                document,
                lambda value: reference.is_valid(value) and native.is_valid(value),
                found,
            )
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (OverrunError, RecursionError, MemoryError):
        pass
    except Exception:  # noqa: BLE001  # a foreign schema: the library may fail in any way
        return found
    return found


def _explain(judge: _Compiled, value: object, explain_by: float) -> Finding:
    """Return what the reference library finds, or in want of time the native validator."""
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, max(0.001, explain_by - time.monotonic()))
            found = from_reference(judge.reference().iter_errors(value))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (OverrunError, RecursionError, MemoryError):
        found = None
    except Exception:  # noqa: BLE001  # a foreign schema: the library may fail in any way
        found = None
    return found or judge.native_error(value)


def _overrun(number: int, frame: FrameType | None) -> None:
    raise OverrunError
