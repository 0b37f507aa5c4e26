"""What an agent is told with a message that it is expected to answer."""

from __future__ import annotations

import time

from llmx.messages import Message
from llmx.turns import StandingOffer, Turn, count_from, turn_of
from llmx.v1 import turn_pb2
from llmx.v1.envelope_pb2 import Envelope


def test_a_message_without_a_turn_expects_no_answer() -> None:
    assert turn_of(Envelope(), 0.0) is None
    assert Message(Envelope()).turn is None


def test_a_turn_counts_down_from_the_moment_its_message_came() -> None:
    told = turn_pb2.Turn(round=2, rounds_left=1, own_last_msg_id="o-1")
    told.answer_in.FromMilliseconds(5_500)
    told.deadline_in.FromMilliseconds(60_000)
    turn = turn_of(Envelope(turn=told), time.monotonic() - 2)
    assert turn is not None
    assert (turn.round, turn.rounds_left, turn.own_last_msg_id) == (2, 1, "o-1")
    assert (turn.answer_in, turn.deadline_in, turn.standing_offer) == (5.5, 60.0, None)
    assert 3 < turn.seconds_left < 3.6
    assert 57 < turn.seconds_left_at_most < 58.1


def turn_until(answer_by: float, deadline_at: float) -> turn_pb2.Turn:
    """Return a turn of 8 and 20 seconds, by a gateway whose clock says the times."""
    told = turn_pb2.Turn(round=1)
    told.answer_in.FromSeconds(8)
    told.deadline_in.FromSeconds(20)
    told.answer_by.FromNanoseconds(round(answer_by * 1e9))
    told.deadline_at.FromNanoseconds(round(deadline_at * 1e9))
    return told


def test_a_call_that_waited_for_its_agent_tells_what_is_left() -> None:
    told = turn_until(1_008, 1_020)
    count_from(told, 1_005)
    turn = turn_of(Envelope(turn=told), time.monotonic())
    assert turn is not None and (turn.answer_in, turn.deadline_in) == (3, 15)
    assert 2 < turn.seconds_left <= 3


def test_a_turn_that_is_over_when_its_message_comes_says_so() -> None:
    told = turn_until(1_008, 1_020)
    count_from(told, 1_009)
    turn = turn_of(Envelope(turn=told), time.monotonic())
    assert turn is not None and turn.seconds_left < 0 < turn.seconds_left_at_most


def test_a_clock_that_is_read_late_never_makes_a_turn_longer() -> None:
    told = turn_until(1_008, 1_020)
    count_from(told, 999)
    assert (told.answer_in.seconds, told.deadline_in.seconds) == (8, 20)


def test_a_gateway_that_tells_no_times_is_believed_its_durations() -> None:
    told = turn_pb2.Turn(round=1)
    told.answer_in.FromSeconds(8)
    count_from(told, 1_005)
    assert told.answer_in.seconds == 8


def test_a_message_keeps_its_turn() -> None:
    envelope = Envelope(turn=turn_pb2.Turn(round=1))
    envelope.turn.standing_offer.offer_id = "o-7"
    envelope.turn.standing_offer.sender = "agent://bob"
    envelope.turn.standing_offer.value = 40
    message = Message(envelope)
    assert message.turn is message.turn
    assert message.turn is not None
    assert message.turn.standing_offer == StandingOffer("o-7", "agent://bob", 40)


def test_a_turn_in_words_says_what_a_model_needs_to_know() -> None:
    stands = StandingOffer("o-7", "agent://bob", 41.5)
    assert Turn(1, 0, 30.4, 30.4).as_text() == (
        "You have 30 seconds to answer. This is round 1, the last one."
    )
    assert Turn(2, 3, 10.4, 60.4, stands).as_text() == (
        "You have 10 seconds to answer. Asking for more time gains you 50 more at most. "
        "This is round 2; 3 more may follow. The best offer so far is 41.5 by agent://bob."
    )
    assert "You have 0 seconds" in Turn(1, 0, 1, 1, came=time.monotonic() - 9).as_text()
