"""The messages of a round are what the exchange would take, and of the size that is promised."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from llmx.v1 import envelope_pb2
from llmx.wire.v1 import frame_pb2
from loadtest import messages
from loadtest.messages import Pieces

SCHEMA = json.loads(
    Path(__file__).parents[3].joinpath("gateway/schema_files/Negotiation.json").read_text()
)
PAYLOADS = {
    "cfp": messages.call_payload(),
    "offer": messages.offer_payload(contractor=11, variant=3),
    "accept": messages.accept_payload("offer-1"),
    "reject": messages.reject_payload("offer-1"),
}


@pytest.mark.parametrize("act", PAYLOADS)
def test_every_payload_is_valid_under_the_shipped_schema(act: str) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(PAYLOADS[act])


@pytest.mark.parametrize("act", ["cfp", "offer"])
def test_a_call_and_an_offer_are_about_400_bytes(act: str) -> None:
    assert 380 <= len(messages.as_bytes(PAYLOADS[act])) <= 440


def test_no_two_contractors_of_a_round_offer_the_same() -> None:
    """A tie would make the winner a matter of arrival, and rounds would differ."""
    for variant in range(messages.OFFER_VARIANTS):
        values = {messages.offer_payload(i, variant)["value"] for i in range(50)}
        assert len(values) == 50


@pytest.mark.parametrize("suffix_length", [3, 200, 20_000])
def test_pieces_join_to_the_envelope_that_was_meant(suffix_length: int) -> None:
    rest = messages.rest_of_envelope(
        "agent://bob", ["agent://alice"], envelope_pb2.ACT_OFFER, b'{"value":1}', ("propose",)
    )
    pieces: list[bytes] = []
    made = Pieces("run-", 7, "-011", rest)
    negotiation_id = "g" * suffix_length
    made.put(pieces, b"0000042", messages.answer_suffix(negotiation_id, "run-0000042"))
    made.put(pieces, b"0000043", messages.answer_suffix(negotiation_id, "run-0000043"))
    batch = frame_pb2.RequestBatchBytes.FromString(b"".join(pieces))
    first, second = map(envelope_pb2.Envelope.FromString, batch.envelopes)
    assert (first.msg_id, second.msg_id) == ("run-0000042-011", "run-0000043-011")
    assert first.negotiation_id == negotiation_id
    assert second.in_reply_to == "run-0000043"
    assert first.sender == "agent://bob"
    assert list(first.recipients) == ["agent://alice"]
    assert list(first.capabilities) == ["propose"]
    assert first.act == envelope_pb2.ACT_OFFER
    assert first.scope.ttl.seconds == 120
    assert first.payload == b'{"value":1}'
