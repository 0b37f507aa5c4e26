"""Where the agents of other gateways are: what is heard, and what follows."""

from __future__ import annotations

from itertools import permutations

from federation.announcer import Announcer
from federation.commons import Commons
from federation.directory import Directory, HomeState
from federation.entries import EMPTY_DIGEST
from federation.regional_topics import RegionalTopics
from tests.support.homes import directory, hear, home, home_of, homes_of, join, told

BOB = "agent://bob"


# ------------------------------------------------------------------------------ what changes


def test_agents_appear_change_and_vanish() -> None:
    known, one = directory(), home("g1")
    join(known, one)
    one.put("acme", BOB, generation=1, topics=["work"])
    (applied,) = hear(known, one)
    assert told(applied) == ([BOB], [], [])
    assert applied.appeared[0].topics == {"work"} and applied.appeared[0].home == "g1"
    one.put("acme", BOB, generation=1, topics=["play"])
    (applied,) = hear(known, one)
    assert told(applied) == ([], [BOB], []) and applied.changed[0].topics == {"play"}
    one.remove("acme", BOB)
    (applied,) = hear(known, one)
    assert told(applied) == ([], [], [BOB]) and applied.vanished[0].topics == {"play"}
    assert home_of(known, "acme", BOB) is None and len(known) == 0


def test_tenants_see_nothing_of_each_other() -> None:
    known, one = directory(), home("g1")
    one.put("acme", BOB, generation=1)
    join(known, one)
    assert home_of(known, "acme", BOB) == "g1"
    assert home_of(known, "other", BOB) is None


def test_what_is_told_again_changes_nothing() -> None:
    known, one = directory(), home("g1")
    one.put("acme", BOB, generation=1, topics=["work"])
    join(known, one)
    (applied,) = join(known, one)
    assert told(applied) == ([], [], [])


def test_who_is_removed_and_was_not_known_changes_nothing() -> None:
    known, one = directory(), home("g1")
    join(known, one)
    one.put("acme", BOB, generation=1)
    one.remove("acme", BOB)
    (applied,) = hear(known, one)
    assert told(applied) == ([], [], []) and not applied.wants_snapshot


# ------------------------------------------------------------------------------ two homes


def test_of_two_homes_the_same_one_counts_in_whatever_order_they_are_heard() -> None:
    for generations, winner in (((1, 1, 1), "g3"), ((1, 2, 1), "g2"), ((2, 1, 2), "g3")):
        for order in permutations(range(3)):
            known = directory()
            for index in order:
                one = home(f"g{index + 1}")
                one.put("acme", BOB, generation=generations[index])
                join(known, one)
            assert home_of(known, "acme", BOB) == winner
            assert len(known) == 1


def test_an_agent_that_moved_has_its_new_home_before_the_old_one_takes_its_word_back() -> None:
    known, old, new = directory(), home("g2"), home("g1")
    old.put("acme", BOB, generation=1)
    join(known, old)
    join(known, new)
    new.put("acme", BOB, generation=2)
    (applied,) = hear(known, new)
    assert told(applied) == ([], [BOB], []) and homes_of(applied.changed) == ["g1"]
    old.remove("acme", BOB)
    (applied,) = hear(known, old)
    assert told(applied) == ([], [], []) and home_of(known, "acme", BOB) == "g1"


def test_an_agent_that_moved_has_its_new_home_though_the_old_one_took_its_word_back_first() -> None:
    known, old, new = directory(), home("g2"), home("g1")
    old.put("acme", BOB, generation=1)
    join(known, old)
    join(known, new)
    old.remove("acme", BOB)
    assert told(hear(known, old)[0]) == ([], [], [BOB])
    new.put("acme", BOB, generation=2)
    assert told(hear(known, new)[0]) == ([BOB], [], [])


def test_a_lower_home_is_heard_in_silence_and_counts_when_the_higher_one_takes_its_word_back() -> (
    None
):
    known, high, low = directory(), home("g2"), home("g1")
    high.put("acme", BOB, generation=2)
    join(known, high)
    low.put("acme", BOB, generation=1, topics=["work"])
    (applied,) = join(known, low)
    assert told(applied) == ([], [], []) and home_of(known, "acme", BOB) == "g2"
    low.put("acme", BOB, generation=1, topics=["play"])
    assert told(hear(known, low)[0]) == ([], [], [])
    high.remove("acme", BOB)
    (applied,) = hear(known, high)
    assert told(applied) == ([], [BOB], [])
    assert applied.changed == [known.entry("acme", BOB)]
    assert applied.changed[0].home == "g1" and applied.changed[0].topics == {"play"}


