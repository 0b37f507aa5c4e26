"""Snapshots on living links, and how a directory notices that something is missing."""

from __future__ import annotations

import pytest

from llmx.v1.peering_pb2 import DirectoryUpdate
from tests.support.homes import directory, hear, home, home_of, join, told

BOB = "agent://bob"


# ------------------------------------------------------------------------------ snapshots


def test_a_snapshot_on_a_living_link_changes_only_what_is_different() -> None:
    """Or each would interrupt everything that is under way."""
    known, one = directory(), home("g1", bytes_max=40)
    for name in ("a", "b", "c", "d"):
        one.put("acme", f"agent://{name}", generation=1)
    join(known, one)
    one.remove("acme", "agent://a")
    one.put("acme", "agent://b", generation=1, is_away=True)
    one.put("acme", "agent://e", generation=1)
    parts = [told(applied) for applied in join(known, one)]
    assert len(parts) > 2
    assert [name for part in parts for name in part[0]] == ["agent://e"]
    assert [name for part in parts for name in part[1]] == ["agent://b"]
    assert [part[2] for part in parts] == [[]] * (len(parts) - 1) + [["agent://a"]]
    assert known.digest_of("g1") == one.digest("eu")


def test_what_is_known_stays_until_a_snapshot_ends() -> None:
    known, one = directory(), home("g1")
    one.put("acme", BOB, generation=1)
    join(known, one)
    known.apply("g1", DirectoryUpdate(number=9, begins_snapshot=True))
    assert home_of(known, "acme", BOB) == "g1"
    known.apply("g1", DirectoryUpdate(number=9, ends_snapshot=True))
    assert home_of(known, "acme", BOB) is None


def test_a_snapshot_that_begins_anew_forgets_the_one_before() -> None:
    known, one = directory(), home("g1", bytes_max=40)
    for name in ("a", "b", "c", "d"):
        one.put("acme", f"agent://{name}", generation=1)
    one.drain()
    for update in one.snapshot("eu")[:-1]:
        known.apply("g1", update)
    assert join(known, one)[-1].wants_snapshot is False
    assert len(known) == 4 and known.homes()[0].is_complete


def test_changes_go_on_after_a_snapshot_without_a_gap() -> None:
    known, one = directory(), home("g1", bytes_max=40)
    for name in ("a", "b", "c"):
        one.put("acme", f"agent://{name}", generation=1)
    join(known, one)
    one.put("acme", BOB, generation=1)
    (applied,) = hear(known, one)
    assert told(applied) == ([BOB], [], []) and not applied.wants_snapshot
    assert known.digest_of("g1") == one.digest("eu")


def test_a_change_that_was_in_the_snapshot_too_does_no_harm() -> None:
    known, one = directory(), home("g1")
    one.put("acme", BOB, generation=1)
    (snapshot,) = one.snapshot("eu")
    assert told(known.apply("g1", snapshot)) == ([BOB], [], [])
    (applied,) = hear(known, one)
    assert told(applied) == ([], [], []) and not applied.wants_snapshot


def test_the_other_side_may_ask_for_a_snapshot() -> None:
    known = directory()
    applied = known.apply("g1", DirectoryUpdate(wants_snapshot=True))
    assert applied.owes_snapshot and not applied.wants_snapshot
    assert known.homes() == []


# ------------------------------------------------------------------------------ what is missing


def test_a_gap_is_noticed_and_a_snapshot_asked_for_once() -> None:
    known, one = directory(), home("g1")
    join(known, one)
    for number in range(4):
        one.put("acme", f"agent://{number}", generation=1)
        if number == 0:
            one.drain()  # which nobody hears
            continue
        (applied,) = hear(known, one)
        assert applied.wants_snapshot is (number == 1)
        assert told(applied)[0] == [f"agent://{number}"], "what comes is true all the same"
    assert not known.homes()[0].is_complete
    assert told(join(known, one)[0])[0] == ["agent://0"]
    assert known.homes()[0].is_complete


def test_another_digest_is_noticed_and_a_snapshot_asked_for_once() -> None:
    known, one = directory(), home("g1")
    one.put("acme", BOB, generation=1)
    join(known, one)
    for number in range(3):
        one.put("acme", f"agent://{number}", generation=1)
        (update,) = one.drain().near
        update.digest ^= 1
        assert known.apply("g1", update).wants_snapshot is (number == 0)


