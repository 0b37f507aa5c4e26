"""A link numbers, keeps, confirms and repeats; it knows no stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.link import Heard, Link, LinkLimits

PLENTY = LinkLimits()
BYTES_MAX = 1_000


def link_of(limits: LinkLimits = PLENTY) -> Link:
    return Link(1, 2, limits)


def taken(link: Link) -> list[tuple[int, list[bytes]]]:
    """Return all that is due, as numbers and messages."""
    frames = []
    while (frame := link.take()) is not None:
        frames.append((frame.number, frame.messages))
    return frames


def filled(*messages: bytes, limits: LinkLimits = PLENTY) -> Link:
    link = link_of(limits)
    for message in messages:
        assert link.push(message)
    return link


def test_one_frame_takes_all_that_is_queued() -> None:
    link = filled(b"1", b"2", b"3")
    assert taken(link) == [(1, [b"1", b"2", b"3"])]
    assert link.take() is None
    assert not link.has_due
    assert (link.sent, link.sent_messages, link.kept, link.waiting) == (1, 3, 3, 0)


def test_a_frame_takes_no_more_messages_than_it_may() -> None:
    link = filled(b"1", b"2", b"3", limits=LinkLimits(frame_messages_max=2))
    assert taken(link) == [(1, [b"1", b"2"]), (2, [b"3"])]


def test_a_frame_takes_no_more_bytes_than_it_may_but_for_one_large_message() -> None:
    link = filled(b"1234", b"1", b"12", b"1", limits=LinkLimits(frame_bytes_max=3))
    assert taken(link) == [(1, [b"1234"]), (2, [b"1", b"12"]), (3, [b"1"])]


def test_a_link_takes_no_more_messages_than_it_keeps_until_some_are_confirmed() -> None:
    link = filled(b"1", b"2", limits=LinkLimits(messages_max=2))
    assert not link.push(b"3")
    taken(link)
    assert not link.push(b"3"), "what is sent is kept until it is confirmed"
    link.confirm(1)
    assert link.push(b"3")


def test_a_link_takes_no_more_bytes_than_it_keeps_but_for_one_large_message() -> None:
    link = filled(b"12345", limits=LinkLimits(bytes_max=3))
    assert not link.push(b"")
    taken(link)
    link.confirm(1)
    assert link.push(b"123")


def test_what_is_confirmed_is_forgotten_and_does_not_go_again() -> None:
    link = filled(b"1", b"2", limits=LinkLimits(frame_messages_max=1))
    taken(link)
    assert link.confirm(1)
    assert link.go_back() == 1
    assert taken(link) == [(2, [b"2"])]


def test_an_old_or_impossible_confirmation_does_nothing() -> None:
    link = filled(b"1", b"2", limits=LinkLimits(frame_messages_max=1))
    taken(link)
    link.confirm(1)
    assert not link.confirm(1)
    assert not link.confirm(0)
    assert not link.confirm(3)
    assert link.kept


def test_what_was_confirmed_while_it_was_due_again_does_not_go_again() -> None:
    link = filled(b"1", b"2", b"3", limits=LinkLimits(frame_messages_max=1))
    taken(link)
    link.go_back()
    link.confirm(2)
    assert taken(link) == [(3, [b"3"])]


def test_everything_unconfirmed_goes_again_in_its_old_frames_before_anything_new() -> None:
    link = filled(b"1", b"2")
    taken(link)
    link.push(b"3")
    taken(link)
    link.push(b"4")
    assert link.go_back() == 2
    assert taken(link) == [(1, [b"1", b"2"]), (2, [b"3"]), (3, [b"4"])]


def test_frames_in_flight_are_those_that_went_since_the_last_look_back() -> None:
    link = filled(b"1", b"2", b"3", limits=LinkLimits(frame_messages_max=1))
    link.take()
    link.take()
    assert link.in_flight == 2
    link.confirm(1)
    assert link.in_flight == 1
    link.go_back()
    assert link.in_flight == 0
    link.take()
    assert link.in_flight == 1


def test_what_comes_counts_once_and_in_order() -> None:
    link = link_of()
    heard = [link.hear(number) for number in (1, 1, 3, 2, 2, 3)]
    assert heard == [Heard.NEXT, Heard.REPEAT, Heard.GAP, Heard.NEXT, Heard.REPEAT, Heard.NEXT]


def test_only_what_was_handled_is_confirmed() -> None:
    link = link_of()
    link.hear(1)
    link.hear(2)
    assert (link.handled, link.accepted) == (0, 2)
    link.finish(1)
    assert link.handled == 1


def test_to_handle_a_frame_twice_or_before_it_came_is_our_mistake() -> None:
    link = link_of()
    link.hear(1)
    link.finish(1)
    with pytest.raises(AssertionError, match="once and in order"):
        link.finish(1)
    with pytest.raises(AssertionError, match="once and in order"):
        link.finish(2)


def test_a_frame_that_was_accepted_and_dropped_may_come_again() -> None:
    link = link_of()
    for number in (1, 2, 3):
        link.hear(number)
    link.finish(1)
    link.forget_accepted(1)  # 2 is at hand, 3 was dropped
    assert link.hear(2) is Heard.REPEAT
    assert link.hear(3) is Heard.NEXT


def test_what_is_handed_back_is_everything_unconfirmed_oldest_first() -> None:
    link = filled(b"1", b"2", b"3", limits=LinkLimits(frame_messages_max=1))
    link.take()
    link.take()
    link.confirm(1)
    assert link.hand_back() == [b"2", b"3"]
    assert link.kept == 0
    assert link.hand_back() == []


def test_what_was_handed_back_leaves_empty_frames_so_that_no_number_is_missing() -> None:
    link = filled(b"1", b"2", limits=LinkLimits(frame_messages_max=1))
    taken(link)
    link.hand_back()
    link.push(b"3")
    link.go_back()
    assert taken(link) == [(1, []), (2, []), (3, [b"3"])]


def test_a_link_tells_its_state_in_words() -> None:
    link = filled(b"1")
    assert repr(link) == "<Link 1 to 2: 1 waiting, 0 frames unconfirmed, 0 handled>"


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.integers(0, 4)),
            st.tuples(st.sampled_from(["take", "go back", "deliver"]), st.just(0)),
            st.tuples(st.just("confirm"), st.integers(0, 12)),
        ),
        max_size=60,
    )
)
def test_whatever_happens_the_other_side_gets_everything_once_in_order_and_all_is_counted(
    steps: list[tuple[str, int]],
) -> None:
    """The model is two lists: what was pushed, and what the other side has handled."""
    narrow = LinkLimits(bytes_max=BYTES_MAX, frame_messages_max=2, frame_bytes_max=6)
    here, there = link_of(narrow), link_of()
    pushed: list[bytes] = []
    handled: list[bytes] = []
    on_the_way: list[tuple[int, list[bytes]]] = []

    def deliver() -> None:
        for number, messages in on_the_way:
            if there.hear(number) is Heard.NEXT:
                there.finish(number)
                handled.extend(messages)
        on_the_way.clear()

    for step, value in [*steps, ("go back", 0), ("all", 0), ("deliver", 0)]:
        match step:
            case "push":
                pushed.append(b"x" * value + str(len(pushed)).encode())
                assert here.push(pushed[-1])
            case "take":
                frame = here.take()
                on_the_way += [] if frame is None else [(frame.number, list(frame.messages))]
            case "all":
                on_the_way += taken(here)
            case "go back":
                here.go_back()
            case "confirm":
                here.confirm(min(value, there.handled))
            case _:
                deliver()
        assert handled == pushed[: len(handled)]
        assert here.in_flight <= here.sent
    assert handled == pushed
    here.confirm(there.handled)
    assert (here.kept, here.waiting, here.has_due, here.in_flight) == (0, 0, False, 0)
    assert here.push(b"x")
    assert here.push(b"x" * (BYTES_MAX - 1)), "every byte was given back"
