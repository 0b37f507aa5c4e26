"""What waits for agents that are away: order, bounds, room, time."""

from __future__ import annotations

import msgspec

from gateway.mailbox_index import STALE_TIMERS_MAX, Entry, MailboxIndex
from gateway.outbox import Parcel, Pushed

BOB = "acme|agent://bob|"
CAROL = "acme|agent://carol|"


def index(
    per_agent: int = 10, bytes_per_agent: int = 1_000, messages: int = 100, size: int = 10_000
) -> MailboxIndex:
    return MailboxIndex(per_agent, bytes_per_agent, messages, size)


def parcel(msg_id: str, sender: str = "agent://alice", size: int = 10, until: float = 60) -> Parcel:
    return Parcel(msg_id, b"x" * size, until, sender, "", True)


def put(boxes: MailboxIndex, owner: str, one: Parcel, *, taken: bool = False) -> Entry:
    assert boxes.reserve(owner, one) is Pushed.QUEUED
    entry = Entry(0, 0, len(one.envelope), one)
    assert boxes.add(owner, entry, taken=taken)
    return entry


def ids(entries: list[Entry]) -> list[str]:
    return [entry.parcel.msg_id for entry in entries]


def test_messages_leave_in_the_order_in_which_they_came() -> None:
    boxes = index()
    for msg_id in ("a", "b", "c"):
        put(boxes, BOB, parcel(msg_id))
    assert ids(boxes.take(BOB, 2, 1_000)) == ["a", "b"]
    assert ids(boxes.take(BOB, 2, 1_000)) == ["c"]
    assert boxes.take(BOB, 2, 1_000) == []
    assert boxes.take(CAROL, 2, 1_000) == []


def test_a_batch_stays_within_its_bytes_and_holds_one_message_at_least() -> None:
    boxes = index()
    for msg_id in ("a", "b", "c"):
        put(boxes, BOB, parcel(msg_id, size=100))
    assert ids(boxes.take(BOB, 9, 200)) == ["a", "b"]
    assert ids(boxes.take(BOB, 9, 1)) == ["c"]


def test_what_was_taken_keeps_its_room_until_it_is_removed() -> None:
    boxes = index(per_agent=2)
    put(boxes, BOB, parcel("a"))
    put(boxes, BOB, parcel("b"))
    boxes.take(BOB, 2, 1_000)
    assert boxes.reserve(BOB, parcel("c")) is Pushed.FULL
    assert boxes.remove(BOB, "a") is not None
    assert boxes.reserve(BOB, parcel("c")) is Pushed.QUEUED


def test_each_bound_holds_for_itself() -> None:
    assert index(bytes_per_agent=5).reserve(BOB, parcel("a")) is Pushed.FULL
    boxes = index(bytes_per_agent=15)
    put(boxes, BOB, parcel("a"))
    assert boxes.reserve(BOB, parcel("b")) is Pushed.FULL
    boxes = index(messages=1)
    put(boxes, BOB, parcel("a"))
    assert boxes.reserve(CAROL, parcel("a")) is Pushed.FULL
    boxes = index(size=15)
    put(boxes, BOB, parcel("a"))
    assert boxes.reserve(CAROL, parcel("a")) is Pushed.FULL


def test_reserved_room_counts_and_comes_back() -> None:
    boxes = index(per_agent=1)
    one = parcel("a")
    assert boxes.reserve(BOB, one) is Pushed.QUEUED
    assert boxes.reserve(BOB, parcel("b")) is Pushed.FULL
    assert boxes.kept(BOB) == 1
    assert boxes.waiting(BOB) == 0
    boxes.release(BOB, len(one.envelope))
    assert boxes.kept(BOB) == 0
    assert (len(boxes), boxes.bytes) == (0, 0)


def test_a_repeat_is_known_and_another_senders_message_of_that_id_is_refused() -> None:
    boxes = index()
    put(boxes, BOB, parcel("a"))
    assert boxes.reserve(BOB, parcel("a")) is Pushed.REPEATED
    assert boxes.reserve(BOB, parcel("a", sender="agent://mallory")) is Pushed.ID_TAKEN
    boxes.take(BOB, 1, 1_000)
    assert boxes.reserve(BOB, parcel("a")) is Pushed.REPEATED
    assert boxes.reserve(CAROL, parcel("a")) is Pushed.QUEUED


def test_of_two_that_were_under_way_with_one_id_the_second_is_not_added() -> None:
    boxes = index()
    assert boxes.reserve(BOB, parcel("a")) is Pushed.QUEUED
    assert boxes.reserve(BOB, parcel("a")) is Pushed.QUEUED
    assert boxes.add(BOB, Entry(0, 0, 10, parcel("a")))
    assert not boxes.add(BOB, Entry(0, 0, 10, parcel("a")))
    assert len(boxes) == 1


