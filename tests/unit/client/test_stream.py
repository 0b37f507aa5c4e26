"""Which frame of a stream goes out next."""

from __future__ import annotations

from llmx.inbox import Inbox
from llmx.link import CONFIRM_AFTER, Link
from llmx.outbox import Outbox
from llmx.stream import ACKS_PER_FRAME_MAX, Stream
from llmx.v1.envelope_pb2 import Envelope
from llmx.v1.exchange_service_pb2 import ExchangeRequest, Welcome


class Side:
    """What is queued for a stream."""

    def __init__(self, welcome: Welcome | None = None) -> None:
        self.stream, self.link, self.outbox = Stream(), Link(), Outbox()
        self.inbox = Inbox(10)
        self.stream.begin(welcome or Welcome(), now=100.0)

    def acknowledge(self, *msg_ids: str) -> None:
        for msg_id in msg_ids:
            self.inbox.finish(("agent://x", msg_id, ""))

    def next(self) -> ExchangeRequest | None:
        return self.stream.next_frame(self.link, self.outbox, self.inbox)

    def must(self) -> ExchangeRequest:
        frame = self.next()
        assert frame is not None
        return frame


def test_batches_are_numbered_and_confirm_what_was_received() -> None:
    side = Side()
    side.link.took(1)
    side.outbox.put(Envelope(msg_id="a"))
    side.acknowledge("x")
    frame = side.must()
    assert (frame.number, frame.confirmed_number) == (1, 1)
    assert [envelope.msg_id for envelope in frame.batch.envelopes] == ["a"]
    assert list(frame.batch.acked_msg_ids) == ["x"]


def test_with_nothing_to_say_no_frame_is_sent_and_no_number_used() -> None:
    side = Side()
    side.link.took(1)
    assert side.next() is None
    assert side.link.sent == 0


def test_who_only_listens_sends_a_frame_without_content_now_and_then() -> None:
    side = Side()
    for number in range(1, CONFIRM_AFTER + 1):
        assert side.next() is None
        side.link.took(number)
    assert side.must() == ExchangeRequest(confirmed_number=CONFIRM_AFTER)
    assert side.next() is None


def test_a_beat_that_is_due_goes_once_and_not_beside_other_frames() -> None:
    side = Side()
    side.stream.owes_beat = True
    assert side.must() == ExchangeRequest()
    assert side.next() is None
    side.stream.owes_beat = True
    side.acknowledge("x")
    assert side.must().HasField("batch")
    assert side.next() is None


def test_to_hear_a_number_back_a_batch_may_be_empty() -> None:
    side = Side()
    side.stream.asks_for_word = True
    frame = side.must()
    assert frame.number == 1 and frame.HasField("batch")
    assert side.next() is None


def test_a_new_token_goes_before_everything_else_and_without_a_number() -> None:
    side = Side()
    side.outbox.put(Envelope(msg_id="a"))
    side.stream.renewal = "fresh"
    first, second = side.must(), side.must()
    assert (first.number, first.renew_token.token) == (0, "fresh")
    assert (second.number, len(second.batch.envelopes)) == (1, 1)


def test_acknowledgements_are_bounded_per_frame() -> None:
    side = Side()
    side.acknowledge(*map(str, range(ACKS_PER_FRAME_MAX + 1)))
    assert len(side.must().batch.acked_msg_ids) == ACKS_PER_FRAME_MAX
    assert len(side.must().batch.acked_msg_ids) == 1


def test_the_token_ends_by_this_machines_clock_however_the_gateways_is_set() -> None:
    welcome = Welcome(frame_bytes_max=1000)
    welcome.now.FromSeconds(5_000)
    welcome.token_expires_at.FromSeconds(5_060)
    stream = Side(welcome).stream
    assert stream.token_until == 160
    assert stream.frame_bytes == 750
    stream.token_expires(5_100)
    assert stream.token_until == 200


def test_the_heartbeat_is_the_gateways() -> None:
    welcome = Welcome()
    welcome.heartbeat.FromSeconds(25)
    pulse = Side(welcome).stream.pulse
    assert (pulse.heartbeat, pulse.said_at, pulse.heard_at) == (25, 100, 100)
    assert Side().stream.pulse.heartbeat == 0


def test_a_turn_is_counted_by_the_clock_that_the_welcome_told() -> None:
    welcome = Welcome()
    welcome.now.FromSeconds(1_000)
    stream = Stream()
    stream.begin(welcome, now=50.0)
    late = Envelope()
    late.turn.answer_in.FromSeconds(8)
    late.turn.answer_by.FromSeconds(1_008)
    stream.count_down(late, now=55.0)
    assert late.turn.answer_in.seconds == 3
    plain = Envelope()
    stream.count_down(plain, now=55.0)
    assert not plain.HasField("turn")
