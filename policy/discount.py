"""What waiting costs: a gain that comes later is worth less.

Two measures of later are used, and a call says which (`kind`):

    round   gain × factor^(round − 1)       Rubinstein's: an agreement in round 1 costs nothing
    time    gain × exp(−rate × elapsed)     by the clock: ten minutes cost what ten minutes cost

Each party has its own number, a factor from 0 to 1 or a rate of 0 or more per second. The
engine decides nothing by them: it records with an agreement what waiting left of each side's
gain, so that records, statistics and strategies count alike.

Source: A. Rubinstein, Perfect Equilibrium in a Bargaining Model, Econometrica 50 (1982).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import msgspec

Kind = Literal["round", "time"]


class Discount(msgspec.Struct, frozen=True, gc=False):
    """How two parties value later gains."""

    kind: Kind
    initiator: float
    """Its factor by round, 0 to 1, or its rate by second, 0 or more."""
    responder: float

    def weights(self, round_: int, elapsed: float) -> dict[str, float]:
        """Return what is left of a gain in this round (from 1), after so many seconds."""
        return {
            "initiator": weight(self.kind, self.initiator, round_, elapsed),
            "responder": weight(self.kind, self.responder, round_, elapsed),
        }


def weight(kind: Kind, number: float, round_: int, elapsed: float) -> float:
    """Return which part of a gain is left, 0 to 1; `number` is a factor or a rate."""
    if kind == "round":
        return float(number ** (round_ - 1))
    return math.exp(-number * elapsed)


def discount_of(said: Mapping[str, object]) -> Discount | str:
    """Return the discount of a call whose schema has judged it, or what is wrong with it."""
    kind: Kind = "time" if said["kind"] == "time" else "round"
    neutral = 1.0 if kind == "round" else 0.0
    numbers = [float(str(said.get(party, neutral))) for party in ("initiator", "responder")]
    if kind == "round" and max(numbers) > 1:
        return "a factor by round is at most 1"
    return Discount(kind, *numbers)
