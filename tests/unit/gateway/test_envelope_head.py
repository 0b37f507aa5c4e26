"""The head of an envelope has what the envelope says."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError

from gateway.envelope_head import has_field, head_of
from llmx.v1.envelope_pb2 import Act, Envelope, QualityOfService, ReceiptRequest, Scope
from llmx.v1.turn_pb2 import Turn


def test_a_head_has_every_field_of_its_envelope() -> None:
    scope = Scope(consent="opt-in", ttl=Duration(seconds=5))
    envelope = Envelope(
        msg_id="m1",
        ts="2025-08-21T18:45Z",
        sender="agent://bob",
        recipients=["topic://a", "agent://b"],
        capabilities=["propose"],
        scope=scope,
        act=Act.ACT_CFP,
        negotiation_id="n",
        payload=b"{}",
        quality_of_service=QualityOfService.QUALITY_OF_SERVICE_ONCE,
        durable=True,
        receipt=ReceiptRequest.RECEIPT_REQUEST_DELIVERED,
    )
    head = head_of(envelope.SerializeToString())
    for name in ("msg_id", "ts", "sender", "act", "negotiation_id", "payload", "durable"):
        assert getattr(head, name) == getattr(envelope, name)
    assert (head.quality_of_service, head.receipt) == (
        envelope.quality_of_service,
        envelope.receipt,
    )
    assert (len(head.recipients), len(head.capabilities)) == (2, 1)
    assert head.scope == scope.SerializeToString()
    assert has_field(head, "scope")
    assert not has_field(head, "turn")


def test_an_empty_turn_is_there_all_the_same() -> None:
    assert has_field(head_of(Envelope(turn=Turn()).SerializeToString()), "turn")
    assert not has_field(head_of(b""), "turn")
    assert head_of(b"").scope == b""


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x01\xff"])
def test_bytes_that_are_no_envelope_have_no_head(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        Envelope.FromString(raw)
    with pytest.raises(DecodeError):
        head_of(raw)
