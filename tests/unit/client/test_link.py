"""The numbers of a session across its streams, and its silence."""

from __future__ import annotations

from llmx.link import CONFIRM_AFTER, Arrival, Begun, Link, Pulse


def begun() -> Link:
    """Return a session in which both sides have sent three batches."""
    link = Link()
    assert link.begin("secret", resumed=False, confirmed=0) is Begun.FRESH
    for number in (1, 2, 3):
        assert link.number_next() == number
        link.took(number)
    return link


def test_a_batch_is_taken_once_and_a_repeat_ignored() -> None:
    link = begun()
    assert link.hear(4) is Arrival.NEW
    link.took(4)
    assert link.hear(4) is Arrival.REPEAT
    assert link.hear(1) is Arrival.REPEAT
    assert link.hear(5) is Arrival.NEW


def test_a_frame_without_a_number_is_always_new_and_counts_for_nothing() -> None:
    link = begun()
    assert link.hear(0) is Arrival.NEW
    link.took(0)
    assert link.received == 3


def test_a_gap_is_seen_and_resuming_is_tried_once() -> None:
    """A gateway that leaves the same gap on the next stream would do so for ever."""
    link = begun()
    assert link.hear(5) is Arrival.GAP
    assert link.token == "secret"
    assert link.begin("secret", resumed=True, confirmed=3) is Begun.RESUMED
    assert link.hear(5) is Arrival.GAP
    assert link.token == ""


def test_a_gap_that_was_mended_is_forgotten() -> None:
    link = begun()
    assert link.hear(5) is Arrival.GAP
    link.took(4)
    assert link.hear(6) is Arrival.GAP
    assert link.token == "secret"


def test_a_resumed_session_goes_on_after_what_the_gateway_handled() -> None:
    link = begun()
    assert link.begin("secret", resumed=True, confirmed=2) is Begun.RESUMED
    assert link.received == 3
    assert link.number_next() == 3


def test_a_new_session_counts_from_one() -> None:
    link = begun()
    assert link.begin("other", resumed=False, confirmed=0) is Begun.FRESH
    assert (link.token, link.received, link.number_next()) == ("other", 0, 1)


def test_a_session_that_never_was_cannot_be_resumed() -> None:
    link = Link()
    assert link.begin("secret", resumed=True, confirmed=0) is Begun.IMPOSSIBLE
    link = begun()
    assert link.begin("secret", resumed=True, confirmed=4) is Begun.IMPOSSIBLE
    assert link.token == "", "the next Hello asks for a new one"


def test_a_goodbye_may_bring_another_token() -> None:
    link = begun()
    link.move("")
    assert link.token == "secret"
    link.move("elsewhere")
    assert link.token == "elsewhere"


def test_a_bare_confirmation_is_due_after_so_many_batches_without_an_answer() -> None:
    link = begun()
    link.number_next()
    for number in range(4, 4 + CONFIRM_AFTER):
        assert not link.owes_confirmation
        link.took(number)
    assert link.owes_confirmation
    link.confirm()
    assert not link.owes_confirmation


def test_who_was_silent_for_a_heartbeat_owes_a_beat() -> None:
    pulse = Pulse(10.0, said_at=100.0, heard_at=108.0)
    assert not pulse.owes_beat(109.9)
    assert pulse.owes_beat(110.0)
    assert pulse.rest(104.0) == 6.0


def test_a_stream_on_which_nothing_came_for_three_heartbeats_is_lost() -> None:
    pulse = Pulse(10.0, said_at=100.0, heard_at=100.0)
    assert not pulse.is_lost(129.9)
    assert pulse.is_lost(130.0)
    pulse.heard_at = 129.0
    assert not pulse.is_lost(130.0)


def test_a_beat_that_cannot_be_written_is_not_looked_after_all_the_time() -> None:
    pulse = Pulse(10.0, said_at=100.0, heard_at=119.0)
    assert pulse.rest(120.0) == 2.5


def test_without_a_heartbeat_silence_means_nothing() -> None:
    pulse = Pulse(0.0, said_at=0.0, heard_at=0.0)
    assert not pulse.is_lost(1e9)
    assert not pulse.owes_beat(1e9)
