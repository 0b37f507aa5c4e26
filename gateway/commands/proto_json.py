"""Messages of the admin service as plain values, for JSON that programs like to read.

Every field is there, also at its default, under its name in the proto. An enum is the last part
of its name in lower case, a time is ISO 8601 in UTC, a duration is seconds, and what may be
absent and is, is null. Canonical protobuf JSON would write 64-bit numbers as texts.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp


def plain(message: Message) -> dict[str, Any]:
    """Return a message as a dictionary that JSON can hold."""
    return {field.name: _value(message, field) for field in message.DESCRIPTOR.fields}


def word(kind: Any, number: int) -> str:
    """Return a value of an enum (its descriptor) as a word: LINK_CONDITION_OPEN is "open"."""
    known = kind.values_by_number.get(number)
    if known is None:
        return "unknown"  # of a newer gateway
    prefix = kind.values_by_number[0].name.removesuffix("UNSPECIFIED")
    name: str = known.name.removeprefix(prefix)
    return "" if number == 0 else name.lower()


def _value(message: Message, field: Any) -> Any:
    value = getattr(message, field.name)
    if field.is_repeated:
        return [_one(item, field) for item in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _one(value, field)


def _one(value: Any, field: Any) -> Any:
    if field.enum_type is not None:
        return word(field.enum_type, value)
    if isinstance(value, Timestamp):
        text: str = value.ToJsonString()
        return text
    if isinstance(value, Duration):
        return value.ToNanoseconds() / 1e9
    return plain(value) if isinstance(value, Message) else value
