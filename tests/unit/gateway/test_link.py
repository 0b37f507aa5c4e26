"""A session's numbers: what repeats, what is missing, and what a new stream must say again."""

from __future__ import annotations

import sys

import pytest

from gateway import link as link_module
from gateway.link import Answers, Heard, Link
from gateway.outbox import Parcel


def parcel(msg_id: str) -> Parcel:
    return Parcel(msg_id, msg_id.encode(), 1e9, "agent://alice", "", True)


def refusals(*texts: bytes) -> Answers:
    return Answers(list(texts), [], [])


def test_batches_are_heard_in_order_and_each_once() -> None:
    link = Link("t")
    assert link.hear(1) is Heard.NEXT
    assert link.hear(1) is Heard.NEXT, "it is handled only when the caller says so"
    link.handled = 1
    assert [link.hear(number) for number in (0, 1, 2, 3)] == [
        Heard.REPEAT,
        Heard.REPEAT,
        Heard.NEXT,
        Heard.GAP,
    ]


def test_a_frame_that_could_not_be_read_may_have_had_a_number() -> None:
    link = Link("t")
    link.discard()
    link.discard()
    assert link.hear(4) is Heard.GAP
    assert link.hear(3) is Heard.NEXT
    link.handled = 3
    assert link.hear(5) is Heard.GAP, "the allowance is used up"
    link.discard()
    assert link.hear(4) is Heard.NEXT, "or it had none"


def test_answers_leave_by_kind_up_to_a_size_and_one_at_least() -> None:
    answers = Answers([b"r" * 30, b"r2"], [b"opened"], [b"a", b"b"])
    taken = answers.take(8)
    assert taken == Answers([b"r" * 30], [b"opened"], [b"a", b"b"])
    assert answers == refusals(b"r2") and len(answers) == 1 and answers.size == 2


def test_what_a_batch_said_is_said_again_when_the_batch_did_not_arrive() -> None:
    link = Link("t")
    assert link.send([parcel("m1")], refusals(b"r1")) == 1
    assert link.send([parcel("m2"), parcel("m3")], Answers([], [b"o2"], [b"c2"])) == 2
    assert link.send([parcel("m4")], None) == 3
    link.pending.refusals.append(b"r4")
    assert link.resume(1) == {"m2", "m3", "m4"}
    assert link.pending == Answers([b"r4"], [b"o2"], [b"c2"])
    assert link.send([], None) == 2, "it goes on counting from what arrived"


def test_what_was_confirmed_is_not_said_again() -> None:
    link = Link("t")
    link.send([parcel("m1")], refusals(b"r1"))
    link.send([parcel("m2")], refusals(b"r2"))
    link.confirm(1)
    link.confirm(0)
    assert link.resume(1) == {"m2"} and link.pending == refusals(b"r2")


def test_lost_answers_come_before_younger_ones() -> None:
    link = Link("t")
    link.send([], refusals(b"r1"))
    link.send([], refusals(b"r2"))
    link.pending.refusals.append(b"r3")
    link.resume(0)
    assert link.pending == refusals(b"r1", b"r2", b"r3")


@pytest.mark.parametrize("received", [3, 99])
def test_nobody_resumes_from_a_batch_that_was_not_sent(received: int) -> None:
    link = Link("t")
    link.send([parcel("m1")], None)
    link.send([parcel("m2")], None)
    assert link.resume(received) is None


def test_a_session_whose_batches_nobody_confirms_is_bounded_in_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It then cannot be resumed from where it was dropped, and begins anew instead."""
    monkeypatch.setattr(link_module, "FLIGHTS_MAX", 3)
    link = Link("t")
    for number in range(5):
        link.send([parcel(f"m{number}")], None)
    assert "3 of them unconfirmed" in repr(link)
    assert link.resume(1) is None
    assert link.resume(2) == {"m2", "m3", "m4"}


def test_a_session_whose_answers_nobody_confirms_is_bounded_in_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_module, "KEPT_BYTES_MAX", 10)
    link = Link("t")
    for _ in range(4):
        link.send([], refusals(b"r" * 4))
    assert link.resume(1) is None
    assert link.resume(2) == set() and link.pending == refusals(b"rrrr", b"rrrr")


def test_refusals_in_a_batch_that_comes_again_are_forgotten() -> None:
    """The batch is judged again, and its sender must not hear two things."""
    link = Link("t")
    link.at_hand.append(b"r1")
    assert link.finish() and link.pending == refusals(b"r1")
    assert not link.finish()
    link.at_hand.append(b"r2")
    link.resume(0)
    assert not link.finish() and link.pending == refusals(b"r1")


def test_a_message_is_not_held_by_a_batch_that_nobody_confirms() -> None:
    """Or an agent that acknowledges everything and confirms nothing would fill the memory."""
    link, envelope = Link("t"), bytes(1_000)
    held = sys.getrefcount(envelope)
    link.send([Parcel("m1", envelope, 1e9, "agent://alice", "", True)], None)
    assert sys.getrefcount(envelope) == held
    assert link.resume(0) == {"m1"}


def test_the_messages_of_batches_that_nobody_confirms_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_module, "KEPT_BYTES_MAX", 2 * link_module.MSG_ID_BYTES)
    link = Link("t")
    for number in range(4):
        link.send([parcel(f"m{number}")], None)
    assert link.resume(1) is None
    assert link.resume(2) == {"m2", "m3"}
