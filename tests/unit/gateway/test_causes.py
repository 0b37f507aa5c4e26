"""The message that caused a step: what each recipient may see of it, and what is added to it."""

from __future__ import annotations

import msgspec
import orjson
import pytest

from gateway.causes import Cause, extended, nobody, redacted
from gateway.consents import ConsentGrant
from gateway.members import Member
from gateway.outbox import Parcel
from llmx.v1.envelope_pb2 import Envelope
from tests.support.gateway_parts import Parts

BODY = {"text": "hello", "price": 40}


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
def cause(parts: Parts) -> Cause:
    raw = Envelope(msg_id="m1", payload=orjson.dumps(BODY)).SerializeToString()
    parcel = Parcel("m1", raw, parts.now + 60, "agent://alice", "n1", True)
    return Cause(parts.join("alice"), parcel, BODY, ("/price",))


def seen(cause: Cause, member: Member, parts: Parts) -> object:
    raw = redacted(cause, member, None, parts.now)
    return orjson.loads(Envelope.FromString(raw).payload)


def test_a_sensitive_field_is_seen_with_consent_only(parts: Parts, cause: Cause) -> None:
    bob = parts.join("bob")
    assert seen(cause, bob, parts) == {"text": "hello"}
    bob.consents["price"] = ConsentGrant("price", "agent://alice", fields=frozenset({"/price"}))
    assert seen(cause, bob, parts) == BODY


def test_where_nothing_is_removed_the_bytes_stay_the_same(parts: Parts, cause: Cause) -> None:
    bob = parts.join("bob")
    plain = msgspec.structs.replace(cause, sensitive=("/nothing",))
    assert redacted(plain, bob, None, parts.now) is cause.parcel.envelope


def test_fields_that_are_added_do_not_change_what_was_there(cause: Cause) -> None:
    more = extended(cause, Envelope(in_reply_to="call").SerializeToString())
    envelope = Envelope.FromString(more.parcel.envelope)
    assert (envelope.msg_id, envelope.in_reply_to) == ("m1", "call")
    assert extended(cause, b"") is cause


def test_what_no_message_caused_has_no_message(parts: Parts) -> None:
    bob = parts.join("bob")
    assert nobody(bob).sender is bob and not nobody(bob).parcel.msg_id
