"""Two bargains that are too simple to be wrong: they predict, and never look at the real ones.

The words are those of `tests.support.bargains` without turns. `OffersModel` is alternating
offers, `ConcessionModel` monotonic concession over one price that alice wants low and bob high.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction

INFINITE = float("inf")
OTHER = {"alice": "bob", "bob": "alice"}


@dataclass
class Proposal:
    by: str
    price: float
    msg_id: str
    until: float = INFINITE


@dataclass
class Common:
    """What both games keep."""

    max_rounds: int
    turn_within: float
    repeats: bool
    deadline: float = 10.0
    phase: str = "open"
    round: int = 1
    since: float = 0.0
    due: float = 0.0
    movers: list[str] = field(default_factory=list)
    heard: set[str] = field(default_factory=set)
    asides: dict[str, int] = field(default_factory=dict)
    last: dict[str, Proposal] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.due = self._turn_ends(0.0)

    @property
    def is_over(self) -> bool:
        return self.phase != "open"

    def _turn_ends(self, now: float) -> float:
        return min(self.deadline, now + self.turn_within)

    def _over(self, phase: str, how: str) -> list[str]:
        self.phase, self.movers = phase, []
        return [f"outcome to {name}: {phase}, {how}" for name in ("alice", "bob")]

    def _refused(self, name: str, msg_id: str) -> list[str] | None:
        """Return what any act is answered by that cannot count, whatever it is."""
        if msg_id in self.heard:
            return []
        if self.is_over:
            return [f"refuse {name} WRONG_STATE"]
        if name not in self.movers:
            return [f"refuse {name} NOT_YOUR_TURN"]
        return None

    def cancel(self, msg_id: str) -> list[str]:
        if msg_id in self.heard:
            return []
        if self.is_over:
            return ["refuse alice WRONG_STATE"]
        self.heard.add(msg_id)
        return ["relay to bob", *self._over("cancelled", "end (cancelled)")]

    def leave(self, name: str, msg_id: str) -> list[str]:
        refused = self._refused(name, msg_id)
        if refused is not None:
            return refused
        self.heard.add(msg_id)
        return [f"relay to {OTHER[name]}", *self._over("no_award", "end")]

    def think(self, now: float, name: str, seconds: float, msg_id: str) -> list[str]:
        refused = self._refused(name, msg_id)
        if refused is not None:
            return refused
        if self.asides.get(name, 0) == 16:
            return [f"refuse {name} WRONG_STATE"]
        self.asides[name] = self.asides.get(name, 0) + 1
        self.heard.add(msg_id)
        bound = min(self.deadline, self.since + 2 * self.turn_within)
        self.due = max(self.due, min(bound, now + seconds))
        return [f"relay to {OTHER[name]}"]

    def gone(self, name: str) -> list[str]:
        return self._over("no_award", "end (unreachable)") if name in self.movers else []


@dataclass
class OffersModel(Common):
    """Alternating offers."""

    must_concede: bool = False
    standing: Proposal | None = None

    def propose(self, now: float, offer: Proposal) -> list[str]:
        name = offer.by
        if self.is_over and offer.msg_id not in self.heard:
            return [f"refuse {name} LATE"]
        refused = self._refused(name, offer.msg_id)
        if refused is not None:
            return refused
        if offer.until < now:
            return [f"refuse {name} OFFER_EXPIRED"]
        before = self.last.get(name)
        if self.must_concede and before is not None:
            worse = offer.price < before.price if name == "alice" else offer.price > before.price
            if worse:
                return [f"refuse {name} MUST_CONCEDE"]
        self.heard.add(offer.msg_id)
        if self.round == self.max_rounds:
            return self._over("no_award", "rounds")
        self._stands(now, offer)
        return [f"relay to {OTHER[name]}"]

    def _stands(self, now: float, offer: Proposal) -> None:
        self.last[offer.by] = self.standing = offer
        self.movers = [OTHER[offer.by]]
        self.round, self.since, self.due = self.round + 1, now, self._turn_ends(now)

    def accept(self, now: float, name: str, offer_id: str, msg_id: str) -> list[str]:
        refused = self._refused(name, msg_id)
        if refused is not None:
            return refused
        if self.standing is None:
            return [f"refuse {name} UNKNOWN_OFFER"]
        if offer_id != self.standing.msg_id:
            return [f"refuse {name} STALE_OFFER"]
        if self.standing.until < now:
            return [f"refuse {name} OFFER_EXPIRED"]
        self.heard.add(msg_id)
        return [f"relay to {OTHER[name]}", *self._over("committed", offer_id)]

    def time(self, now: float) -> list[str]:
        if now >= self.deadline:
            return self._over("no_award", "deadline")
        (mover,) = self.movers
        if not self.repeats or mover not in self.last:
            return self._over("no_award", "turn_timeout")
        if self.round == self.max_rounds:
            return self._over("no_award", "rounds")
        offer = self.last[mover]
        self._stands(now, offer)
        return [f"{offer.msg_id} again, to {name}" for name in (mover, OTHER[mover])]


@dataclass
class ConcessionModel(Common):
    """Monotonic concession over a price from 0 to 10."""

    concession: str = "either"
    step_min: float = 0.0
    tabled: dict[str, Proposal] = field(default_factory=dict)

    def propose(self, now: float, offer: Proposal) -> list[str]:
        name = offer.by
        if self.is_over and offer.msg_id not in self.heard:
            return [f"refuse {name} LATE"]
        refused = self._refused(name, offer.msg_id)
        if refused is not None:
            return refused
        before = self.last.get(name)
        if before is not None:
            given = offer.price - before.price if name == "alice" else before.price - offer.price
            theirs = self.last[OTHER[name]].price
            reaches = offer.price >= theirs if name == "alice" else offer.price <= theirs
            allowed = given > 0 and (given >= self.step_min or reaches)
            if not allowed and not (given == 0 and self.concession != "both"):
                return [f"refuse {name} MUST_CONCEDE"]
        return self._table(now, offer)

    def accept(self, now: float, name: str, offer_id: str, msg_id: str) -> list[str]:
        refused = self._refused(name, msg_id)
        if refused is not None:
            return refused
        theirs = self.last.get(OTHER[name])
        if theirs is None:
            return [f"refuse {name} UNKNOWN_OFFER"]
        if offer_id != theirs.msg_id:
            return [f"refuse {name} STALE_OFFER"]
        return self._table(now, Proposal(name, theirs.price, msg_id))

    def _table(self, now: float, offer: Proposal) -> list[str]:
        self.heard.add(offer.msg_id)
        self.tabled[offer.by] = offer
        self.movers = [name for name in self.movers if name != offer.by]
        return [] if self.movers else self._next(now)

    def _next(self, now: float) -> list[str]:
        before, self.last = self.last, {**self.last, **self.tabled}
        self.tabled = {}
        alice, bob = self.last["alice"], self.last["bob"]
        if alice.price >= bob.price:
            won = alice if _heads(f"g.0.n/step {self.round}") else bob
            return self._over("committed", won.msg_id)
        if before and all(before[name].price == self.last[name].price for name in before):
            return self._over("no_award", "conflict")
        if self.round == self.max_rounds:
            return self._over("no_award", "rounds")
        self.movers = self._asked(alice.price, bob.price)
        told = [f"step {self.round} to {n}, {alice.msg_id} {bob.msg_id}" for n in ("alice", "bob")]
        self.round, self.since, self.due = self.round + 1, now, self._turn_ends(now)
        return told

    def _asked(self, low: float, high: float) -> list[str]:
        if self.concession != "zeuthen":
            return ["alice", "bob"]
        alice = Fraction(low) * (10 - Fraction(low))
        bob = Fraction(high) * (10 - Fraction(high))
        if alice == bob:
            return ["alice"] if _heads(f"g.0.n/concede {self.round}") else ["bob"]
        return ["alice"] if alice < bob else ["bob"]

    def time(self, now: float) -> list[str]:
        if now >= self.deadline:
            return self._over("no_award", "deadline")
        if not self.repeats or self.concession == "both" or not self.last:
            return self._over("no_award", "turn_timeout")
        for name in self.movers:
            self.tabled[name] = self.last[name]
        return self._next(now)


def _heads(seed: str) -> bool:
    return hashlib.sha256(seed.encode()).digest()[0] % 2 == 0
