"""The paper's JSON form and the protobuf say the same, both ways."""

from __future__ import annotations

import json
import math
import pickle
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from gateway.acts import ACT_NAMES, ACTS
from gateway.paper_form import PaperFormError, act_shown, from_json, to_json
from gateway.shipped_schemas import schema_id
from llmx.v1.envelope_pb2 import Act, Envelope, QualityOfService, ReceiptRequest, Scope

PUBLISHED: dict[str, Any] = {
    "envelope": {
        "msg_id": "b7c1e0de-6f6c-4d0e-9a53-0c6d6d9f2a11",
        "ts": "2025-08-21T18:45Z",
        "from": "agent://alice",
        "to": ["topic://negotiation"],
        "capabilities": ["propose", "negotiate"],
        "scope": {"consent": "opt-in", "ttl": 120},
    },
    "payload": {
        "$schema": "https://llm-x.org/schemas/Negotiation.json",
        "deadline": "2025-08-21T18:50Z",
        "round": 1,
        "constraints": {"max_price": 100},
    },
}

MSG_IDS = st.from_regex(r"[A-Za-z0-9._:~-]{1,20}", fullmatch=True)
ADDRESSES = st.from_regex(r"(agent|topic|group)://[a-z0-9][a-z0-9._~/@:-]{0,10}", fullmatch=True)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
TIMES = st.sampled_from(["2025-08-21T18:45Z", "2025-08-21T18:45:12.5+02:00", "1999-12-31T23:59Z"])
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
PAYLOADS = st.builds(
    lambda schema, shown, free: {"$schema": schema, **free, **shown},
    st.sampled_from([schema_id("Negotiation"), "Negotiation.json", "https://a.example/x.json"]),
    st.sampled_from(
        [
            {},
            {"deadline": "2025-08-21T18:50Z"},
            {"reply_within": 2},
            {"value": 1},
            {"decision": "accepted", "offer_id": "m"},
            {"decision": "rejected"},
            {"act": "CFP"},
            {"act": "Offer", "value": 1},
            {"act": "ack"},
            {"act": "dance"},
            {"act": None},
        ]
    ),
    st.dictionaries(NAMES, JSON, max_size=3),
)
TTLS = st.integers(1, 2_592_000) | st.integers(1, 10**15).map(lambda n: n / 1e9)


