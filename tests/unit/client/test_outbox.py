"""What an agent owes its gateway."""

from __future__ import annotations

from llmx.outbox import ENVELOPES_PER_FRAME_MAX, Outbox
from llmx.v1.envelope_pb2 import Envelope

BIG = 1 << 30


def letter(name: str, size: int = 0) -> Envelope:
    return Envelope(msg_id=name, payload=b"x" * size)


def ids(envelopes: list[Envelope]) -> str:
    return "".join(envelope.msg_id for envelope in envelopes)


def test_one_frame_takes_everything_that_is_queued() -> None:
    outbox = Outbox()
    for name in "abc":
        outbox.put(letter(name))
    assert ids(outbox.take(2, BIG)) == "abc"
    assert not outbox.has_queued
    assert len(outbox) == 3


def test_a_frame_is_bounded_in_bytes_but_carries_at_least_one_message() -> None:
    outbox = Outbox()
    for name in "abc":
        outbox.put(letter(name, 100))
    assert ids(outbox.take(2, 1)) == "a"
    assert ids(outbox.take(3, 300)) == "bc"


def test_a_frame_is_bounded_in_messages() -> None:
    outbox = Outbox()
    for number in range(ENVELOPES_PER_FRAME_MAX + 1):
        outbox.put(letter(str(number)))
    assert len(outbox.take(2, BIG)) == ENVELOPES_PER_FRAME_MAX
    assert len(outbox.take(3, BIG)) == 1


def test_confirming_a_frame_confirms_the_ones_before_it() -> None:
    outbox = Outbox()
    outbox.put(letter("a"))
    outbox.take(2, BIG)
    outbox.put(letter("b"))
    outbox.take(3, BIG)
    assert outbox.confirm(1) == []
    assert outbox.confirm(3) == ["a", "b"]
    assert outbox.confirm(3) == []
    assert len(outbox) == 0


def test_a_refused_message_is_not_admitted_with_its_frame() -> None:
    outbox = Outbox()
    outbox.put(letter("a"))
    outbox.put(letter("b"))
    outbox.take(2, BIG)
    assert outbox.settle("a") is not None
    assert outbox.settle("a") is None
    assert outbox.confirm(2) == ["b"]


def test_what_was_in_flight_goes_first_and_in_order_in_the_next_session() -> None:
    outbox = Outbox()
    for name in "abc":
        outbox.put(letter(name))
    outbox.take(1, 1)
    outbox.take(2, 1)
    outbox.rewind()
    outbox.put(letter("d"))
    assert ids(outbox.take(1, BIG)) == "abcd"
    repeated = {name: owed.repeated for name in "abcd" if (owed := outbox.settle(name))}
    assert repeated == {"a": True, "b": True, "c": False, "d": False}


def test_a_resumed_session_sends_only_what_was_in_frames_that_were_not_handled() -> None:
    """What was handled waits for its answer, which may be a refusal."""
    outbox = Outbox()
    for name in "abc":
        outbox.put(letter(name))
    for number in (1, 2, 3):
        outbox.take(number, 1)
    outbox.rewind(1)
    assert outbox.is_flying
    assert ids(outbox.take(2, BIG)) == "bc"
    assert outbox.settle("a") is not None
    assert outbox.confirm(2) == ["b", "c"]
    assert not outbox.is_flying


def test_a_message_that_is_owed_is_not_queued_twice() -> None:
    outbox = Outbox()
    outbox.put(letter("a"))
    outbox.put(letter("a"), repeated=True)
    assert ids(outbox.take(2, BIG)) == "a"


def test_a_message_that_was_given_up_is_not_sent() -> None:
    outbox = Outbox()
    outbox.put(letter("a"))
    outbox.settle("a")
    assert outbox.take(2, BIG) == []


def test_what_no_frame_can_carry_is_refused_here() -> None:
    """A gateway throws the frame away unread; its next confirmation would count it as admitted."""
    outbox = Outbox()
    outbox.envelope_bytes_max = 300
    for name, size in (("a", 10), ("b", 300), ("c", 10)):
        outbox.put(letter(name, size))
    assert ids(outbox.take(1, BIG)) == "ac"
    assert outbox.too_large() == ["b"] and outbox.too_large() == []
    assert "b" in outbox and outbox.settle("b") is not None
