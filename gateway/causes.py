"""The message that caused a step of a negotiation, as far as its effects need it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.members import Member, Recipient
from gateway.outbox import Parcel
from gateway.redaction import redact
from llmx.v1.envelope_pb2 import Envelope

NO_MESSAGE = Parcel("", b"", 0.0, "", "", False)


class Cause(msgspec.Struct, frozen=True, gc=False):
    """The message that caused a step, as far as its effects need it."""

    sender: Recipient
    parcel: Parcel
    """What forwards the message."""
    body: Mapping[str, Any] | None = None
    """The payload, where `sensitive` asks for a redacted copy per recipient."""
    sensitive: tuple[str, ...] = ()
    topics: tuple[str | None, ...] = ()
    """On which topic each agent that is called hears the call; None: directly."""
    owed: asyncio.Event | None = None
    """Set when what it caused is on disk, in a durable negotiation."""
    author: Member | None = None
    """Whose batch is not confirmed before a shard has judged this; None where nobody waits."""


def redacted(cause: Cause, member: Recipient, topic: str | None, now: float) -> bytes:
    """Return the envelope without the sensitive fields that `member` has not consented to."""
    assert cause.body is not None, "a cause with sensitive fields carries its payload"
    allowed = member.visible_fields(cause.sender.agent_id, topic, now)
    visible = redact(cause.body, cause.sensitive, allowed)
    if visible == cause.body:
        return cause.parcel.envelope  # there was nothing to remove: the same bytes
    envelope = Envelope.FromString(cause.parcel.envelope)
    envelope.payload = orjson.dumps(visible)
    return envelope.SerializeToString()


def extended(cause: Cause, fields: bytes) -> Cause:
    """Return the cause with more fields in its envelope; protobuf merges what is concatenated."""
    if not fields:
        return cause
    parcel = msgspec.structs.replace(cause.parcel, envelope=cause.parcel.envelope + fields)
    return msgspec.structs.replace(cause, parcel=parcel)


def nobody(member: Recipient) -> Cause:
    """Return the cause of an event that no message caused."""
    return Cause(member, NO_MESSAGE)
