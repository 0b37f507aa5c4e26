"""When a process that has died is started again, and when no more.

Pure: the caller brings the time that it has lived, and the chance.
"""

from __future__ import annotations

from federation.backoff import Backoff

AGAIN_FIRST_SECONDS = 0.2
AGAIN_MOST_SECONDS = 10.0
STEADY_SECONDS = 60.0
"""Who has lived so long was well, whatever it died of."""
DEATHS_MAX = 8
"""With so many deaths in a row, none of them after it was well, it is given up."""


class Restarts:
    """What is known of the deaths of one process."""

    def __init__(self) -> None:
        """Know of none."""
        self._backoff = Backoff(AGAIN_FIRST_SECONDS, AGAIN_MOST_SECONDS)
        self._deaths = 0

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Restarts: {self._deaths} deaths of {DEATHS_MAX}>"

    def died(self, lived_seconds: float, chance: float) -> float | None:
        """Return the seconds to wait until it is started again; None when it is given up."""
        if lived_seconds >= STEADY_SECONDS:
            self._backoff.reset()
            self._deaths = 0
        self._deaths += 1
        return None if self._deaths >= DEATHS_MAX else self._backoff.wait(chance)
