"""How envelopes are written and read."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from llmx.messages import NEGOTIATION_SCHEMA, Drafts, Message
from llmx.v1.envelope_pb2 import Act, Envelope, QualityOfService, ReceiptRequest


def test_an_envelope_gets_id_time_schema_and_act_by_itself():
    drafts = Drafts("agent://alice")
    one = drafts.write(Act.ACT_NOT_UNDERSTOOD, {"reason": "?"}, negotiation_id="n", in_reply_to="m")
    two = drafts.write(Act.ACT_NOT_UNDERSTOOD, {})
    assert one.msg_id != two.msg_id
    assert one.sender == "agent://alice"
    assert abs((datetime.now(UTC) - datetime.fromisoformat(one.ts)).total_seconds()) < 60
    assert json.loads(one.payload) == {
        "$schema": NEGOTIATION_SCHEMA,
        "act": "not-understood",
        "reason": "?",
    }


def test_two_processes_of_one_agent_do_not_share_ids():
    one, two = Drafts("agent://alice"), Drafts("agent://alice")
    assert one.write(Act.ACT_MESSAGE, {}).msg_id != two.write(Act.ACT_MESSAGE, {}).msg_id


def test_ttl_and_quality_of_service_travel_in_the_envelope():
    envelope = Drafts("agent://a").write(
        Act.ACT_MESSAGE, {}, ["agent://b", "topic://t"], ttl=1.5, qos="once", consent="opt-in"
    )
    assert envelope.scope.ttl.ToMilliseconds() == 1500
    assert envelope.scope.consent == "opt-in"
    assert envelope.quality_of_service == QualityOfService.QUALITY_OF_SERVICE_ONCE
    assert list(envelope.recipients) == ["agent://b", "topic://t"]


def test_durability_and_receipts_travel_in_the_envelope() -> None:
    drafts = Drafts("agent://a")
    envelope = drafts.write(Act.ACT_MESSAGE, {}, "agent://b", durable=True, receipt="delivered")
    assert envelope.durable
    assert envelope.receipt == ReceiptRequest.RECEIPT_REQUEST_DELIVERED
    plain = drafts.write(Act.ACT_MESSAGE, {}, "agent://b")
    assert not plain.durable
    assert plain.receipt == ReceiptRequest.RECEIPT_REQUEST_UNSPECIFIED
    with pytest.raises(ValueError, match="admitted, delivered"):
        drafts.write(Act.ACT_MESSAGE, {}, receipt="read")


def test_what_json_does_not_know_is_the_authors_mistake():
    drafts = Drafts("agent://a")
    with pytest.raises(ValueError, match="not JSON compliant"):
        drafts.write(Act.ACT_OFFER, {"value": float("nan")})
    with pytest.raises(TypeError):
        drafts.write(Act.ACT_OFFER, {"value": {1, 2}})
    with pytest.raises(ValueError, match="at-most-once"):
        drafts.write(Act.ACT_MESSAGE, {}, qos="twice")


def test_a_payload_that_is_no_object_is_a_value_error_when_it_is_read():
    message = Message(Envelope(payload=b"[1]"))
    with pytest.raises(ValueError, match="not a JSON object"):
        _ = message.body


def test_a_rewritten_message_differs_in_id_and_negotiation_only():
    drafts = Drafts("agent://a")
    offer = drafts.write(Act.ACT_OFFER, {"value": 1}, negotiation_id="old")
    again = drafts.rewrite(offer, negotiation_id="new")
    assert (again.negotiation_id, again.payload) == ("new", offer.payload)
    assert again.msg_id != offer.msg_id
