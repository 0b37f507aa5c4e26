"""What must hold before a message enters, and that a refusal leaves no trace."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.allowances import AllowanceLimits
from gateway.headers import SENDABLE, Sender
from gateway.members import Member
from llmx.v1.envelope_pb2 import Act, Envelope, QualityOfService, ReceiptRequest
from tests.support.gateway_parts import NOW, Parts, envelope, received, stream_of


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
def alice(parts: Parts) -> Member:
    return parts.join("alice")


@pytest.fixture
def bob(parts: Parts) -> Member:
    return parts.join("bob")


HELLO = envelope("alice", Act.ACT_MESSAGE, "agent://bob")


def test_a_message_that_is_in_order_arrives_as_the_same_bytes(
    parts: Parts, alice: Member, bob: Member
) -> None:
    assert parts.admit(alice, HELLO)
    assert [one.envelope for one in bob.outbox.take(NOW, 1 << 20)] == [HELLO.SerializeToString()]
    assert parts.metrics.admitted == 1 and stream_of(alice).codes() == []


def test_a_repeat_is_answered_and_delivered_once(parts: Parts, alice: Member, bob: Member) -> None:
    parts.admit(alice, HELLO)
    received(bob)
    bob.outbox.confirm(["m1"], NOW)
    parts.admit(alice, HELLO)
    assert stream_of(alice).codes() == ["DUPLICATE"]
    assert received(bob) == [] and parts.metrics.admitted == 1


def test_two_agents_may_use_the_same_id(parts: Parts, alice: Member, bob: Member) -> None:
    parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob"))
    parts.admit(bob, envelope("bob", Act.ACT_MESSAGE, "agent://alice"))
    assert parts.metrics.admitted == 2


def test_bytes_that_are_no_envelope_are_refused_without_a_name(parts: Parts, alice: Member) -> None:
    assert parts.admission.admit(Sender(alice, SENDABLE), b"\xff\xff") is None
    assert stream_of(alice).codes() == ["MALFORMED_ENVELOPE"]
    assert stream_of(alice).refusals[0].msg_id == ""


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"sender": "agent://bob"}, "SENDER_MISMATCH", "/envelope/from"),
        ({"msg_id": ""}, "MALFORMED_ENVELOPE", "/envelope/msg_id"),
        ({"msg_id": "a b"}, "MALFORMED_ENVELOPE", "/envelope/msg_id"),
        ({"msg_id": "m" * 129}, "MALFORMED_ENVELOPE", "/envelope/msg_id"),
        ({"act": 0}, "UNKNOWN_ACT", "/envelope/act"),
        ({"act": 99}, "UNKNOWN_ACT", "/envelope/act"),
        ({"act": Act.ACT_OFFER}, "UNKNOWN_NEGOTIATION", "/envelope/negotiation_id"),
        ({"ts": "yesterday"}, "CLOCK_SKEW", "/envelope/ts"),
        ({"ts": "2025-08-21T18:50:01Z"}, "CLOCK_SKEW", "/envelope/ts"),
        ({"payload": b"{"}, "INVALID_JSON", None),
        ({"payload": b"[]"}, "SCHEMA_VIOLATION", None),
        ({"payload": b"{}"}, "UNKNOWN_SCHEMA", None),
        ({"payload": b" " * 262_145}, "TOO_LARGE", "/payload"),
    ],
)
def test_what_is_out_of_order_is_refused_and_the_same_id_may_be_used_again(
    parts: Parts,
    alice: Member,
    bob: Member,
    changes: dict[str, object],
    code: str,
    pointer: str | None,
) -> None:
    wrong = type(HELLO)()
    wrong.CopyFrom(HELLO)
    for field, value in changes.items():
        setattr(wrong, field, value)
    assert parts.admit(alice, wrong)
    assert stream_of(alice).codes() == [code]
    assert pointer is None or stream_of(alice).refusals[0].pointer == pointer
    assert stream_of(alice).refusals[0].remedy and parts.metrics.refused[code] == 1
    parts.admit(alice, HELLO)
    assert len(received(bob)) == 1, "the stream lives on"


@pytest.mark.parametrize(("seconds", "nanos"), [(0, 0), (-1, 0), (0, -1), (3600, 1)])
def test_a_time_to_live_is_above_zero_and_bounded(
    parts: Parts, alice: Member, bob: Member, seconds: int, nanos: int
) -> None:
    wrong = envelope("alice", Act.ACT_MESSAGE, "agent://bob")
    wrong.scope.ttl.seconds, wrong.scope.ttl.nanos = seconds, nanos
    parts.admit(alice, wrong)
    assert stream_of(alice).codes() == ["TTL_INVALID"] and received(bob) == []


def test_a_message_lives_as_long_as_it_says(parts: Parts, alice: Member, bob: Member) -> None:
    short = envelope("alice", Act.ACT_MESSAGE, "agent://bob")
    short.scope.ttl.seconds = 5
    parts.admit(alice, short)
    assert bob.outbox.expire(NOW + 4.9) == []
    assert [one.msg_id for one in bob.outbox.expire(NOW + 5)] == ["m1"]


def test_a_token_that_allows_some_acts_allows_no_others(
    parts: Parts, alice: Member, bob: Member
) -> None:
    parts.admit(alice, HELLO, acts=frozenset({Act.ACT_OFFER}))
    assert stream_of(alice).codes() == ["ACT_NOT_ALLOWED"] and received(bob) == []


def test_who_sends_too_fast_is_told_how_long_to_wait() -> None:
    parts = Parts(burst=2)
    alice, _ = parts.join("alice"), parts.join("bob")
    for number in range(3):
        parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id=f"m{number}"))
    assert stream_of(alice).codes() == ["RATE_EXCEEDED"]
    parts.now += stream_of(alice).refusals[0].retry_after.ToNanoseconds() / 1e9
    parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id="m2"))
    assert parts.metrics.admitted == 3


def test_a_message_to_a_full_outbox_is_refused_and_may_be_sent_again() -> None:
    parts = Parts(outbox_messages_max=1)
    alice, bob = parts.join("alice"), parts.join("bob")
    for msg_id in ("m1", "m2"):
        parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id=msg_id))
    assert stream_of(alice).codes() == ["RECIPIENT_OVERLOADED"]
    received(bob)
    bob.outbox.confirm(["m1"], NOW)
    parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id="m2"))
    assert [one.msg_id for one in received(bob)] == ["m2"]


def test_of_several_recipients_the_full_one_costs_the_sender_a_failure(parts: Parts) -> None:
    parts = Parts(outbox_messages_max=1)
    alice, bob, carol = (parts.join(name) for name in ("alice", "bob", "carol"))
    parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob"))
    both = envelope("alice", Act.ACT_MESSAGE, "agent://bob", "agent://carol", msg_id="m2")
    parts.admit(alice, both)
    assert [one.msg_id for one in received(carol)] == ["m2"]
    assert [(one.act, one.in_reply_to) for one in received(alice)] == [(Act.ACT_FAILURE, "m2")]
    assert [one.msg_id for one in received(bob)] == ["m1"]


def test_a_message_sent_at_most_once_is_not_owed(parts: Parts, alice: Member, bob: Member) -> None:
    once = QualityOfService.QUALITY_OF_SERVICE_AT_MOST_ONCE
    parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob", quality_of_service=once))
    assert len(received(bob)) == 1 and len(bob.outbox) == 0


def test_a_stopping_gateway_takes_no_calls_but_messages(
    parts: Parts, alice: Member, bob: Member
) -> None:
    parts.admission.stopping = True
    call = envelope("alice", Act.ACT_CFP, "agent://bob", body={"reply_within": 5})
    parts.admit(alice, call)
    assert stream_of(alice).codes() == ["STOPPING"]
    parts.admit(alice, HELLO)
    assert len(received(bob)) == 1


def test_a_gateway_that_must_not_decide_takes_no_calls_and_says_when_to_come_again(
    parts: Parts, alice: Member, bob: Member
) -> None:
    """They would wait until it may, and their time to reply would be over by then."""
    parts.admission.may_decide = lambda: False
    call = envelope("alice", Act.ACT_CFP, "agent://bob", body={"reply_within": 5})
    parts.admit(alice, call)
    (refusal,) = stream_of(alice).refusals
    assert stream_of(alice).codes() == ["FENCED"] and received(bob) == []
    assert refusal.HasField("retry_after") and refusal.reason and refusal.remedy
    parts.admission.may_decide = lambda: True
    parts.admit(alice, call)
    assert stream_of(alice).codes() == ["FENCED"] and len(received(bob)) == 1


def test_a_full_shard_makes_only_its_sender_wait() -> None:
    parts = Parts(queue_max=1)
    alice, _ = parts.join("alice"), parts.join("bob")
    call = envelope("alice", Act.ACT_CFP, "agent://bob", body={"reply_within": 5})
    assert not parts.admit(alice, call)
    assert parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id="m2"))


def hello(msg_id: str, **fields: Any) -> Envelope:
    return envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id=msg_id, **fields)


def test_a_used_up_quota_is_refused_and_named() -> None:
    parts = Parts(allowance=AllowanceLimits(100, 100, quota_messages=2))
    alice, bob = parts.join("alice"), parts.join("bob")
    for number in range(3):
        parts.admit(alice, hello(f"m{number}"))
    assert stream_of(alice).codes() == ["QUOTA_EXCEEDED"] and len(received(bob)) == 2
    parts.now += stream_of(alice).refusals[0].retry_after.ToNanoseconds() / 1e9
    parts.admit(alice, hello("m2"))
    assert len(received(bob)) == 1


def test_whatever_is_wrong_with_a_message_it_costs_its_sender_a_token() -> None:
    parts = Parts(burst=3)
    alice, _ = parts.join("alice"), parts.join("bob")
    parts.admit(alice, hello("not an id"))
    parts.admit(alice, hello("m1", payload=b"{"))
    parts.admit(alice, hello("m2"))
    parts.admit(alice, hello("m3"))
    assert stream_of(alice).codes() == ["MALFORMED_ENVELOPE", "INVALID_JSON", "RATE_EXCEEDED"]


def test_a_message_that_comes_too_early_and_is_wrong_hears_what_is_wrong() -> None:
    """Else it would come again as it is."""
    parts = Parts(burst=1)
    alice, _ = parts.join("alice"), parts.join("bob")
    parts.admit(alice, hello("m1"))
    parts.admit(alice, hello("not an id"))
    assert stream_of(alice).codes() == ["MALFORMED_ENVELOPE"]


def test_the_class_of_the_token_decides_who_may_use_the_reserve() -> None:
    limits = AllowanceLimits(100, 100, 1.0, 4.0, reserve=0.5)
    parts = Parts(allowance=limits)
    alice, _ = parts.join("alice"), parts.join("bob")
    for number in range(3):
        parts.admit(alice, hello(f"m{number}"))
    assert stream_of(alice).codes() == ["RATE_EXCEEDED"]
    parts.admission.admit(Sender(alice, system=True), hello("m3").SerializeToString())
    assert parts.metrics.admitted == 3


def test_a_clock_a_hair_beyond_the_last_look_at_it_costs_nobody_a_message() -> None:
    """Both checks of `ts` must agree before a message is refused for it."""
    parts = Parts()
    alice, bob = parts.join("alice"), parts.join("bob")
    parts.admit(alice, hello("m1"))
    ahead = datetime.fromtimestamp(NOW + 300.25, UTC).isoformat()
    parts.now += 0.5
    parts.admit(alice, hello("m2", ts=ahead))
    assert stream_of(alice).codes() == [] and len(received(bob)) == 2


def test_a_message_sent_once_is_known_for_longer_than_others(
    parts: Parts, alice: Member, bob: Member
) -> None:
    """A sender that was away for an hour sends again what it does not know the fate of."""
    once = QualityOfService.QUALITY_OF_SERVICE_ONCE
    careful = envelope("alice", Act.ACT_MESSAGE, "agent://bob", quality_of_service=once)
    plain = envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id="m2")
    for _ in range(2):
        for sent in (careful, plain):
            parts.admit(alice, sent)
        # Two generations of ids of others, so that the ordinary window has moved on.
        for number in range(2):
            parts.now += 61
            parts.admit(
                alice,
                envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id=f"o{number}{parts.now}"),
            )
        bob.outbox.confirm(["m1", "m2"], parts.now)
        received(bob, parts.now)
        bob.outbox.confirm(["m1", "m2"], parts.now)
    assert stream_of(alice).codes() == ["DUPLICATE"]


def test_a_message_that_is_refused_has_no_receipt(parts: Parts, alice: Member) -> None:
    asked = ReceiptRequest.RECEIPT_REQUEST_ADMITTED
    parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://nobody", receipt=asked))
    assert stream_of(alice).codes() == ["AGENT_ABSENT"] and not alice.receipts_due


def test_what_was_admitted_and_comes_again_too_early_is_a_duplicate() -> None:
    """Not too early: its sender would take a message that was delivered for refused."""
    parts = Parts(burst=1.0)
    alice, bob = parts.join("alice"), parts.join("bob")
    parts.admit(alice, HELLO)
    parts.admit(alice, HELLO)
    parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id="m2"))
    assert stream_of(alice).codes() == ["DUPLICATE", "RATE_EXCEEDED"]
    assert len(received(bob)) == 1
