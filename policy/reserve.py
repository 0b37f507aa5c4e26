"""A part of something shared that only the system class may use (negotiation.md N-8.3).

A normal agent is admitted if at least ρ of the capacity is left after it; a system agent down to
nothing. So a system request of at most ρ of the capacity is admitted whatever normal agents did,
as long as no other system request holds the reserve.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Reserve:
    """A capacity in whole units, and how much of it is not for everybody."""

    capacity: int
    """Units there are, 0 or more."""
    part: float = 0.2
    """ρ, the part for the system class, 0 to 1; rounded up to whole units."""

    def __post_init__(self) -> None:
        assert self.capacity >= 0 and 0 <= self.part <= 1, "out of the ranges above"

    @property
    def kept(self) -> int:
        """How many units a normal agent has to leave."""
        return ceil(self.part * self.capacity)

    def free_for(self, used: int, *, system: bool) -> int:
        """Return how many units may be taken beside those in use, 0 or more."""
        return max(0, self.capacity - used - (0 if system else self.kept))

    def admits(self, used: int, units: int, *, system: bool) -> bool:
        """Tell whether so many units may be taken beside those in use."""
        return units <= self.free_for(used, system=system)
