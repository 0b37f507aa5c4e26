"""Turn what was played into figures, and the figures of several repeats into one.

A figure of a case is the median over its repeats, so that one disturbed repeat moves nothing.
A ratio is ours divided by the floor's: for a rate more is better, for a time or a cost less.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtest.rounds import Played

PERCENTILES = (50, 95, 99)

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Compared:
    """One case: contractors, rounds in flight, and the figures of each target."""

    contractors: int
    in_flight: int
    targets: Mapping[str, Figures]
    """By name, "ours", "floor" and those of peers; the median over the repeats."""
    repeats: Mapping[str, Sequence[Figures]]
    """The same before the median, in the order they were played."""

    def ratio(self, figure: str, of: str = "ours") -> float | None:
        """Return that of a target divided by the floor's, None when one of them was not played."""
        one, floor = self.targets.get(of), self.targets.get("floor")
        if one is None or floor is None or not floor[figure]:
            return None
        return one[figure] / floor[figure]


def figures_of(played: Played) -> dict[str, float]:
    """Return the figures of one repeat; times in milliseconds, CPU in seconds per 1,000 rounds."""
    rounds = played.rounds
    figures = {
        "rounds": float(rounds),
        "seconds": played.seconds,
        "rounds_per_second": rounds / played.seconds,
        "messages_per_second": played.messages / played.seconds,
        "server_cpu_s_per_1000_rounds": played.server_cpu_seconds / rounds * 1_000,
        "client_cpu_s_per_1000_rounds": played.client_cpu_seconds / rounds * 1_000,
        "server_cpu_share": played.server_cpu_seconds / played.seconds,
        "client_cpu_share": played.client_cpu_seconds / played.seconds,
        "messages_per_frame": played.messages / max(played.frames_received, 1),
        "strays": float(played.strays),
    }
    for name, seconds in (
        ("last_offer", sorted(played.to_last_offer)),
        ("last_outcome", sorted(played.to_last_outcome)),
    ):
        for percent in PERCENTILES:
            figures[f"{name}_p{percent}_ms"] = percentile(seconds, percent) * 1_000
    return figures


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile of ascending values; not a number when there are none."""
    if not ordered:
        return math.nan
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def median(repeats: Sequence[Figures]) -> dict[str, float]:
    """Return the median of every figure over the repeats."""
    return {name: statistics.median(one[name] for one in repeats) for name in repeats[0]}