def test_the_loss_of_the_last_change_is_noticed_by_the_next_check() -> None:
    known, one = directory(), home("g1")
    join(known, one)
    assert not known.apply("g1", one.check("eu")).wants_snapshot
    one.put("acme", BOB, generation=1)
    one.drain()
    assert known.apply("g1", one.check("eu")).wants_snapshot
    join(known, one)
    assert not known.apply("g1", one.check("eu")).wants_snapshot


def test_a_check_asks_again_while_nothing_came() -> None:
    """The question may have found no room on the link, or the answer may."""
    known, one = directory(), home("g1")
    join(known, one)
    one.put("acme", BOB, generation=1)
    one.drain()
    assert [known.apply("g1", one.check("eu")).wants_snapshot for _ in range(3)] == [True] * 3


def test_a_gap_of_groups_alone_is_not_healed_by_a_digest_that_knows_nothing_of_groups() -> None:
    known, one = directory(), home("g1")
    join(known, one)
    one.commons.put_group("acme", "drivers", "agent://alice", [BOB], now=1)
    one.drain()  # which nobody hears
    assert known.apply("g1", one.check("eu")).wants_snapshot
    one.put("acme", BOB, generation=1)
    assert not hear(known, one)[0].wants_snapshot, "it was asked for"
    assert known.apply("g1", one.check("eu")).wants_snapshot
    assert [group.group_id for group in join(known, one)[0].groups] == ["drivers"]


@pytest.mark.parametrize("lost", ["the first part", "a middle part", "the last part"])
def test_a_snapshot_that_lost_a_part_is_asked_for_again_by_the_next_check(lost: str) -> None:
    known, one = directory(), home("g1", bytes_max=40)
    join(known, one)
    for name in ("a", "b", "c", "d"):
        one.put("acme", f"agent://{name}", generation=1)
    one.drain()
    parts = one.snapshot("eu")
    del parts[{"the first part": 0, "a middle part": 1, "the last part": -1}[lost]]
    for part in parts:
        known.apply("g1", part)
    assert known.apply("g1", one.check("eu")).wants_snapshot
    join(known, one)
    assert not known.apply("g1", one.check("eu")).wants_snapshot
    assert len(known) == 4


def test_a_digest_that_never_fits_costs_one_snapshot_a_check_and_no_more() -> None:
    """A mistake of ours, or of the other version during an upgrade, must not fill the links."""
    known, one = directory(), home("g1")

    def wants(update: DirectoryUpdate) -> bool:
        update.digest ^= 1
        return known.apply("g1", update).wants_snapshot

    one.put("acme", BOB, generation=1)
    one.drain()
    for turn in range(3):
        (snapshot,) = one.snapshot("eu")
        assert not wants(snapshot)
        one.put("acme", BOB, generation=turn + 2)
        (change,) = one.drain().near
        assert not wants(change)
        assert wants(one.check("eu"))
    assert home_of(known, "acme", BOB) == "g1"


def test_a_change_of_a_home_that_told_no_snapshot_is_heard_and_the_rest_asked_for() -> None:
    known, one = directory(), home("g1")
    one.put("acme", BOB, generation=1)
    (applied,) = hear(known, one)
    assert told(applied) == ([BOB], [], []) and applied.wants_snapshot


def test_a_check_of_a_home_that_told_no_snapshot_asks_for_one() -> None:
    assert directory().apply("g1", home("g1").check("eu")).wants_snapshot


def test_a_change_that_is_older_than_what_is_known_is_not_believed() -> None:
    known, one = directory(), home("g1")
    join(known, one)
    one.put("acme", BOB, generation=1, topics=["old"])
    (old,) = one.drain().near
    one.put("acme", BOB, generation=1, topics=["new"])
    join(known, one)
    for _ in range(2):
        applied = known.apply("g1", old)
        assert told(applied) == ([], [], [])
    assert applied.wants_snapshot is False, "it was asked for the first time"
    entry = known.entry("acme", BOB)
    assert entry is not None and entry.topics == {"new"}
