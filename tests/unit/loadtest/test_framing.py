"""What is joined from bytes is what protobuf would have written."""

from __future__ import annotations

import pytest

from llmx.v1 import exchange_service_pb2
from llmx.wire.v1 import frame_pb2
from loadtest.framing import batch_frame, field, framed, varint


@pytest.mark.parametrize("value", [1, 127, 128, 300, 16_383, 16_384, 2**21, 2**32, 2**64 - 1])
def test_a_number_is_written_as_protobuf_writes_it(value: int) -> None:
    frame = frame_pb2.RequestFrame(number=value).SerializeToString()
    assert b"\x08" + varint(value) == frame


@pytest.mark.parametrize("length", [0, 1, 127, 128, 70_000])
def test_a_joined_frame_is_read_in_both_directions(length: int) -> None:
    envelope = field(1, b"m-1") + field(10, bytes(length))
    data = batch_frame(7, 300, framed(envelope) + framed(envelope))
    for kind in (frame_pb2.RequestFrame, frame_pb2.ResponseFrame):
        frame = kind.FromString(data)
        assert (frame.number, frame.confirmed_number) == (7, 300)
        assert list(frame.batch.envelopes) == [envelope, envelope]
    read = exchange_service_pb2.ExchangeResponse.FromString(data).batch.envelopes[1]
    assert read.msg_id == "m-1"
    assert len(read.payload) == length
