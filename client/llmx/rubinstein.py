"""Rubinstein's equilibrium: what two who know each other's patience agree on at once.

A pie is divided. Each in turn proposes a division, and each turn of waiting leaves of a gain the
party's *patience* of it, a factor from 0 to 1. Player 1 proposes first. In the one equilibrium in
which no threat is empty, who proposes takes

    share = (1 − other) / (1 − own · other)

of the pie and leaves the other exactly what waiting would bring it, so it accepts: nothing is
wasted. With an end after so many proposals the share follows backwards from the last, where who
proposes takes all.

Sources: A. Rubinstein, Perfect Equilibrium in a Bargaining Model, Econometrica 50 (1982);
I. Ståhl, Bargaining Theory (1972), for the game with an end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from llmx.bargain import Accept, Bargain, End, Move, Propose


def share(own: float, other: float) -> float:
    """Return the part that who proposes takes, by the patience of both; each 0 to 1.

    Two who never lose by waiting have many equilibria; then it is a half, the limit of equals.
    """
    if own == other == 1:
        return 0.5
    return (1 - other) / (1 - own * other)


def share_of_responder(own: float, other: float) -> float:
    """Return the part that is left to who answers: `own` is the patience of who proposed."""
    return 1 - share(own, other)


def finite_share(own: float, other: float, proposals: int) -> float:
    """Return the part that who proposes takes when so many proposals are left, its own included."""
    taken = 1.0
    for left in range(2, proposals + 1):
        waiting = other if (proposals - left) % 2 == 0 else own
        taken = 1 - waiting * taken
    return taken


def common_share(patience: float, proposals: int) -> float:
    """Return the same for two who are equally patient, in one formula."""
    return (1 - (-patience) ** proposals) / (1 + patience)


def patience(rate: float, interval: float) -> float:
    """Return what waiting one turn of `interval` seconds leaves, at a rate by second."""
    return math.exp(-rate * interval)


def share_at_once(own_rate: float, other_rate: float) -> float:
    """Return the share of who proposes as turns become infinitely short: the hasty get less."""
    return other_rate / (own_rate + other_rate)


def patience_with_breakdown(probability: float) -> float:
    """Return the patience of one who does not mind time, but may find the talks broken off."""
    return 1 - probability


def share_with_costs(own: float, other: float) -> float:
    """Return the part of who proposes where each turn costs a fixed part of the pie, 0 to 1.

    With equal costs there are many equilibria; then it is all, the best for who proposes.
    """
    return 1.0 if own <= other else other


@dataclass(frozen=True, slots=True, kw_only=True)
class Equilibrium:
    """Plays the equilibrium over a price in whole steps, from `low` to `high`.

    What is divided is the span between them: who sells gets the price less `low`, who buys `high`
    less the price. Another's patience is what this party believes it to be. Shares that are no
    whole number of steps are rounded in the other's favour, so that it accepts; with integer
    credits the price is within one step of the formula.
    """

    low: float
    high: float
    own: float
    """What one turn of waiting leaves of this party's gain, 0 to 1."""
    other: float
    step: float = 1.0
    """The smallest difference between two prices."""
    finite: bool = False
    """Count the rounds that are left; else play as if there were no last one."""

    def __post_init__(self) -> None:
        """Check the parameters; raises ValueError."""
        if not (self.low < self.high and self.step > 0):
            raise ValueError("low must be below high, and step above 0")
        if not (0 <= self.own <= 1 and 0 <= self.other <= 1):
            raise ValueError("patience is a factor: 0 to 1")

    def __call__(self, bargain: Bargain) -> Move:
        """Accept what waiting cannot better, and propose what the other cannot better."""
        sells = wants_high(bargain)
        left = bargain.turn.rounds_left if bargain.turn is not None else 0
        standing = bargain.standing
        if standing is not None and standing.value is not None:
            gain = standing.value - self.low if sells else self.high - standing.value
            if gain >= self.worth_of_waiting(left):
                return Accept()
        if left == 0:
            return End("no_time")
        kept = self.demand(left)
        return Propose(value=self.low + kept if sells else self.high - kept)

    def demand(self, proposals: int) -> float:
        """Return what this party keeps for itself when it proposes, in whole steps."""
        pie = self.high - self.low
        part = (
            finite_share(self.own, self.other, proposals)
            if self.finite
            else share(self.own, self.other)
        )
        given = math.ceil((1 - part) * pie / self.step - 1e-9) * self.step
        return pie - given

    def worth_of_waiting(self, proposals: int) -> float:
        """Return what a refusal is worth to this party, which proposes next."""
        return self.own * self.demand(proposals) if proposals else 0.0


def wants_high(bargain: Bargain) -> bool:
    """Tell whether a high value is good for this party: it sells, or allocates."""
    return bargain.is_initiator is (bargain.call.direction == "allocate")
