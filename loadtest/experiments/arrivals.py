"""When calls come: a Poisson process from a seed, and whether it looks like one.

Two tests, both in a few lines of the standard library; scipy would be 40 MB for one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from statistics import fmean, variance

SIGNIFICANCE = 0.01
ARRIVALS_MIN = 1_000
"""Fewer arrivals say little about their law."""


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Return the moments of a Poisson process of `rate` a second, ascending, below `seconds`."""
    chance = Random(f"arrivals {seed}")
    moments = []
    at = chance.expovariate(rate)
    while at < seconds:
        moments.append(at)
        at += chance.expovariate(rate)
    return moments


def dispersion(moments: Sequence[float], window: float, seconds: float) -> float:
    """Return variance over mean of the counts in windows: about 1 for a Poisson process.

    Needs two whole windows at least.
    """
    counts = [0] * int(seconds // window)
    for at in moments:
        if (place := int(at // window)) < len(counts):
            counts[place] += 1
    return variance(counts) / fmean(counts)


def exponential_p_value(gaps: Sequence[float], rate: float) -> float:
    """Return the p-value of Kolmogorov and Smirnov's test that gaps are exponential at `rate`.

    By the asymptotic law with Stephens' correction, good from some 20 gaps on.
    """
    ordered = sorted(gaps)
    count = len(ordered)
    distance = 0.0
    for place, gap in enumerate(ordered):
        expected = 1 - math.exp(-rate * gap)
        distance = max(distance, expected - place / count, (place + 1) / count - expected)
    root = math.sqrt(count)
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:
        return 1.0  # the series below converges slowly there, to 1
    terms = ((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * math.fsum(terms)))


def gaps_of(moments: Sequence[float]) -> list[float]:
    """Return the times between arrivals, from 0 on."""
    return [after - before for before, after in zip([0.0, *moments], moments, strict=False)]
