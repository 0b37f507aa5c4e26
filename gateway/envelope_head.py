"""An envelope as admission reads it, whose nested messages stay bytes.

To look into a nested message costs Python an object for each, together as much as to parse the
envelope. An agent seldom changes its scope, and no agent sends a turn: so a scope is worked out
once for all that have the same bytes, and of a turn only its presence is asked.

`Head` has the fields of `Envelope`, by the same numbers, so each parses what the other writes; an
envelope that bears its scope twice, which no library of protobuf writes, has the last one here.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Protocol, cast

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from llmx.v1.envelope_pb2 import Envelope


class Head(Protocol):
    """What admission asks of an envelope."""

    msg_id: str
    ts: str
    sender: str
    act: int
    negotiation_id: str
    payload: bytes
    quality_of_service: int
    durable: bool
    receipt: int
    traceparent: str
    scope: bytes
    """A serialised Scope; empty when there is none."""

    @property
    def recipients(self) -> Sized:
        """To whom it is addressed."""

    @property
    def capabilities(self) -> Sized:
        """What recipients must be able to do."""


def _head_class() -> type:
    """Return a class like that of Envelope, with bytes for messages and integers for enums."""
    head = DescriptorProto()
    Envelope.DESCRIPTOR.CopyToProto(head)
    for field in head.field:
        if field.type == FieldDescriptorProto.TYPE_MESSAGE:
            field.type = FieldDescriptorProto.TYPE_BYTES
            field.oneof_index = len(head.oneof_decl)  # by which proto3 notes presence
            field.proto3_optional = True
            head.oneof_decl.add(name=f"_{field.name}")
        elif field.type == FieldDescriptorProto.TYPE_ENUM:
            field.type = FieldDescriptorProto.TYPE_INT32
        field.ClearField("type_name")
    file = FileDescriptorProto(name="head.proto", package="llmx.head", syntax="proto3")
    file.message_type.append(head)
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("llmx.head.Envelope"))


_CLASS = _head_class()
head_of = cast(Callable[[bytes], Head], _CLASS.FromString)  # type: ignore[attr-defined]
"""Returns the head of a serialised envelope; raises DecodeError."""
has_field = cast(Callable[[Head, str], bool], _CLASS.HasField)  # type: ignore[attr-defined]
"""Tells whether a scope or a turn is there; quicker so, as a message looks long for its methods."""
