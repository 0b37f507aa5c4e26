"""What a gateway tells of its agents."""

from __future__ import annotations

from federation.announcer import Announcer, Changes
from federation.commons import Commons
from federation.entries import EMPTY_DIGEST, AgentConsent
from federation.regional_topics import RegionalTopics
from llmx.v1.peering_pb2 import DirectoryUpdate

REGIONAL = RegionalTopics(["local/*"])


def announcer(regional: RegionalTopics | None = None, bytes_max: int = 4_096) -> Announcer:
    return Announcer("gateway-1", "eu", Commons("gateway-1"), regional, bytes_max)


def names(updates: list[DirectoryUpdate]) -> list[str]:
    return [entry.agent_id for update in updates for entry in update.put]


def test_what_came_changed_and_left_is_told_once() -> None:
    home = announcer()
    assert home.put("acme", "agent://bob", generation=1, topics=["work"])
    assert home.put("acme", "agent://carol", generation=2, is_away=True)
    (update,) = home.drain().near
    assert names([update]) == ["agent://bob", "agent://carol"]
    assert (update.put[0].topics, update.put[1].is_away) == (["work"], True)
    assert (update.put[0].generation, update.put[1].generation) == (1, 2)
    assert not home.drain()
    assert home.put("acme", "agent://bob", generation=1, topics=["play"])
    assert home.remove("acme", "agent://carol")
    (update,) = home.drain().near
    assert names([update]) == ["agent://bob"]
    assert [key.agent_id for key in update.removed] == ["agent://carol"]


def test_what_is_told_already_is_not_told_again() -> None:
    home = announcer()
    consent = AgentConsent("c1", "*", expires_at=1.23456)
    home.put("acme", "agent://bob", generation=1, topics=["work"], consents=[consent])
    home.drain()
    assert not home.put("acme", "agent://bob", generation=1, topics=["work"], consents=[consent])
    assert not home.remove("acme", "agent://carol")
    assert not home.has_due and not home.drain()


def test_updates_are_numbered_without_a_gap_and_only_the_last_of_a_turn_bears_the_digest() -> None:
    home = announcer(bytes_max=100)
    for number in range(9):
        home.put("acme", f"agent://bob-{number}", generation=1, topics=["a-topic"])
    updates = home.drain().near
    assert [update.number for update in updates] == list(range(1, len(updates) + 1))
    assert len(updates) > 2
    assert {update.digest for update in updates[:-1]} == {0}
    assert updates[-1].digest == home.digest("eu") != EMPTY_DIGEST
    home.put("acme", "agent://bob-0", generation=2)
    assert home.drain().near[0].number == len(updates) + 1


def test_no_update_is_larger_than_allowed_unless_one_entry_is() -> None:
    home = announcer(bytes_max=300)
    for number in range(40):
        home.put("acme", f"agent://bob-{number}", generation=1, topics=["a-topic"])
    home.put("acme", "agent://carol", generation=1, topics=["t" * 1_000])
    updates = home.drain().near
    sizes = [update.ByteSize() for update in updates]
    assert sorted(sizes)[-2] <= 300 < sizes[-1]
    assert names(updates[-1:]) == ["agent://carol"]
    assert [names([one]) for one in home.snapshot("eu")] == [names([one]) for one in updates]


def test_a_snapshot_says_everything_under_the_number_of_the_last_change() -> None:
    home = announcer(bytes_max=100)
    for number in range(9):
        home.put("acme", f"agent://bob-{number}", generation=1)
    last = home.drain().near[-1].number
    home.remove("acme", "agent://bob-3")
    home.drain()
    updates = home.snapshot("eu")
    assert {update.number for update in updates} == {last + 1}
    assert [update.begins_snapshot for update in updates] == [True] + [False] * (len(updates) - 1)
    assert [update.ends_snapshot for update in updates] == [False] * (len(updates) - 1) + [True]
    assert [update.digest for update in updates[:-1]] == [0] * (len(updates) - 1)
    assert updates[-1].digest == home.digest("eu")
    assert names(updates) == [f"agent://bob-{number}" for number in range(9) if number != 3]


def test_a_snapshot_of_nothing_is_one_update() -> None:
    (update,) = announcer().snapshot("us")
    assert update == DirectoryUpdate(begins_snapshot=True, ends_snapshot=True, digest=EMPTY_DIGEST)


