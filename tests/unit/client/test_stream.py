"""The numbers of one stream, and which frame goes out next."""

from __future__ import annotations

from collections import deque

from llmx.outbox import Outbox
from llmx.stream import ACKS_PER_FRAME_MAX, Stream
from llmx.v1.envelope_pb2 import Envelope
from llmx.v1.exchange_service_pb2 import Welcome


def begun(welcome: Welcome | None = None) -> Stream:
    stream = Stream()
    stream.begin(1, welcome or Welcome(), now=100.0)
    return stream


def test_frames_are_numbered_after_the_hello_and_confirm_what_was_received():
    stream, outbox = begun(), Outbox()
    outbox.put(Envelope(msg_id="a"))
    frame = stream.next_frame(outbox, deque(["x"]))
    assert frame is not None
    assert (frame.number, frame.confirmed_number) == (2, 1)
    assert [envelope.msg_id for envelope in frame.batch.envelopes] == ["a"]
    assert list(frame.batch.acked_msg_ids) == ["x"]


def test_with_nothing_to_say_no_frame_is_sent_and_no_number_used():
    stream = begun()
    stream.received_number = 7
    assert stream.next_frame(Outbox(), deque()) is None
    assert stream.sent_number == 1


def test_a_new_token_goes_before_everything_else():
    stream, outbox = begun(), Outbox()
    outbox.put(Envelope(msg_id="a"))
    stream.renewal = "fresh"
    first = stream.next_frame(outbox, deque())
    second = stream.next_frame(outbox, deque())
    assert first is not None and first.renew_token.token == "fresh"
    assert second is not None and (second.number, len(second.batch.envelopes)) == (3, 1)


def test_acknowledgements_are_bounded_per_frame():
    acks = deque(str(number) for number in range(ACKS_PER_FRAME_MAX + 1))
    frame = begun().next_frame(Outbox(), acks)
    assert frame is not None and len(frame.batch.acked_msg_ids) == ACKS_PER_FRAME_MAX
    assert len(acks) == 1


def test_the_token_ends_by_this_machines_clock_however_the_gateways_is_set():
    welcome = Welcome(frame_bytes_max=1000)
    welcome.now.FromSeconds(5_000)
    welcome.token_expires_at.FromSeconds(5_060)
    stream = begun(welcome)
    assert stream.token_until == 160
    assert stream.frame_bytes == 750
    stream.token_expires(5_100)
    assert stream.token_until == 200
