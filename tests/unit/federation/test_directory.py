"""Where the agents of other gateways are: what is heard, and what follows."""

from __future__ import annotations

from itertools import permutations

import pytest

from federation.announcer import Announcer
from federation.commons import Commons
from federation.directory import Applied, Directory, HomeState
from federation.entries import EMPTY_DIGEST, AgentAt
from federation.regional_topics import RegionalTopics
from llmx.v1.peering_pb2 import DirectoryUpdate

BOB = "agent://bob"


def home(name: str, bytes_max: int = 4_096) -> Announcer:
    return Announcer(name, "eu", Commons(name), update_bytes_max=bytes_max)


def directory() -> Directory:
    return Directory(Commons("here"))


def told(applied: Applied) -> tuple[list[str], list[str], list[str]]:
    """Return who appeared, changed and vanished."""
    return (
        [entry.agent_id for entry in applied.appeared],
        [entry.agent_id for entry in applied.changed],
        [entry.agent_id for entry in applied.vanished],
    )


def homes_of(entries: list[AgentAt]) -> list[str]:
    return [entry.home for entry in entries]


def hear(known: Directory, announcer: Announcer) -> list[Applied]:
    """Let the directory hear all that is to be told."""
    return [known.apply(announcer.gateway_id, update) for update in announcer.drain().near]


def join(known: Directory, announcer: Announcer) -> list[Applied]:
    """Let the directory hear everything, as on a new link."""
    announcer.drain()
    return [known.apply(announcer.gateway_id, update) for update in announcer.snapshot("eu")]


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
    assert known.home_of("acme", BOB) is None and len(known) == 0


def test_tenants_see_nothing_of_each_other() -> None:
    known, one = directory(), home("g1")
    one.put("acme", BOB, generation=1)
    join(known, one)
    assert known.home_of("acme", BOB) == "g1"
    assert known.home_of("other", BOB) is None


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
            assert known.home_of("acme", BOB) == winner
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
    assert told(applied) == ([], [], []) and known.home_of("acme", BOB) == "g1"


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
    assert told(applied) == ([], [], []) and known.home_of("acme", BOB) == "g2"
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
    assert known.home_of("acme", BOB) == "g1"
    known.apply("g1", DirectoryUpdate(number=9, ends_snapshot=True))
    assert known.home_of("acme", BOB) is None


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
    assert known.home_of("acme", BOB) == "g1"


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
