"""How long to wait before the next attempt.

Full jitter: those who lost the same peer in one instant come back spread over the whole wait.

Pure: the caller brings the chance.
"""

from __future__ import annotations


class Backoff:
    """Waits that grow with each failure, until there is contact."""

    def __init__(self, first: float, most: float) -> None:
        """Wait `first` seconds at most after one failure, and never longer than `most`."""
        self._first = first
        self._most = most
        self._bound = first

    def wait(self, chance: float) -> float:
        """Return seconds to wait after one more failure; `chance` is from 0 to 1."""
        bound = self._bound
        self._bound = min(2 * bound, self._most)
        return bound * chance

    def reset(self) -> None:
        """Begin with the first wait again: there was contact."""
        self._bound = self._first
