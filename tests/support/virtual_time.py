"""A clock that jumps from one due action to the next."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class VirtualTime:
    """Everything that is going to happen, in order; of the same moment in the order of asking."""

    __slots__ = ("_asked", "_due", "now")

    def __init__(self, now: float = 0.0) -> None:
        """Start at `now` with nothing to do."""
        self.now = now
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._asked = 0

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<VirtualTime: {self.now:.3f} s, {len(self._due)} actions due>"

    @property
    def next_due(self) -> float:
        """Return when the next action is due; infinity when there is none."""
        return self._due[0][0] if self._due else float("inf")

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Do something at a moment that is not over."""
        self._asked += 1
        heapq.heappush(self._due, (moment, self._asked, action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something in so many seconds."""
        self._asked += 1
        heapq.heappush(self._due, (self.now + seconds, self._asked, action))

    def step(self) -> bool:
        """Jump to the next action and do it; False when nothing is due ever again."""
        if not self._due:
            return False
        self.now, _, action = heapq.heappop(self._due)
        action()
        return True

    def run_until(self, moment: float) -> None:
        """Do everything that is due up to and including a moment, and be there."""
        due = self._due
        while due and due[0][0] <= moment:
            self.now, _, action = heapq.heappop(due)
            action()
        self.now = max(self.now, moment)
