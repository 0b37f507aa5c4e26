"""Rings: bidders that bid worse for the caller when they meet each other.

What is compared is each bidder with itself. In probed rounds every bid is put in relation to the
price level that the probe was drawn from; so dear and cheap goods look alike, and so do rich and
poor bidders, for each is compared with itself only. Two agents that compete bid the same whoever
else is there. Those of a ring bid lower ("allocate"; higher where the lowest wins) when another
of them is there, except the one whose turn it is to win.

The watch keeps the last probed rounds and looks at them when it is asked, in three steps:

- two agents are *tied* when they bid worse with each other than without, both together by `tie`
  standard errors (the sum of two of Welch's t by √2);
- from the strongest ties a group grows by whoever is tied to one of it, as long as its members
  together bid worse among each other by more standard errors than before (the sum by √n);
- a group is a *ring* when each of it bids worse with any of the others than with none of them, by
  `evidence` standard errors. Who does not is dropped, and the rest is looked at again.

What comes out is a suspicion for an operator to look at; nothing is decided by it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Set
from math import inf, log, sqrt

import msgspec

BIDDERS_MAX = 32
"""Bidders of one round that are compared; of more the first."""
ROUNDS_MAX = 1_000
"""Probed rounds that a watch remembers."""
SEEDS_MAX = 16
"""Ties that one look follows, the strongest first."""
MEMBERS_MAX = 16
"""The largest group that one look grows."""


class RingRule(msgspec.Struct, frozen=True, gc=False):
    """When bidders are suspected."""

    tie: float = 2.0
    """Standard errors that make two worth a closer look; above 0."""
    evidence: float = 4.0
    """Standard errors by which each of a ring has to bid worse among its own; above 0."""
    rounds: int = 6
    """Rounds that an agent must have bid in, both with and without the others."""
    members: int = 3
    """The smallest ring, 2 or more."""


class _Sums:
    __slots__ = ("count", "squares", "total")

    def __init__(self) -> None:
        self.count, self.total, self.squares = 0, 0.0, 0.0

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.squares += value * value

    def without(self, part: _Sums) -> _Sums:
        rest = _Sums()
        rest.count = self.count - part.count
        rest.total = self.total - part.total
        rest.squares = self.squares - part.squares
        return rest


class RingWatch:
    """Looks for rings among the bidders of one market."""

    __slots__ = ("_rounds", "_rule")

    def __init__(self, rule: RingRule) -> None:
        """Start with nobody suspected."""
        self._rule = rule
        self._rounds: deque[dict[str, float]] = deque(maxlen=ROUNDS_MAX)

    def __len__(self) -> int:
        """Return how many rounds are remembered."""
        return len(self._rounds)

    def note(self, bids: Mapping[str, float], level: float, direction: str) -> None:
        """Remember the bids of a probed round, with the price level at that time, above 0.

        Bids of 0 or less cannot be compared and are passed over.
        """
        sign = 1.0 if direction == "allocate" else -1.0
        known = {agent: sign * log(bid / level) for agent, bid in bids.items() if bid > 0}
        self._rounds.append(dict(list(known.items())[:BIDDERS_MAX]))

    def copy(self) -> RingWatch:
        """Return a watch that remembers the same, to be asked elsewhere."""
        copied = RingWatch(self._rule)
        copied._rounds.extend(self._rounds)
        return copied

    def evidence(self, agent: str, others: Set[str]) -> float:
        """Return by how many standard errors an agent bids worse when any of `others` is there."""
        among, apart = _Sums(), _Sums()
        for bids in self._rounds:
            if agent in bids:
                (apart if others.isdisjoint(bids) else among).add(bids[agent])
        return _evidence(among, apart, self._rule.rounds)

    def ties(self) -> dict[tuple[str, str], float]:
        """Return the pairs that are worth a closer look, the strongest first, each once."""
        everything: dict[str, _Sums] = {}
        met: dict[tuple[str, str], _Sums] = {}
        for bids in self._rounds:
            for agent, goodness in bids.items():
                everything.setdefault(agent, _Sums()).add(goodness)
                for other in bids:
                    if other != agent:
                        met.setdefault((agent, other), _Sums()).add(goodness)
        worse = {
            (agent, other): _evidence(among, everything[agent].without(among), self._rule.rounds)
            for (agent, other), among in met.items()
        }
        both = {
            (agent, other): (evidence + worse[other, agent]) / sqrt(2)
            for (agent, other), evidence in worse.items()
            if agent < other
        }
        tied = [pair for pair in both if both[pair] >= self._rule.tie]
        return {pair: both[pair] for pair in sorted(tied, key=lambda pair: (-both[pair], pair))}

    def rings(self) -> list[frozenset[str]]:
        """Return the groups that are suspected, those of the strongest ties first."""
        ties = self.ties()
        neighbours: dict[str, set[str]] = {}
        for agent, other in ties:
            neighbours.setdefault(agent, set()).add(other)
            neighbours.setdefault(other, set()).add(agent)
        found: list[frozenset[str]] = []
        for pair in list(ties)[:SEEDS_MAX]:
            if not any(ring.intersection(pair) for ring in found):
                ring = self._confirmed(self._grown(set(pair), neighbours))
                if ring:
                    found.append(ring)
        return found

    def _grown(self, group: set[str], neighbours: Mapping[str, Set[str]]) -> set[str]:
        """Return the group with everybody whose company makes it look worse."""
        weight = self._weight(group)
        while len(group) < MEMBERS_MAX:
            edge = sorted(set().union(*(neighbours[agent] for agent in group)) - group)
            weights = {agent: self._weight(group | {agent}) for agent in edge}
            best = max(weights, key=weights.__getitem__, default="")
            if not best or weights[best] <= weight:
                break
            group, weight = group | {best}, weights[best]
        return group

    def _weight(self, group: set[str]) -> float:
        return sum(self.evidence(agent, group - {agent}) for agent in group) / sqrt(len(group))

    def _confirmed(self, suspects: Iterable[str]) -> frozenset[str]:
        """Return those that bid worse among each other, or nobody."""
        ring = set(suspects)
        while len(ring) >= self._rule.members:
            found = {agent: self.evidence(agent, ring - {agent}) for agent in sorted(ring)}
            weakest = min(found, key=found.__getitem__)
            if found[weakest] >= self._rule.evidence:
                return frozenset(ring)
            ring.discard(weakest)
        return frozenset()


def _evidence(among: _Sums, apart: _Sums, rounds: int) -> float:
    """Return Welch's t of two samples, 0 while one of them is too small."""
    if min(among.count, apart.count) < rounds:
        return 0.0
    difference = apart.total / apart.count - among.total / among.count
    error = sqrt(_variance_of_mean(among) + _variance_of_mean(apart))
    if error <= 1e-9:
        return inf if difference > 1e-9 else 0.0
    return difference / error


def _variance_of_mean(sums: _Sums) -> float:
    mean = sums.total / sums.count
    return max(0.0, sums.squares / sums.count - mean * mean) / max(1, sums.count - 1)