@st.composite
def envelopes(draw: st.DrawFn) -> Envelope:
    envelope = Envelope(
        msg_id=draw(MSG_IDS),
        ts=draw(TIMES),
        sender=draw(ADDRESSES),
        recipients=draw(st.lists(ADDRESSES, max_size=3)),
        capabilities=draw(st.lists(NAMES, max_size=3)),
        act=draw(st.sampled_from(sorted(ACT_NAMES))),
        negotiation_id=draw(st.just("") | NAMES),
        in_reply_to=draw(st.just("") | MSG_IDS),
        payload=orjson.dumps(draw(PAYLOADS)),
        quality_of_service=draw(st.sampled_from(sorted(QualityOfService.values()))),
        durable=draw(st.booleans()),
        sent_before=draw(st.booleans()),
        traceparent=draw(
            st.sampled_from(("", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
        ),
        tracestate=draw(st.sampled_from(("", "vendor=1"))),
        receipt=draw(st.sampled_from(sorted(ReceiptRequest.values()))),
    )
    if draw(st.booleans()):
        envelope.scope.CopyFrom(Scope(consent=draw(st.just("") | NAMES)))
        if draw(st.booleans()):
            nanos = draw(st.just(0) | st.integers(1, 999_999_999))
            seconds = draw(st.integers(1, 2_591_999))
            envelope.scope.ttl.CopyFrom(Duration(seconds=seconds, nanos=nanos))
    return envelope


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    """Messages as `to_json` writes them: `act` only where the payload does not show it."""
    payload = draw(PAYLOADS)
    head = draw(
        st.fixed_dictionaries(
            {"msg_id": MSG_IDS, "ts": TIMES, "from": ADDRESSES, "to": st.lists(ADDRESSES)},
            optional={
                "capabilities": st.lists(NAMES, min_size=1, max_size=3),
                "scope": st.fixed_dictionaries({}, optional={"consent": NAMES, "ttl": TTLS}),
                "act": st.sampled_from(sorted(ACTS)),
                "negotiation_id": NAMES,
                "in_reply_to": MSG_IDS,
                "quality_of_service": st.sampled_from(["at-most-once", "at-least-once", "once"]),
                "durable": st.just(True),
                "sent_before": st.just(True),
                "traceparent": st.text("0123456789abcdef-", min_size=1, max_size=60),
                "tracestate": st.just("vendor=1"),
                "receipt": st.sampled_from(["admitted", "delivered"]),
            },
        )
    )
    shown = act_shown(payload)
    if shown is None:
        head.setdefault("act", "message")
    elif "act" in head and ACTS[head["act"]] == shown:
        del head["act"]
    return {"envelope": head, "payload": payload}


@given(envelopes())
def test_an_envelope_comes_back_from_json_as_it_was(envelope: Envelope) -> None:
    assert from_json(to_json(envelope)) == envelope
    assert from_json(orjson.dumps(to_json(envelope))) == envelope


@given(messages())
def test_a_message_comes_back_from_an_envelope_as_it_was(message: dict[str, Any]) -> None:
    assert to_json(from_json(message)) == message
    assert to_json(from_json(json.dumps(message))) == message


def test_the_published_sample_is_accepted_as_printed() -> None:
    envelope = from_json(json.dumps(PUBLISHED, indent=2))
    assert envelope.act == Act.ACT_CFP
    assert envelope.ts == "2025-08-21T18:45Z"
    assert envelope.scope.ttl.seconds == 120
    assert to_json(envelope) == PUBLISHED


@pytest.mark.parametrize(
    ("payload", "act"),
    [
        ({"$schema": "Negotiation.json", "deadline": "x"}, Act.ACT_CFP),
        ({"$schema": "Negotiation.json", "reply_within": 1}, Act.ACT_CFP),
        ({"$schema": "Negotiation.json", "value": 1}, Act.ACT_OFFER),
        ({"$schema": "Negotiation.json", "decision": "accepted"}, Act.ACT_ACCEPT),
        ({"$schema": "Negotiation.json", "decision": "rejected"}, Act.ACT_REJECT),
        ({"$schema": "Negotiation.json", "act": "Not-Understood"}, Act.ACT_NOT_UNDERSTOOD),
        ({"$schema": "Negotiation.json"}, Act.ACT_MESSAGE),
        ({"$schema": "https://a.example/x.json", "value": 1}, Act.ACT_MESSAGE),
        ({"$schema": "Ack.json", "act": "Ack", "acked_msg_id": "m"}, Act.ACT_MESSAGE),
    ],
)
def test_the_act_is_read_off_the_payload(payload: dict[str, Any], act: int) -> None:
    assert from_json(PUBLISHED | {"payload": payload}).act == act


def test_the_envelope_says_the_act_before_the_payload_does() -> None:
    head = PUBLISHED["envelope"] | {"act": "Counter"}
    payload = {"$schema": "Negotiation.json", "value": 1, "offer_id": "m"}
    envelope = from_json({"envelope": head, "payload": payload})
    assert envelope.act == Act.ACT_COUNTER
    assert to_json(envelope)["envelope"]["act"] == "counter"


HEAD = PUBLISHED["envelope"]
PAYLOAD = PUBLISHED["payload"]


@pytest.mark.parametrize(
    ("message", "pointer"),
    [
        ({}, ""),
        ({"envelope": HEAD}, ""),
        (PUBLISHED | {"extra": 1}, "/extra"),
        ({"envelope": HEAD | {"ts": "yesterday"}, "payload": PAYLOAD}, "/envelope/ts"),
        ({"envelope": HEAD | {"to": "agent://bob"}, "payload": PAYLOAD}, "/envelope/to"),
        ({"envelope": HEAD | {"to": ["bob"]}, "payload": PAYLOAD}, "/envelope/to/0"),
        ({"envelope": HEAD | {"from": ""}, "payload": PAYLOAD}, "/envelope/from"),
        ({"envelope": HEAD | {"act": "dance"}, "payload": PAYLOAD}, "/envelope/act"),
        ({"envelope": HEAD | {"scope": {"ttl": 0}}, "payload": PAYLOAD}, "/envelope/scope/ttl"),
        ({"envelope": HEAD | {"scope": {"ttl": 1e-12}}, "payload": PAYLOAD}, "/envelope/scope/ttl"),
        ({"envelope": HEAD, "payload": PAYLOAD | {"act": "dance"}}, "/payload/act"),
        ({"envelope": HEAD, "payload": []}, "/payload"),
        ({"envelope": HEAD, "payload": {}}, "/payload"),
        ({"envelope": HEAD, "payload": {"$schema": "x", "n": math.nan}}, ""),
        ({"envelope": HEAD, "payload": {"$schema": "x", "n": (1,)}}, ""),
        ({"envelope": HEAD, "payload": {"$schema": "x", "n": datetime.now(UTC)}}, ""),
        ({"envelope": HEAD, "payload": {"$schema": "x", "n": 2**64}}, ""),
        ({"envelope": HEAD, "payload": {"$schema": "x", 1: 2}}, ""),
        (b'{"envelope":{},"envelope":{}}', "/envelope"),
        (b"\xff", ""),
        ("\ud800", ""),
        ("[]", ""),
    ],
)
def test_what_cannot_be_converted_is_told_with_its_place(message: Any, pointer: str) -> None:
    with pytest.raises(PaperFormError) as caught:
        from_json(message)
    assert caught.value.pointer == pointer
    assert caught.value.reason
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("envelope", "pointer"),
    [
        (Envelope(act=Act.ACT_OFFER, payload=b'{"a":1,"a":2}'), "/payload/a"),
        (Envelope(act=Act.ACT_OFFER), "/payload"),
        (Envelope(payload=b"{}"), "/envelope/act"),
    ],
)
def test_an_envelope_without_a_json_form_is_told_so(envelope: Envelope, pointer: str) -> None:
    with pytest.raises(PaperFormError) as caught:
        to_json(envelope)
    assert caught.value.pointer == pointer


def test_the_error_survives_a_pickle() -> None:
    error = PaperFormError("/a", "why", "what")
    again = pickle.loads(pickle.dumps(error))
    assert (again.pointer, again.reason, again.remedy) == ("/a", "why", "what")
