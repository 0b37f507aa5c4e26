"""Does a figure drift? Theil and Sen's slope: the median of the slopes between all pairs.

One bad minute of a run moves it little, where a line by least squares would follow it.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

POINTS_MAX = 1_500
"""A million pairs; of more points every other one is taken, or every third and so on."""


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of (x, y) points; 0 when there are fewer than two different x."""
    kept = points[:: len(points) // POINTS_MAX + 1]
    slopes = [
        (y2 - y1) / (x2 - x1)
        for place, (x1, y1) in enumerate(kept)
        for x2, y2 in kept[place + 1 :]
        if x2 != x1
    ]
    return median(slopes) if slopes else 0.0


def drift(points: Sequence[tuple[float, float]]) -> float:
    """Return how much the figure changes from the first x to the last, as a part of its median.

    0.1 means that it grew by a tenth. 0 when there is too little to say so.
    """
    if len(points) < 2:
        return 0.0
    middle = median(y for _, y in points)
    span = max(x for x, _ in points) - min(x for x, _ in points)
    return slope(points) * span / middle if middle else 0.0
