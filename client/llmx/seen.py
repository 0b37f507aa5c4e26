"""Which messages have come already.

Two generations of a set: when the younger one is full it becomes the older one, and the
older one is forgotten. So the last `window` keys are always known, at most twice as many
are kept, and there is no timer.
"""

from __future__ import annotations

from collections.abc import Hashable


class Seen:
    """The last keys that were added."""

    def __init__(self, window: int) -> None:
        """Remember at least the last `window` keys (1 or more)."""
        self._window = window
        self._younger: set[Hashable] = set()
        self._older: set[Hashable] = set()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._younger or key in self._older

    def add(self, key: Hashable) -> None:
        """Remember a key."""
        self._younger.add(key)
        if len(self._younger) >= self._window:
            self._older, self._younger = self._younger, set()
