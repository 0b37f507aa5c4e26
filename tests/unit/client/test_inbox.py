"""What comes: once, in order, acknowledged."""

from __future__ import annotations

from llmx.inbox import TURNED_AWAY_MAX, Inbox, Key

BIG = 1 << 20


def key(name: str, negotiation: str = "n", sender: str = "agent://x") -> Key:
    return (sender, name, negotiation)


def takes(inbox: Inbox, *names: str, has_room: bool = True) -> str:
    """Offer messages of one negotiation and return those that were handed on."""
    handed = ""
    for name in names:
        if not inbox.admits(key(name)):
            continue
        if has_room:
            inbox.took(key(name))
            handed += name
        else:
            inbox.turn_away(key(name))
    return handed


def test_a_message_is_acknowledged_when_it_is_done_and_so_is_its_repeat() -> None:
    inbox = Inbox(10)
    assert takes(inbox, "a") == "a"
    assert not inbox.has_acks
    inbox.finish(key("a"))
    assert takes(inbox, "a") == ""
    assert inbox.take_acks(1, BIG) == ["a", "a"]


def test_a_repeat_of_a_message_at_work_is_neither_handed_on_nor_acknowledged() -> None:
    inbox = Inbox(10)
    takes(inbox, "a")
    assert takes(inbox, "a", "a") == ""
    assert not inbox.has_acks


def test_the_same_message_in_another_negotiation_is_another_one() -> None:
    inbox = Inbox(10)
    inbox.finish(key("a"))
    assert inbox.admits(key("a", "m"))
    assert inbox.admits(key("a", sender="agent://y"))


def test_what_follows_a_message_that_was_turned_away_waits_for_it() -> None:
    inbox = Inbox(10)
    takes(inbox, "a", has_room=False)
    assert takes(inbox, "b", "c") == "", "there is room again, but nothing overtakes"
    assert inbox.admits(key("d", "other")), "another negotiation waits for nothing"
    assert takes(inbox, "a", "b", "c") == "abc"
    assert takes(inbox, "e") == "e"


def test_a_message_that_was_turned_away_and_expired_is_not_waited_for() -> None:
    """The gateway repeats in order, so what comes again before it says that it is gone."""
    inbox = Inbox(10)
    takes(inbox, "a", has_room=False)
    assert takes(inbox, "b") == ""
    assert takes(inbox, "b") == "b"


def test_turned_away_again_a_message_still_comes_first() -> None:
    inbox = Inbox(10)
    takes(inbox, "a", "b", has_room=False)
    takes(inbox, "a", has_room=False)
    assert takes(inbox, "b") == ""
    assert takes(inbox, "a", "b") == "ab"


def test_what_is_known_of_turned_away_messages_is_bounded() -> None:
    inbox = Inbox(10)
    for number in range(TURNED_AWAY_MAX + 10):
        one = key("a", str(number))
        assert inbox.admits(one)
        inbox.turn_away(one)
    assert f"{TURNED_AWAY_MAX} turned away" in repr(inbox)
    assert inbox.admits(key("b", "0")), "the order of the oldest negotiation is not kept"
    assert not inbox.admits(key("b", "20"))


def test_acknowledgements_in_frames_that_were_not_handled_go_again_before_others() -> None:
    inbox = Inbox(10)
    for number, name in enumerate("abc", 1):
        inbox.finish(key(name))
        assert inbox.take_acks(number, BIG) == [name]
    inbox.finish(key("d"))
    inbox.rewind(1)
    assert inbox.take_acks(2, BIG) == ["b", "c", "d"]
    inbox.confirm(2)
    inbox.rewind(2)
    assert not inbox.has_acks


def test_in_a_new_session_nothing_is_acknowledged_until_it_comes_again() -> None:
    inbox = Inbox(10)
    inbox.finish(key("a"))
    inbox.finish(key("b"))
    inbox.take_acks(1, 1)
    inbox.restart()
    assert not inbox.has_acks
    assert takes(inbox, "a") == ""
    assert inbox.take_acks(1, BIG) == ["a"]


def test_a_new_session_brings_messages_in_the_order_that_the_gateway_knows() -> None:
    """One that was started anew has kept `b` on its disk, and gets `a` a second time."""
    inbox = Inbox(10)
    assert takes(inbox, "a", "b", has_room=False) == ""
    inbox.restart()
    assert takes(inbox, "b", "a") == "ba"
