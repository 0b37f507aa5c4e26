"""Zeuthen's strategy: concede when a conflict would cost you more than the other, and no more.

Each party asks how much of its gain it would stake by standing still: the *risk*. Who has the
lower risk concedes, by the smallest step that makes the other's risk the lower one. That is to
say: the one whose own deal has the smaller product of gains concedes, to the nearest deal with a
greater product than the other's. Two who play so meet where the product of both gains is the
greatest, Nash's solution.

It is played in `monotonic-concession`, best with `"concession": "zeuthen"`, over a finite set of
deals that both know.

Sources: F. Zeuthen, Problems of Monopoly and Economic Warfare (1930); J. C. Harsanyi, Approaches
to the Bargaining Problem Before and After the Theory of Games (1956); J. S. Rosenschein and
G. Zlotkin, Rules of Encounter (1994), chapter 3.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmx.bargain import Accept, Bargain, End, Move, Proposal, Propose


@dataclass(frozen=True, slots=True)
class Candidate:
    """A deal that could be made, and what it is worth to both."""

    own: float
    """What it is worth to this party."""
    other: float
    value: float | None = None
    terms: Mapping[str, Any] = field(default_factory=dict)


def rational(
    candidates: Iterable[Candidate], own_conflict: float = 0.0, other_conflict: float = 0.0
) -> list[Candidate]:
    """Return the deals worth a negotiation, the best for this party first.

    Those are no worse for either than no deal, and none is better for one at no cost to the other.
    """
    able = [one for one in candidates if one.own >= own_conflict and one.other >= other_conflict]
    able.sort(key=lambda one: (one.own, one.other), reverse=True)
    kept: list[Candidate] = []
    for one in able:
        if not kept or one.other > kept[-1].other:
            kept.append(one)
    return kept


def risk(own: float, others: float, conflict: float) -> float:
    """Return which part of its gain a party stakes that insists on its own deal."""
    return 1.0 if own <= conflict else (own - others) / (own - conflict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Zeuthen:
    """Plays Zeuthen's strategy over deals that both parties know."""

    candidates: Sequence[Candidate]
    own_conflict: float = 0.0
    """What it is worth to this party not to agree."""
    other_conflict: float = 0.0

    def __call__(self, bargain: Bargain) -> Move:
        """Begin with the best deal; then concede if it is this party's turn to, or stand still."""
        deals = rational(self.candidates, self.own_conflict, self.other_conflict)
        own, standing = bargain.own, bargain.standing
        if not deals:
            return End("no_deal_is_worth_it")
        if own is None or standing is None:
            return _propose(deals[0])
        mine, theirs = _find(self.candidates, own), _find(self.candidates, standing)
        if mine is None or theirs is None:
            return End("unknown_deal")
        is_asked = bargain.rules.get("concession") == "zeuthen"  # then it is never in vain
        if not is_asked and not self.concedes(mine, theirs):
            return _propose(mine)
        concession = self.concession(deals, mine, theirs)
        return Accept() if concession is None else _propose(concession)

    def concedes(self, mine: Candidate, theirs: Candidate) -> bool:
        """Tell whether this party has the lower risk, or none has."""
        return self.product(mine) <= self.product(theirs)

    def concession(
        self, deals: Sequence[Candidate], mine: Candidate, theirs: Candidate
    ) -> Candidate | None:
        """Return the smallest concession after which the other has the lower risk, or None.

        None says that no deal is better than the other's, which is then the one to accept.
        """
        for deal in sorted(deals, key=lambda one: one.other):
            flips = self.product(deal) > self.product(theirs)
            if deal.other > mine.other and deal.own > theirs.own and flips:
                return deal
        return None

    def product(self, deal: Candidate) -> float:
        """Return the product of what both gain by a deal; its order is the order of risks."""
        return (deal.own - self.own_conflict) * (deal.other - self.other_conflict)


def _propose(deal: Candidate) -> Propose:
    return Propose(value=deal.value, terms=deal.terms or None)


def _find(candidates: Iterable[Candidate], proposal: Proposal) -> Candidate | None:
    """Return which deal was proposed."""
    for one in candidates:
        if one.terms:
            if _spelled(one.terms) == _spelled(proposal.terms):
                return one
        elif one.value == proposal.value:
            return one
    return None


def _spelled(terms: Mapping[str, Any]) -> str:
    return json.dumps(terms, sort_keys=True)
