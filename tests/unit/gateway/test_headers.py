"""The quick look at a header and the one that explains say the same."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from gateway import headers
from gateway.admission_refusals import UNREADABLE
from gateway.envelope_head import head_of
from gateway.headers import (
    PARTY_ACTS,
    SENDABLE,
    AdmissionLimits,
    HeaderCheck,
    Sender,
)
from gateway.members import Member
from llmx.v1.envelope_pb2 import Act, Envelope, Scope
from llmx.v1.turn_pb2 import Turn
from tests.support.gateway_parts import NOW, TS, Parts

LIMITS = AdmissionLimits(
    envelope_bytes_max=2_000,
    payload_bytes_max=1_000,
    recipients_max=2,
    capabilities_max=2,
    ttl_default=120,
    ttl_max=3600,
    clock_skew_max=300,
)


@pytest.fixture(scope="module")
def bob() -> Member:
    return Parts().join("bob")


def looked_at(envelope: Envelope, sender: Sender, raw_bytes: int, now: float = NOW) -> str:
    """Return the code that the explanation gives, "" for none; both looks must agree."""
    check = HeaderCheck(LIMITS)
    fault = check.fault(envelope, raw_bytes, sender, now)
    ttl = check.time_to_live(
        head_of(envelope.SerializeToString()),
        envelope.msg_id,
        envelope.act,
        envelope.negotiation_id,
        len(envelope.payload),
        raw_bytes,
        sender,
        now,
    )
    assert (ttl > 0) == (fault is None), fault
    assert fault is None or (fault.reason and fault.remedy)
    return "" if fault is None else fault.code


def made(**fields: Any) -> Envelope:
    given = {"msg_id": "m1", "ts": TS, "sender": "agent://bob", "act": Act.ACT_MESSAGE}
    return Envelope(**(given | fields))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, ""),
        ({"payload": b"x" * 1_001}, "TOO_LARGE"),
        ({"sender": "agent://eve"}, "SENDER_MISMATCH"),
        ({"msg_id": ""}, "MALFORMED_ENVELOPE"),
        ({"msg_id": "a:b"}, "MALFORMED_ENVELOPE"),
        ({"msg_id": "m\n"}, "MALFORMED_ENVELOPE"),
        ({"msg_id": "m" * 129}, "MALFORMED_ENVELOPE"),
        ({"act": Act.ACT_UNSPECIFIED}, "UNKNOWN_ACT"),
        ({"act": 99}, "UNKNOWN_ACT"),
        ({"act": Act.ACT_OFFER}, "UNKNOWN_NEGOTIATION"),
        ({"recipients": ["a", "b", "c"]}, "MALFORMED_ENVELOPE"),
        ({"act": Act.ACT_OFFER, "negotiation_id": "n", "recipients": ["a", "b", "c"]}, ""),
        ({"capabilities": ["a", "b", "c"]}, "MALFORMED_ENVELOPE"),
        ({"turn": Turn(round=1)}, "MALFORMED_ENVELOPE"),
        ({"ts": ""}, "CLOCK_SKEW"),
        ({"ts": "yesterday"}, "CLOCK_SKEW"),
        ({"ts": "2025-08-21T18:45"}, "CLOCK_SKEW"),
        ({"ts": "2025-08-21T18:49:59Z"}, ""),
        ({"ts": "2025-08-21T20:49:59+02:00"}, ""),
        ({"ts": "2025-08-21T18:50:02Z"}, "CLOCK_SKEW"),
        ({"ts": "1970-01-01T00:00Z"}, ""),
        ({"scope": Scope(consent="opt-in")}, ""),
        ({"scope": Scope(ttl=Duration(seconds=3600))}, ""),
        ({"scope": Scope(ttl=Duration(seconds=3600, nanos=1))}, "TTL_INVALID"),
        ({"scope": Scope(ttl=Duration())}, "TTL_INVALID"),
        ({"scope": Scope(ttl=Duration(seconds=-1))}, "TTL_INVALID"),
        ({"scope": Scope(ttl=Duration(nanos=-1))}, "TTL_INVALID"),
    ],
)
def test_what_is_wrong_with_a_header_has_a_code(
    bob: Member, fields: dict[str, Any], code: str
) -> None:
    envelope = made(**fields)
    assert looked_at(envelope, Sender(bob), envelope.ByteSize()) == code


def test_the_envelope_around_a_small_payload_has_a_bound_of_its_own(bob: Member) -> None:
    assert looked_at(made(), Sender(bob), 2_000) == ""
    assert looked_at(made(), Sender(bob), 2_001) == "TOO_LARGE"


def test_a_token_may_allow_some_acts_only(bob: Member) -> None:
    listener = Sender(bob, frozenset({Act.ACT_OFFER}))
    assert looked_at(made(), listener, 100) == "ACT_NOT_ALLOWED"
    assert looked_at(made(act=Act.ACT_OFFER, negotiation_id="n"), listener, 100) == ""


def test_the_latest_ts_moves_with_the_clock(bob: Member) -> None:
    check = HeaderCheck(LIMITS)
    ahead = head_of(made(ts="2025-08-21T18:51Z").SerializeToString())
    answers = [
        check.time_to_live(ahead, "m1", Act.ACT_MESSAGE, "", 0, 100, Sender(bob), NOW + seconds)
        for seconds in (0, 59, 61)
    ]
    assert answers == [0.0, 0.0, LIMITS.ttl_default]


WORDS = st.sampled_from(["", "m1", "a b", "agent://bob", "agent://eve", TS, "2999-01-01T00:00Z"])


@given(
    st.builds(
        made,
        msg_id=WORDS,
        ts=st.sampled_from([TS, "", "2025-08-21T18:45", "2025-08-21T18:50:30Z", "x"]),
        sender=st.sampled_from(["agent://bob", "agent://eve"]),
        act=st.integers(-1, 14),
        negotiation_id=st.sampled_from(["", "n"]),
        recipients=st.lists(WORDS, max_size=4),
        capabilities=st.lists(WORDS, max_size=4),
        payload=st.sampled_from([b"", b"x" * 1_001]),
        turn=st.sampled_from([None, None, Turn()]),
        scope=st.builds(
            Scope, ttl=st.none() | st.builds(Duration, seconds=st.sampled_from([-1, 0, 5, 9_999]))
        ),
    )
)
def test_both_looks_agree_on_every_header(envelope: Envelope) -> None:
    looked_at(envelope, Sender(Parts().join("bob")), envelope.ByteSize())


def test_acts_of_an_open_negotiation_are_all_but_two() -> None:
    assert {Act.ACT_MESSAGE, Act.ACT_CFP} == SENDABLE - PARTY_ACTS


def test_a_time_to_live_is_told_in_seconds(bob: Member) -> None:
    check = HeaderCheck(LIMITS)
    assert lives(check, bob, Scope(ttl=Duration(seconds=1, nanos=500_000_000))) == 1.5


def lives(check: HeaderCheck, sender: Member, scope: Scope | bytes) -> float:
    """Return for how long a message with this scope may live."""
    said = scope if isinstance(scope, bytes) else scope.SerializeToString()
    length = bytes((len(said) & 0x7F | 0x80, len(said) >> 7))  # a varint of two bytes
    head = head_of(made().SerializeToString() + b"\x32" + length + said)
    return check.time_to_live(head, "m1", Act.ACT_MESSAGE, "", 0, 100, Sender(sender), NOW)


def test_a_scope_means_the_same_however_many_others_came_between(bob: Member) -> None:
    check = HeaderCheck(LIMITS)
    for _ in range(2):
        for seconds in range(1, headers.SCOPES_KEPT + 2):
            ttl = Duration(seconds=seconds)
            assert lives(check, bob, Scope(ttl=ttl, consent="x" * (seconds % 64))) == seconds
        assert lives(check, bob, Scope()) == LIMITS.ttl_default
    assert len(check._ttl_by_scope) <= headers.SCOPES_KEPT


def test_a_long_scope_is_looked_into_each_time(bob: Member) -> None:
    check = HeaderCheck(LIMITS)
    padded = Scope(ttl=Duration(seconds=5)).SerializeToString() + b"\x7a\x7f" + bytes(127)
    assert lives(check, bob, padded) == 5
    assert lives(check, bob, Scope(consent="é" * 64)) == LIMITS.ttl_default
    assert not check._ttl_by_scope
    assert lives(check, bob, Scope(consent="e" * 64)) == LIMITS.ttl_default
    assert len(check._ttl_by_scope) == 1


def test_a_scope_of_broken_bytes_makes_the_envelope_unreadable(bob: Member) -> None:
    raw = made().SerializeToString() + b"\x32\x02\x0a\x09"
    check = HeaderCheck(LIMITS)
    assert lives(check, bob, b"\x0a\x09") == 0.0
    assert check.fault_in(raw, Sender(bob), NOW) == UNREADABLE
    assert check.fault_in(made().SerializeToString(), Sender(bob), NOW) is None
