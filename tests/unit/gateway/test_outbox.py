"""What is owed to an agent: order, bounds, repeats, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from gateway.outbox import Outbox, Parcel, Pushed

ALL = 1 << 20
"""More bytes than any test queues."""


def outbox(messages_max: int = 100, bytes_max: int = 10_000, window: int = 100) -> Outbox:
    return Outbox(messages_max, bytes_max, retry_first=1.0, retry_max=8.0, window=window)


def parcel(
    msg_id: str,
    *,
    size: int = 10,
    expires_at: float = 1e9,
    sender: str = "agent://alice",
    repeats: bool = True,
) -> Parcel:
    return Parcel(msg_id, msg_id.encode().ljust(size, b"."), expires_at, sender, "", repeats)


def ids(parcels: Iterable[Parcel]) -> list[str]:
    return [parcel.msg_id for parcel in parcels]


def everything(box: Outbox, now: float) -> list[str]:
    """Take until there is nothing more to take."""
    taken: list[str] = []
    while some := box.take(now, ALL):
        taken += ids(some)
    return taken


def filled(*msg_ids: str) -> Outbox:
    box = outbox()
    for msg_id in msg_ids:
        assert box.push(parcel(msg_id)) is Pushed.QUEUED
    return box


def test_messages_leave_in_the_order_in_which_they_came() -> None:
    assert ids(filled("c", "a", "b").take(0.0, ALL)) == ["c", "a", "b"]


def test_what_was_taken_is_not_taken_again_until_its_wait_is_over() -> None:
    box = filled("a")
    box.take(0.0, ALL)
    assert box.take(0.5, ALL) == []
    assert not box.repeat(0.999, jitter=0.0)
    assert box.repeat(1.0, jitter=0.0)
    assert ids(box.take(1.0, ALL)) == ["a"]


def test_a_message_that_was_never_taken_is_not_repeated() -> None:
    box = filled("a")
    assert not box.repeat(1e6, jitter=0.0)
    assert ids(box.take(1e6, ALL)) == ["a"]


@pytest.mark.parametrize("is_sent", [False, True])
def test_a_call_that_is_made_again_takes_the_place_of_the_lost_one(is_sent: bool) -> None:
    """It bears the same msg_id, and answers to the negotiation of before would be in vain."""
    box = outbox()
    lost, again = (
        Parcel("call", b"..", 1e9, "agent://alice", negotiation_id, True, is_call=True)
        for negotiation_id in ("a.0.1", "b.0.1")
    )
    assert box.push(lost) is Pushed.QUEUED
    if is_sent:
        box.take(0.0, 1000)
    assert box.push(lost) is Pushed.REPEATED
    assert box.push(again) is Pushed.QUEUED
    assert box.take(0.0, 1000) == [again] and len(box) == 1


def test_everything_unconfirmed_is_repeated_in_its_old_order() -> None:
    box = filled("a", "b", "c", "d")
    box.take(0.0, ALL)
    box.confirm(["b"], 0.5)
    assert box.repeat(1.0, jitter=0.0) == 3
    assert ids(box.take(1.0, ALL)) == ["a", "c", "d"]


@pytest.mark.parametrize(
    ("jitter", "waits"),
    [(1.0, [1, 2, 4, 8, 8, 8]), (0.0, [1, 1, 1, 1, 1, 1]), (0.5, [1, 1.5, 2.5, 4.5, 4.5, 4.5])],
)
def test_the_wait_doubles_up_to_its_limit_and_jitter_spreads_it(
    jitter: float, waits: list[float]
) -> None:
    """The next wait lies anywhere between the first and the doubled one (full jitter)."""
    box, now = filled("a"), 0.0
    box.take(now, ALL)
    for wait in waits:
        assert not box.repeat(now + wait - 0.001, jitter)
        now += wait
        assert box.repeat(now, jitter)
        box.take(now, ALL)


def test_the_wait_starts_small_again_once_the_oldest_is_confirmed() -> None:
    box = filled("a", "b")
    box.take(0.0, ALL)
    assert box.repeat(1.0, jitter=1.0)
    box.take(1.0, ALL)
    box.confirm(["a"], 2.0)
    assert not box.repeat(2.999, jitter=1.0)
    assert box.repeat(3.0, jitter=1.0)


def test_to_confirm_a_younger_one_does_not_move_the_wait_of_the_oldest() -> None:
    """Otherwise a steady stream of confirmations would put off what was lost for ever."""
    box = filled("lost", "b", "c")
    box.take(0.0, ALL)
    box.confirm(["b"], 0.4)
    box.confirm(["c"], 0.8)
    assert box.repeat(1.0, jitter=0.0)
    assert ids(box.take(1.0, ALL)) == ["lost"]


def test_a_writer_is_needed_for_what_was_sent_and_has_no_time_to_be_sent_again() -> None:
    """After a stream was resumed, and when what held up a repeat has gone meanwhile."""
    box = filled("a")
    assert box.needs_writer
    box.take(0.0, ALL)
    assert not box.needs_writer
    box.resume(frozenset())
    assert box.needs_writer and not box.has_queued
    box.take(1.0, ALL)
    assert not box.needs_writer and box.is_late(10.0)


def test_a_repeat_that_the_writer_held_up_waits_anew_from_when_it_is_written() -> None:
    """A slow reader must not get everything twice as soon as it reads on."""
    box = filled("a")
    box.take(0.0, ALL)
    box.push(parcel("b"))
    assert not box.repeat(5.0, jitter=0.0), "b still waits for the writer"
    assert ids(box.take(10.0, ALL)) == ["b"]
    assert not box.repeat(10.9, jitter=0.0)
    assert box.repeat(11.0, jitter=0.0)


def test_a_new_stream_gets_everything_unconfirmed_at_once_and_in_order() -> None:
    box = filled("a", "b", "c")
    box.take(0.0, ALL)
    box.confirm(["a"], 0.1)
    box.push(parcel("d"))
    box.resume()
    assert everything(box, 0.2) == ["b", "c", "d"]


def test_a_resumed_stream_gets_only_what_did_not_arrive() -> None:
    """What arrived is with the agent, which may still think about it."""
    box = filled("a", "b", "c")
    box.take(0.0, ALL)
    box.push(parcel("d"))
    box.confirm(["b"], 0.1)
    box.resume({"b", "c"})
    assert everything(box, 0.2) == ["c", "d"]
    assert box.repeat(1.2, jitter=0.0) == 3, "but nothing waits for ever"
    assert everything(box, 1.2) == ["a", "c", "d"]


def test_what_was_due_again_and_went_with_no_stream_is_due_on_the_next_one() -> None:
    """Otherwise what came later overtakes it, until the wait is over."""
    box = filled("a", "b", "c")
    box.take(0.0, ALL)
    box.resume({"a", "b", "c"})
    assert ids(box.take(0.1, 1)) == ["a"]
    box.push(parcel("d"))
    box.resume({"a"})
    assert everything(box, 0.2) == ["a", "b", "c", "d"]


def test_what_is_acknowledged_while_it_is_due_again_does_not_go_again() -> None:
    box = filled("a", "b")
    box.take(0.0, ALL)
    box.repeat(1.0, jitter=0.0)
    box.confirm(["a"], 1.0)
    assert everything(box, 1.0) == ["b"]


def test_an_agent_has_no_more_on_its_way_than_its_window_and_acknowledging_is_credit() -> None:
    box = outbox(window=2)
    for name in "abcde":
        box.push(parcel(name))
    assert (everything(box, 0.0), box.has_queued, box.sent_count) == (["a", "b"], False, 2)
    box.confirm(["b"], 0.1)
    assert box.has_queued and everything(box, 0.1) == ["c"]
    box.confirm(["a", "c"], 0.2)
    assert everything(box, 0.2) == ["d", "e"]


def test_messages_sent_at_most_once_use_no_credit_and_keep_their_place() -> None:
    box = outbox(window=1)
    for name, repeats in (("a", False), ("b", True), ("c", False), ("d", True), ("e", False)):
        box.push(parcel(name, repeats=repeats))
    assert everything(box, 0.0) == ["a", "b", "c"]
    assert not box.has_queued, "e comes after d, for which there is no credit"
    box.confirm(["b"], 0.1)
    assert everything(box, 0.1) == ["d", "e"]


def test_what_somebody_follows_is_kept_for_him_when_it_is_acknowledged() -> None:
    box = outbox()
    followed = [
        Parcel("r", b"", 1e9, "agent://alice", "", True, receipt=True),
        Parcel("d", b"", 1e9, "agent://alice", "", True, durable=True),
    ]
    for one in (*followed, parcel("plain")):
        box.push(one)
    box.take(0.0, ALL)
    box.confirm(["r", "plain", "d"], 0.1)
    assert box.followed == followed


def test_an_outbox_says_once_that_it_is_half_full_until_it_was_nearly_empty() -> None:
    box = outbox(messages_max=8)
    told = [box.push(parcel(f"m{n}")) for n in range(8)]
    assert told == [Pushed.QUEUED] * 4 + [Pushed.CROWDED] + [Pushed.QUEUED] * 3
    everything(box, 0.0)
    box.confirm([f"m{n}" for n in range(6)], 0.1)
    assert box.push(parcel("x")) is Pushed.QUEUED, "two are left, a quarter"
    box.confirm(["m6", "m7"], 0.2)
    assert [box.push(parcel(f"y{n}")) for n in range(4)][-1] is Pushed.CROWDED


def test_an_outbox_knows_when_to_look_at_it_next() -> None:
    box = outbox()
    assert box.next_due == float("inf")
    box.push(parcel("a", expires_at=9.0))
    assert box.next_due == 9.0
    box.take(0.0, ALL)
    assert box.next_due == 1.0 and not box.is_late(0.9) and box.is_late(1.0)


def test_a_message_sent_at_most_once_is_forgotten_once_taken() -> None:
    box = outbox()
    box.push(parcel("a", repeats=False))
    assert ids(box.take(0.0, ALL)) == ["a"]
    assert len(box) == 0
    box.resume()
    assert not box.repeat(1e6, jitter=0.0)
    assert box.take(1e6, ALL) == []


@pytest.mark.parametrize(("size", "has_room"), [(0, True), (20, True), (21, False)])
def test_room_is_in_messages_and_in_bytes(size: int, has_room: bool) -> None:
    box = outbox(messages_max=3, bytes_max=40)
    for name in "ab":
        box.push(parcel(name, size=10))
    assert box.has_room(size) is has_room
    box.push(parcel("c", size=1))
    assert not box.has_room(0)


def test_a_message_under_way_is_not_queued_twice_even_when_there_is_no_room() -> None:
    box = outbox(messages_max=1)
    box.push(parcel("a"))
    assert box.push(parcel("a")) is Pushed.REPEATED
    box.take(0.0, ALL)
    assert box.push(parcel("a")) is Pushed.REPEATED
    assert box.take(0.0, ALL) == []


def test_an_id_that_another_senders_message_bears_is_taken() -> None:
    box = filled("a")
    assert box.push(parcel("a", sender="agent://mallory")) is Pushed.ID_TAKEN
    box.take(0.0, ALL)
    assert box.push(parcel("a", sender="agent://mallory")) is Pushed.ID_TAKEN
    box.confirm(["a"], 0.0)
    assert box.push(parcel("a", sender="agent://mallory")) is Pushed.QUEUED


@pytest.mark.parametrize("repeats", [True, False])
def test_the_bound_of_bytes_holds_for_every_quality_of_service(repeats: bool) -> None:
    box = outbox(bytes_max=100)
    taken = [box.push(parcel(f"m{n}", size=40, repeats=repeats)) for n in range(3)]
    assert taken == [Pushed.QUEUED, Pushed.CROWDED, Pushed.FULL]


@pytest.mark.parametrize("repeats", [True, False])
def test_the_bound_of_messages_holds_for_every_quality_of_service(repeats: bool) -> None:
    box = outbox(messages_max=2)
    taken = [box.push(parcel(f"m{n}", repeats=repeats)) for n in range(3)]
    assert taken == [Pushed.QUEUED, Pushed.CROWDED, Pushed.FULL]


def test_an_agent_that_confirms_what_it_never_read_cannot_fill_the_memory() -> None:
    """Two agents that work together know the ids; the one that reads nothing confirms them."""
    box = outbox(messages_max=10, bytes_max=100)
    for number in range(1000):
        box.push(parcel(f"m{number}", size=20))
        assert box.confirm([f"m{number}"], 0.0) == 0
    assert len(box.take(0.0, ALL)) == 5


@pytest.mark.parametrize("repeats", [True, False])
def test_a_frame_takes_what_fits_and_the_next_one_the_rest(repeats: bool) -> None:
    box = outbox()
    for name in "abcde":
        box.push(parcel(name, size=10, repeats=repeats))
    assert [ids(box.take(0.0, 25)) for _ in range(4)] == [["a", "b"], ["c", "d"], ["e"], []]
    box.resume()
    again = [["a", "b"], ["c", "d"], ["e"], []] if repeats else [[]] * 4
    assert [ids(box.take(0.0, 25)) for _ in range(4)] == again


def test_a_message_larger_than_a_frame_goes_alone() -> None:
    box = outbox()
    box.push(parcel("big", size=50))
    box.push(parcel("small"))
    assert ids(box.take(0.0, 20)) == ["big"]
    assert ids(box.take(0.0, 20)) == ["small"]


def test_what_expires_is_returned_once_and_never_sent() -> None:
    box = outbox()
    short, long = parcel("short", expires_at=5.0), parcel("long", expires_at=50.0)
    box.push(short)
    box.push(long)
    assert box.expire(4.999) == []
    assert box.expire(5.0) == [short]
    assert box.expire(6.0) == []
    assert ids(box.take(6.0, ALL)) == ["long"]
    assert box.expire(50.0) == [long]
    assert len(box) == 0


def test_withholding_takes_back_one_senders_messages_and_no_others() -> None:
    box = outbox()
    eve = [parcel(name, sender="agent://eve") for name in ("e1", "e2")]
    box.push(eve[0])
    box.push(parcel("a1"))
    box.push(eve[1])
    assert box.withhold(lambda parcel: parcel.sender == "agent://eve") == eve
    assert ids(box.take(0.0, ALL)) == ["a1"]
    assert box.withhold(lambda parcel: parcel.sender == "agent://eve") == []


def test_an_outbox_that_is_emptied_returns_what_it_owed_and_has_room_again() -> None:
    box = outbox(messages_max=2, bytes_max=100)
    parcels = [parcel("a", size=50), parcel("b", size=50)]
    for one in parcels:
        box.push(one)
    box.take(0.0, ALL)
    assert box.empty() == parcels
    assert not box.repeat(1e6, jitter=0.0)
    assert [box.push(one) for one in parcels] == [Pushed.QUEUED, Pushed.CROWDED]


def test_an_outbox_tells_its_state_in_words() -> None:
    box = filled("a", "b")
    box.take(0.0, ALL)
    box.push(parcel("c"))
    assert repr(box) == "<Outbox: 1 waiting, 2 sent, 30 bytes>"


def test_what_expires_may_be_taken_little_by_little() -> None:
    box = outbox()
    for name in "abc":
        box.push(parcel(name, expires_at=5.0))
    assert ids(box.expire(5.0, 2)) == ["a", "b"] and box.next_due == 5.0
    assert box.expire(5.0, 0) == []
    assert ids(box.expire(5.0, 2)) == ["c"] and len(box) == 0


def test_a_message_of_a_negotiation_that_is_over_is_taken_back_by_its_id() -> None:
    box = outbox()
    box.push(msgspec.structs.replace(parcel("a"), negotiation_id="n"))
    assert not box.retract("a", "another")
    assert not box.retract("b", "n")
    assert box.retract("a", "n")
    assert len(box) == 0