def test_a_snapshot_holds_what_is_still_to_be_told_which_is_told_all_the_same() -> None:
    """The others have not heard it."""
    home = announcer()
    home.put("acme", "agent://bob", generation=1)
    assert names(home.snapshot("eu")) == ["agent://bob"]
    assert names(home.drain().near) == ["agent://bob"]


def test_only_gateways_of_the_region_hear_who_listens_to_a_regional_topic() -> None:
    home = announcer(REGIONAL)
    home.put("acme", "agent://bob", generation=1, topics=["local/food", "world"])
    changes = home.drain()
    assert changes.near[0].put[0].topics == ["local/food", "world"]
    assert changes.far[0].put[0].topics == ["world"]
    assert home.snapshot("eu")[0].put[0].topics == ["local/food", "world"]
    assert home.snapshot("us")[0].put[0].topics == ["world"]
    assert home.digest("eu") != home.digest("us") == changes.far[0].digest


def test_a_change_that_is_regional_does_not_leave_the_region() -> None:
    home = announcer(REGIONAL)
    home.put("acme", "agent://bob", generation=1, topics=["local/food", "world"])
    home.drain()
    home.put("acme", "agent://bob", generation=1, topics=["local/music", "world"])
    changes = home.drain()
    assert [update.number for update in changes.near] == [2]
    assert changes.far == []
    assert home.check("us").number == 1


def test_an_agent_with_regional_topics_alone_is_told_everywhere() -> None:
    """It can be sent to directly."""
    home = announcer(REGIONAL)
    home.put("acme", "agent://bob", generation=1, topics=["local/food"])
    assert names(home.drain().far) == ["agent://bob"]


def test_without_regional_topics_everybody_is_told_the_same() -> None:
    home = announcer()
    home.put("acme", "agent://bob", generation=1, topics=["local/food"])
    changes = home.drain()
    assert changes.far is changes.near
    assert home.digest("eu") == home.digest("us")


def test_groups_and_schemas_are_told_to_all_in_changes_and_in_snapshots() -> None:
    commons = Commons("gateway-1")
    home = Announcer("gateway-1", "eu", commons, REGIONAL)
    commons.put_group("acme", "drivers", "agent://alice", ["agent://bob"], now=7)
    commons.put_schema("acme", b'{"type": "object"}')
    assert home.has_due
    changes = home.drain()
    for (update,) in (changes.near, changes.far, home.snapshot("eu"), home.snapshot("us")):
        (group,) = update.groups
        assert (group.tenant, group.group_id, group.owner) == ("acme", "drivers", "agent://alice")
        assert (group.members, group.put_at) == (["agent://bob"], 7)
        assert [one.schema for one in update.schemas] == [b'{"type": "object"}']
    assert not home.has_due


def test_a_check_repeats_number_and_digest() -> None:
    home = announcer()
    home.put("acme", "agent://bob", generation=1)
    (update,) = home.drain().near
    assert home.check("us") == DirectoryUpdate(number=1, digest=update.digest)


def test_a_check_bears_no_digest_while_a_change_is_still_to_be_told() -> None:
    """Who heard it in a snapshot knows more than who did not, and both are right."""
    home = announcer()
    home.put("acme", "agent://bob", generation=1)
    home.drain()
    home.put("acme", "agent://carol", generation=1)
    assert home.check("us") == DirectoryUpdate(number=1)


def test_an_agent_that_came_and_left_between_two_turns_leaves_no_trace_in_the_digest() -> None:
    home = announcer()
    home.put("acme", "agent://bob", generation=1)
    home.remove("acme", "agent://bob")
    (update,) = home.drain().near
    assert update.put == [] and update.digest == EMPTY_DIGEST


def test_an_announcer_knows_and_tells_its_state() -> None:
    home = announcer()
    home.put("acme", "agent://bob", generation=1, topics=["work"])
    entry = home.entry("acme", "agent://bob")
    assert entry is not None and entry.topics == {"work"} and entry.home == "gateway-1"
    assert home.entry("acme", "agent://carol") is None
    assert len(home) == 1
    assert repr(home) == "<Announcer of gateway-1: 1 agents, 1 changes to tell after number 0>"
    assert not Changes([], [])
