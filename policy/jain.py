"""Jain's index: how evenly something is shared (negotiation.md N-8.1).

    J = (Σx)² / (n · Σx²)

It is 1 when all have the same, 1/n when one has everything, and k/n when k of n share equally;
the unit does not matter. Source: Jain, Chiu, Hawe, DEC-TR-301 (1984).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import fsum

import msgspec


class Evenness(msgspec.Struct, frozen=True, gc=False):
    """How evenly something is shared, and among how many."""

    index: float
    """1/n to 1, the evenest."""
    parties: int
    """How many share; 0 when there is nobody."""
    nothing: bool
    """There is nothing to share: the index is 1, and says little."""


def evenness(shares: Iterable[float]) -> Evenness:
    """Return Jain's index of shares, which are finite and 0 or more."""
    counted = tuple(shares)
    most = max(counted, default=0.0)
    if most <= 0:
        return Evenness(1.0, len(counted), nothing=True)
    scaled = [share / most for share in counted]  # squares of what is huge or tiny stay numbers
    total = fsum(scaled)
    index = total * total / (len(scaled) * fsum(share * share for share in scaled))
    return Evenness(min(1.0, max(1 / len(scaled), index)), len(scaled), nothing=False)
