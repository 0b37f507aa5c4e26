"""Which negotiations the page shows, and what it never shows of them."""

from __future__ import annotations

import msgspec
import pytest

from gateway.page import floor
from gateway.page.floor import FINISHED_MAX, PARTIES_MAX, SHOWN_MAX, Floor, Talk, floor_of
from llmx.v1.envelope_pb2 import Act
from tests.unit.gateway.page.scene import Scene


@pytest.fixture
def scene() -> Scene:
    return Scene()


def shown(scene: Scene) -> Floor:
    parts = scene.parts
    return floor_of(parts.negotiations, parts.members, parts.recorder.recent)


def only(scene: Scene) -> Talk:
    (talk,) = shown(scene).talks
    return talk


def parties(talk: Talk) -> dict[str, tuple[str, float | None]]:
    return {party.agent: (party.word, party.value) for party in talk.parties}


def test_nothing_is_shown_where_nothing_is_negotiated(scene: Scene) -> None:
    assert shown(scene) == Floor(open=0, known=0, talks=[])


def test_an_open_negotiation_is_shown_without_what_is_offered(scene: Scene) -> None:
    """An offer is sealed until the close, also for operators."""
    alice, bob, _ = scene.join("alice"), scene.join("bob"), scene.join("carol")
    negotiation = scene.call(alice, "bob", "carol")
    scene.offer(bob, negotiation, 40)
    talk = only(scene)
    assert (talk.id, talk.initiator, talk.tenant) == (negotiation, "agent://alice", "acme")
    assert (talk.protocol, talk.policy, talk.state) == ("contract-net", "flow/high@1", "open")
    assert (talk.eligible, talk.answered, talk.offers, talk.is_over) == (2, 1, 1, False)
    assert talk.due_at == scene.parts.now + 5 and talk.ended_at is None
    assert parties(talk) == {"agent://bob": ("offered", None), "agent://carol": ("called", None)}


def test_a_decided_negotiation_shows_its_offers_and_its_outcome(scene: Scene) -> None:
    alice, bob, carol = scene.join("alice"), scene.join("bob"), scene.join("carol")
    negotiation = scene.call(alice, "bob", "carol")
    scene.offer(bob, negotiation, 40)
    scene.parts.now += 2
    scene.offer(carol, negotiation, 35)
    talk = only(scene)
    assert (talk.state, talk.is_over, talk.closed_by) == ("committed", True, "quorum")
    assert talk.ended_at == talk.opened_at + 2 and talk.due_at is None
    assert parties(talk) == {"agent://carol": ("won", 35.0), "agent://bob": ("lost", 40.0)}
    assert talk.parties[0].agent == "agent://carol", "the winner comes first"


def test_what_loses_a_sealed_auction_stays_sealed(scene: Scene) -> None:
    alice, bob, carol = scene.join("alice"), scene.join("bob"), scene.join("carol")
    policy = {"profile": "flow/high", "select": "vickrey"}
    negotiation = scene.call(alice, "bob", "carol", policy=policy)
    scene.offer(bob, negotiation, 40)
    scene.offer(carol, negotiation, 35)
    assert parties(only(scene))["agent://bob"] == ("lost", None)


def test_no_words_of_agents_are_shown(scene: Scene) -> None:
    """Secrets stand in every field that agents write; none of them comes out."""
    alice, bob = scene.join("alice"), scene.join("bob")
    negotiation = scene.call(alice, "bob", task={"what": "SECRET-task"}, text="SECRET-call")
    scene.offer(bob, negotiation, 40, text="SECRET-offer", conditions={"c": "SECRET-condition"})
    other = scene.call(alice, "bob", task="SECRET-other")
    scene.send(bob, Act.ACT_REFUSE, other, reason="SECRET-refusal")
    cancelled = scene.call(alice, "bob")
    scene.send(alice, Act.ACT_CANCEL, cancelled, reason="SECRET-cancel")
    told = shown(scene)
    assert [talk.state for talk in told.talks].count("cancelled") == 1
    assert b"SECRET" not in msgspec.json.encode(told)


def test_the_reason_that_the_engine_gives_is_shown(scene: Scene) -> None:
    alice, bob = scene.join("alice"), scene.join("bob")
    negotiation = scene.call(alice, "bob")
    scene.send(bob, Act.ACT_REFUSE, negotiation, reason="too busy")
    talk = only(scene)
    assert (talk.state, talk.reason) == ("no_award", "no_offers")


def test_open_ones_come_first_and_the_newest_of_them(scene: Scene) -> None:
    alice, bob = scene.join("alice"), scene.join("bob")
    ids = []
    for number in range(SHOWN_MAX + 20):
        scene.parts.now += 0.25
        ids.append(scene.call(alice, "bob", reply_within=3000))
        if number % 2:
            scene.offer(bob, ids[-1], 40)
    told = shown(scene)
    assert len(told.talks) == SHOWN_MAX and told.known == len(ids)
    assert told.open == len(ids) // 2
    states = [talk.is_over for talk in told.talks]
    assert states == sorted(states) and states.count(True) == FINISHED_MAX
    assert [talk.id for talk in told.talks[:3]] == ids[-2:-8:-2]
    assert [talk.id for talk in told.talks if talk.is_over] == ids[:-24:-2]


def test_more_parties_than_can_be_shown_are_counted(scene: Scene) -> None:
    alice = scene.join("alice")
    names = [f"agent-{number:02}" for number in range(8)]
    members = [scene.join(name) for name in names]
    negotiation = scene.call(alice, *names)
    assert only(scene).parties_more == 8 - PARTIES_MAX
    scene.offer(members[-1], negotiation, 10)
    assert only(scene).parties[0].agent == "agent://agent-07", "who has answered comes first"


def test_parties_are_left_out_where_there_are_too_many(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a digest costs the same with 24 calls of 10,000 agents."""
    monkeypatch.setattr(floor, "PARTIES_LOOKED_AT_MAX", 3)
    alice, _, _ = scene.join("alice"), scene.join("bob"), scene.join("carol")
    for _ in range(2):
        scene.call(alice, "bob", "carol")
    first, second = shown(scene).talks
    assert len(first.parties) == 2 and first.parties_more == 0
    assert not second.parties and second.parties_more == 2 and second.eligible == 2


def test_only_the_newest_are_looked_at(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor, "SCANNED_MAX", 4)  # two in each shard
    alice, _ = scene.join("alice"), scene.join("bob")
    ids = [scene.call(alice, "bob") for _ in range(10)]
    told = shown(scene)
    assert {talk.id for talk in told.talks} == set(ids[-4:]) and told.open == 10