def test_a_lower_home_counts_when_the_higher_one_is_gone() -> None:
    known, high, middle, low = directory(), home("g3"), home("g2"), home("g1")
    for one in (high, middle, low):
        one.put("acme", BOB, generation=1)
        join(known, one)
    applied = known.forget("g3")
    assert told(applied) == ([], [BOB], []) and homes_of(applied.changed) == ["g2"]
    assert told(known.forget("g1")) == ([], [], [])
    assert told(known.forget("g2")) == ([], [], [BOB])


def test_a_home_that_lowers_its_own_rank_gives_way() -> None:
    """It restarted without its memory, for instance, and the agent has come back to it."""
    known, one, other = directory(), home("g1"), home("g2")
    one.put("acme", BOB, generation=5)
    other.put("acme", BOB, generation=3)
    join(known, one)
    join(known, other)
    one.put("acme", BOB, generation=1)
    (applied,) = hear(known, one)
    assert told(applied) == ([], [BOB], []) and homes_of(applied.changed) == ["g2"]
    one.put("acme", BOB, generation=4)
    (applied,) = hear(known, one)
    assert homes_of(applied.changed) == ["g1"]


def test_a_home_that_lowers_its_own_rank_and_is_the_only_one_keeps_the_agent() -> None:
    known, one = directory(), home("g1")
    one.put("acme", BOB, generation=5)
    join(known, one)
    one.put("acme", BOB, generation=1)
    (applied,) = hear(known, one)
    assert told(applied) == ([], [BOB], []) and applied.changed[0].generation == 1


def test_forgetting_a_home_makes_only_its_agents_vanish() -> None:
    known, one, other = directory(), home("g1"), home("g2")
    for number in range(3):
        one.put("acme", f"agent://one-{number}", generation=1)
    other.put("acme", "agent://other", generation=1)
    join(known, one)
    join(known, other)
    assert told(known.forget("g1"))[2] == [f"agent://one-{number}" for number in range(3)]
    assert told(known.forget("g1")) == ([], [], [])
    assert [entry.agent_id for entry in known.entries()] == ["agent://other"]
    assert known.digest_of("g1") == EMPTY_DIGEST


# ------------------------------------------------------------------------------ the rest


def test_groups_and_schemas_are_handed_through_when_they_are_news() -> None:
    known, one, other = directory(), home("g1"), home("g2")
    group = one.commons.put_group("acme", "drivers", "agent://alice", [BOB], now=5)
    one.commons.put_schema("acme", b"{}")
    (applied,) = join(known, one)
    assert applied.groups == [group]
    assert [schema.schema for schema in applied.schemas] == [b"{}"]
    other.commons.put_group("acme", "drivers", "agent://alice", ["agent://carol"], now=4)
    other.commons.put_schema("acme", b"{}")
    (applied,) = join(known, other)
    assert applied.groups == [] == applied.schemas


def test_groups_of_a_gateway_that_is_gone_are_told_from_here() -> None:
    commons = Commons("here")
    known, one = Directory(commons), home("g1")
    group = one.commons.put_group("acme", "drivers", "agent://alice", [BOB], now=5)
    join(known, one)
    known.forget("g1")
    assert commons.drain() == ([group], [])


def test_the_digest_is_that_of_the_version_which_the_region_hears() -> None:
    one = Announcer("g1", "eu", Commons("g1"), RegionalTopics(["local/*"]))
    one.put("acme", BOB, generation=1, topics=["local/food"])
    for region in ("eu", "us"):
        known = directory()
        for update in one.snapshot(region):
            assert not known.apply("g1", update).wants_snapshot
        assert known.digest_of("g1") == one.digest(region)


def test_an_agent_that_changes_keeps_one_copy_of_its_address() -> None:
    known, one = directory(), home("g1")
    one.put("acme", BOB, generation=1)
    first = join(known, one)[0].appeared[0].agent_id
    one.put("acme", BOB, generation=2)
    assert hear(known, one)[0].changed[0].agent_id is first


def test_a_directory_tells_its_state() -> None:
    known, one = directory(), home("g1")
    one.put("acme", BOB, generation=1)
    one.drain()
    one.put("acme", "agent://carol", generation=1)
    join(known, one)
    assert known.homes() == [HomeState("g1", 2, 2, is_complete=True)]
    assert repr(known) == "<Directory: 2 agents of 1 gateways>"
