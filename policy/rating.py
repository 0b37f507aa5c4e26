"""Credit ratings: what the word of an agent was worth so far (negotiation.md §7).

An agent claims a value before an award, and the work realises one. The rating moves towards
the part of the claim that came true:

    R' = (1 - λ)·R + λ·min(1, realised / claimed), and never falls below a floor

A claim counts times the rating, a price that is asked for counts divided by it (`weighed`). So
who inflates its claims soon gains nothing by it, and who becomes honest is believed again after
a while: nobody is banned. To claim too little earns nothing either; that is why the ratio stops
at 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite

import msgspec

AGENTS_MAX = 100_000
"""Ratings that one book keeps; of more, who was rated longest ago is forgotten."""


@dataclass(frozen=True, slots=True)
class RatingRule:
    """How fast a rating follows what is realised."""

    weight: float = 0.1
    """λ, the weight of the newest task; above 0, at most 1."""
    floor: float = 0.05
    """The lowest rating; above 0, at most 1, so that the way back is never closed."""
    start: float = 1.0
    """The rating of somebody who is not known; `floor` to 1."""

    def __post_init__(self) -> None:
        assert 0 < self.weight <= 1 and 0 < self.floor <= self.start <= 1, "settings check this"


class Rating(msgspec.Struct, frozen=True, gc=False):
    """What the word of one agent is worth."""

    rating: float
    """`floor` to 1."""
    tasks: int
    """How many tasks were rated."""
    claimed: float
    """The sum of what was claimed, in units of value."""
    realised: float
    """The sum of what came true."""


def rated(before: Rating, claimed: float, realised: float, rule: RatingRule) -> Rating:
    """Return the rating after a task; a claim of 0 or less says nothing and changes nothing."""
    if claimed <= 0 or not (isfinite(claimed) and isfinite(realised)):
        return before
    kept = min(1.0, max(0.0, realised) / claimed)
    moved = (1 - rule.weight) * before.rating + rule.weight * kept
    return Rating(
        min(1.0, max(rule.floor, moved)),
        before.tasks + 1,
        before.claimed + claimed,
        before.realised + max(0.0, realised),
    )


def weighed(value: float, rating: float, direction: str) -> float:
    """Return what a bid counts in a ranking; what is paid stays the bid.

    Where the highest wins ("allocate") it counts times the rating, where the lowest does
    ("procure") divided by it. A bid below 0 is weighed the other way, so that a low rating never
    helps.
    """
    higher_wins = direction == "allocate"
    return value * rating if higher_wins == (value >= 0) else value / rating


class Ratings:
    """The ratings of many agents."""

    __slots__ = ("_agents_max", "_by_agent", "_new", "rule")

    def __init__(self, rule: RatingRule, agents_max: int = AGENTS_MAX) -> None:
        """Start with nobody known."""
        self.rule = rule
        self._agents_max = agents_max
        self._by_agent: dict[str, Rating] = {}
        self._new = Rating(rule.start, 0, 0.0, 0.0)

    def __len__(self) -> int:
        """Return how many agents are known."""
        return len(self._by_agent)

    def note(self, agent: str, claimed: float, realised: float) -> Rating:
        """Rate a task of an agent and return its rating."""
        before = self.of(agent)
        after = rated(before, claimed, realised, self.rule)
        if after is not before:
            self.know(agent, after)
        return after

    def know(self, agent: str, rating: Rating) -> None:
        """Take what another gateway, or an earlier life of this one, knows of an agent."""
        self._by_agent.pop(agent, None)  # the newest is last
        self._by_agent[agent] = rating
        if len(self._by_agent) > self._agents_max:
            del self._by_agent[next(iter(self._by_agent))]

    def of(self, agent: str) -> Rating:
        """Return the rating of an agent; who is not known has the rating that all start with."""
        return self._by_agent.get(agent, self._new)

    def of_all(self, agents: Iterable[str]) -> dict[str, float]:
        """Return the ratings of those of `agents` that have less than the best."""
        found = ((agent, self.of(agent).rating) for agent in agents)
        return {agent: rating for agent, rating in found if rating < 1}

    def known(self) -> Mapping[str, Rating]:
        """Return everybody who was rated, a copy."""
        return dict(self._by_agent)
