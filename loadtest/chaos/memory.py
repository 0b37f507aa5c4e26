"""Is the gateway's memory flat?

Samples are taken over all of a run. Only those of the last life of the gateway count, after a
time to warm up in which caches fill: a straight line through them says how fast it grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MIB = 1024 * 1024
WARM_UP_SECONDS = 300.0
WINDOW_SECONDS_MIN = 120.0
GROWTH_MAX = 0.10
"""How much the line may rise over its whole length, relative to its middle."""
SAMPLES_MIN = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """How much memory the gateway had, when, and in which of its lives."""

    at: float
    life: int
    resident: int


@dataclass(frozen=True, slots=True)
class Trend:
    """Where memory goes."""

    seconds: float
    """How long it was watched; 0 when that was too short to tell."""
    first: float
    """MiB at the beginning of the line."""
    last: float
    """MiB at its end."""

    @property
    def growth(self) -> float:
        """Return how much it rose, relative to the middle."""
        middle = (self.first + self.last) / 2
        return (self.last - self.first) / middle if middle else 0.0

    @property
    def is_flat(self) -> bool:
        """Tell whether it rose no more than it may; what was not watched is not blamed."""
        return self.growth <= GROWTH_MAX

    def __str__(self) -> str:
        if not self.seconds:
            return "too short to tell"
        return (
            f"{self.first:.1f} to {self.last:.1f} MiB in {self.seconds:.0f} s after warm-up "
            f"({self.growth:+.1%})"
        )


def trend(samples: Sequence[Sample], warm_up: float = WARM_UP_SECONDS) -> Trend:
    """Return the trend of the last life after its warm-up."""
    last = samples[-1].life if samples else 0
    lived = [one for one in samples if one.life == last]
    counted = [one for one in lived if one.at >= lived[0].at + warm_up]
    if len(counted) < SAMPLES_MIN or counted[-1].at - counted[0].at < WINDOW_SECONDS_MIN:
        return Trend(0.0, 0.0, 0.0)
    times = [one.at - counted[0].at for one in counted]
    sizes = [one.resident / MIB for one in counted]
    mean_time, mean_size = sum(times) / len(times), sum(sizes) / len(sizes)
    spread = sum((time - mean_time) ** 2 for time in times)
    slope = (
        sum((t - mean_time) * (s - mean_size) for t, s in zip(times, sizes, strict=True)) / spread
    )
    first = mean_size - slope * mean_time
    return Trend(times[-1], first, first + slope * times[-1])