def test_what_is_put_back_waits_in_front_in_its_order_with_what_was_not_known() -> None:
    boxes = index()
    known = put(boxes, BOB, parcel("b"), taken=True)
    put(boxes, BOB, parcel("d"))
    news = [Entry(0, 0, 10, parcel(msg_id)) for msg_id in ("a", "c")]
    assert boxes.put_back(BOB, [news[0], known, news[1]]) == []
    assert ids(boxes.take(BOB, 9, 1_000)) == ["a", "b", "c", "d"]


def test_what_is_put_back_is_bounded_by_all_boxes_together_only() -> None:
    boxes = index(per_agent=1, messages=2)
    entries = [Entry(0, 0, 10, parcel(msg_id)) for msg_id in ("a", "b", "c")]
    assert ids(boxes.put_back(BOB, entries)) == ["c"]
    assert ids(boxes.take(BOB, 9, 1_000)) == ["a", "b"]
    assert boxes.put_back(BOB, []) == []


def test_what_waited_too_long_is_returned_once_with_its_owner() -> None:
    boxes = index()
    put(boxes, BOB, parcel("a", until=5))
    put(boxes, CAROL, parcel("b", until=6))
    put(boxes, BOB, parcel("c", until=7))
    assert boxes.expire(4.9, 10) == []
    over = boxes.expire(6, 10)
    assert [(owner, entry.parcel.msg_id) for owner, entry in over] == [(BOB, "a"), (CAROL, "b")]
    assert boxes.expire(6, 10) == []
    assert boxes.waiting(BOB) == 1


def test_one_look_at_the_clock_expires_a_bounded_number() -> None:
    boxes = index()
    for number in range(5):
        put(boxes, BOB, parcel(str(number), until=1))
    assert len(boxes.expire(2, 3)) == 3
    assert len(boxes.expire(2, 3)) == 2


def test_a_message_with_the_name_of_one_that_is_gone_keeps_its_own_time_and_turn() -> None:
    boxes = index()
    put(boxes, BOB, parcel("a", until=5))
    boxes.remove(BOB, "a")
    put(boxes, CAROL, parcel("b", until=6))
    put(boxes, BOB, parcel("a", until=7))
    assert [entry.parcel.msg_id for _, entry in boxes.expire(9, 10)] == ["b", "a"]


def test_what_an_outbox_holds_is_not_the_indexs_to_expire_until_it_is_put_back() -> None:
    boxes = index()
    entry = put(boxes, BOB, parcel("a", until=5), taken=True)
    assert boxes.expire(9, 10) == []
    boxes.put_back(BOB, [entry])
    assert [found.parcel.msg_id for _, found in boxes.expire(9, 10)] == ["a"]


def test_timers_of_what_is_gone_do_not_pile_up() -> None:
    boxes = index()
    put(boxes, CAROL, parcel("stays", until=1))
    for number in range(3 * STALE_TIMERS_MAX):
        put(boxes, BOB, parcel(str(number)))
        boxes.remove(BOB, str(number))
    assert len(boxes._expiries) <= STALE_TIMERS_MAX + 4
    assert [owner for owner, _ in boxes.expire(2, 10)] == [CAROL]


def test_a_forgotten_agent_leaves_nothing_behind() -> None:
    boxes = index()
    put(boxes, BOB, parcel("a"), taken=True)
    put(boxes, BOB, parcel("b"))
    assert ids(boxes.clear(BOB)) == ["a", "b"]
    assert boxes.clear(BOB) == []
    assert boxes.remove(BOB, "a") is None
    assert repr(boxes) == "<MailboxIndex: 0 messages, 0 bytes, 0 boxes>"


def test_what_is_restored_is_kept_though_the_bounds_were_lowered() -> None:
    boxes = index(per_agent=1, messages=1)
    for msg_id in ("a", "b"):
        assert boxes.restore(BOB, Entry(1, 1, 10, parcel(msg_id), is_saved=True))
    assert [entry.parcel.msg_id for entry in boxes.all_waiting(BOB)] == ["a", "b"]
    found = boxes.find(BOB, "b")
    assert found is not None
    assert found.is_saved
    assert boxes.find(CAROL, "b") is None


def test_an_entry_says_what_it_is() -> None:
    assert msgspec.structs.asdict(Entry(1, 2, 3, parcel("a")))["is_saved"] is False


def test_one_tenant_cannot_use_up_the_room_of_the_others() -> None:
    boxes = MailboxIndex(10, 1_000, 4, 1_000, tenant_share=0.5)
    pushed = [boxes.reserve(f"acme|agent://{n}|", parcel(f"m{n}")) for n in range(3)]
    assert pushed == [Pushed.QUEUED, Pushed.QUEUED, Pushed.FULL]
    assert boxes.reserve("umbrella|agent://bob|", parcel("m1")) is Pushed.QUEUED
    boxes.release("acme|agent://0|", len(parcel("m0").envelope))
    assert boxes.reserve("acme|agent://2|", parcel("m2")) is Pushed.QUEUED
