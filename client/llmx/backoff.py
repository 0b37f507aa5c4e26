"""How long to wait before trying again.

Exponential with full jitter: a crowd that lost its gateway in the same instant comes back
spread over the whole interval, not in step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """The bounds of the waits."""

    first: float = 0.5
    """Upper bound of the first wait, in seconds: thousands may have lost the same gateway."""
    factor: float = 1.6
    """What every further failure multiplies that bound by."""
    longest: float = 10.0
    """The bound never exceeds this, in seconds."""

    def wait(self, failures: int, draw: Callable[[], float]) -> float:
        """Return seconds to wait after `failures` failures in a row (1 or more).

        `draw` returns a number from 0 to 1, as `random.random` does.
        """
        exponent = min(max(failures, 1) - 1, 64)  # beyond, a float would overflow
        return draw() * min(self.longest, self.first * self.factor**exponent)
