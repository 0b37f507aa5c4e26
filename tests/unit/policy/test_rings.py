"""Rings of bidders: feature 161."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from random import Random

import pytest

from policy import rings
from policy.rings import RingRule, RingWatch

RING = frozenset({"r0", "r1", "r2", "r3"})
POOL = [*sorted(RING), *(f"h{n}" for n in range(8))]


def watched(
    seed: int,
    ring: Iterable[str] = RING,
    rounds: int = 250,
    direction: str = "allocate",
    rule: RingRule | None = None,
) -> RingWatch:
    """Return a watch that saw rounds of five bidders; those of the ring take turns to win."""
    chance, watch, members = Random(seed), RingWatch(rule or RingRule()), frozenset(ring)
    for number in range(rounds):
        bidders = chance.sample(POOL, 4)
        met = sorted(members.intersection(bidders))
        bids = {agent: 20 * chance.lognormvariate(0, 0.2) for agent in bidders}
        for agent in met if len(met) > 1 else ():
            if agent != met[number % len(met)]:
                bids[agent] *= 0.4 if direction == "allocate" else 1 / 0.4
        watch.note(bids, 20.0, direction)
    return watch


@pytest.mark.parametrize("direction", ["allocate", "procure"])
def test_bidders_that_spare_each_other_are_found(direction: str) -> None:
    """Low bids where the highest wins, high ones where the lowest does."""
    assert watched(1, direction=direction).rings() == [RING]


def test_a_group_is_suspected_only_by_evidence_against_each_of_it() -> None:
    """Ties alone lead to a closer look, and to nothing else."""
    watch = watched(1, rule=RingRule(evidence=100.0))
    assert watch.ties()
    assert watch.rings() == []


def test_bidders_that_compete_are_not_suspected() -> None:
    assert [watched(seed, ring=()).rings() for seed in range(5)] == [[]] * 5


def test_bidders_that_are_poor_are_not_suspected_of_it() -> None:
    """Each is compared with itself, so who always bids low looks like who always bids high."""
    chance, watch = Random(2), RingWatch(RingRule())
    for _ in range(250):
        bids = {one: 20 * chance.lognormvariate(0, 0.2) for one in chance.sample(POOL, 4)}
        watch.note({one: bid * (0.2 if one in RING else 1) for one, bid in bids.items()}, 20, "x")
    assert watch.rings() == []


def test_two_that_met_too_seldom_are_not_judged() -> None:
    watch = RingWatch(RingRule(rounds=3))
    for _ in range(3):
        assert watch.evidence("a", {"b"}) == 0
        watch.note({"a": 1, "b": 1}, 10, "allocate")
    assert watch.evidence("a", {"b"}) == 0, "they were never apart"
    assert watch.evidence("a", {"nobody"}) == 0
    assert len(watch) == 3


def test_bids_without_any_spread_are_told_apart_all_the_same() -> None:
    watch = RingWatch(RingRule(rounds=2))
    for _ in range(2):
        watch.note({"a": 5, "b": 5}, 10, "allocate")
        watch.note({"a": 10, "c": 5}, 10, "allocate")
        watch.note({"b": 5}, 10, "allocate")
    assert watch.evidence("a", {"b"}) == inf
    assert watch.evidence("b", {"a"}) == 0
    assert list(watch.ties()) == [("a", "b")], "one of them is enough to look closer"
    assert watch.rings() == []


def test_two_are_no_ring_while_three_are_asked_for() -> None:
    """And of three that are tied, one whose bids show nothing is dropped with the rest."""
    assert watched(3, ring=("r0", "r1")).rings() == []
    watch = watched(3, ring=("r0", "r1"))
    assert ("r0", "r1") in watch.ties()
    assert watch._confirmed({"r0", "r1", "h1"}) == frozenset()


def test_a_watch_is_bounded_and_passes_over_what_it_cannot_compare(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rings, "BIDDERS_MAX", 2)
    watch = RingWatch(RingRule(rounds=1))
    watch.note({"x": 0, "a": 4, "b": -1, "c": 4, "d": 5}, 10, "allocate")
    watch.note({"a": 8, "d": 5}, 10, "allocate")
    assert watch.evidence("a", {"c"}) > 0
    assert watch.evidence("a", {"b"}) == 0 == watch.evidence("d", {"c"})
    copied = watch.copy()
    for _ in range(rings.ROUNDS_MAX):
        watch.note({"a": 1}, 10, "allocate")
    assert len(watch) == rings.ROUNDS_MAX
    assert len(copied) == 2, "a copy stays as it was"


def test_a_group_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rings, "MEMBERS_MAX", 3)
    found = watched(1, rounds=900).rings()
    assert found and all(len(ring) == 3 and ring < RING for ring in found)


def test_two_rings_in_one_market_are_both_found() -> None:
    chance, watch = Random(5), RingWatch(RingRule())
    both = [frozenset({"a0", "a1", "a2"}), frozenset({"b0", "b1", "b2"})]
    pool = [*both[0], *both[1], *(f"h{n}" for n in range(6))]
    for number in range(500):
        bids = {one: 20 * chance.lognormvariate(0, 0.2) for one in chance.sample(sorted(pool), 4)}
        for ring in both:
            met = sorted(ring.intersection(bids))
            for agent in met if len(met) > 1 else ():
                bids[agent] *= 1 if agent == met[number % len(met)] else 0.4
        watch.note(bids, 20.0, "allocate")
    assert set(watch.rings()) == set(both)
