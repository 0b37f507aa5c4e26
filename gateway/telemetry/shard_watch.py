"""How long events wait for a shard, and how long it takes to apply one.

Of `ONE_IN` slices of work one is timed; all others cost one call more, 0.08 µs.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from gateway.clock import Clock
from gateway.telemetry.timing import LONG, SHORT, Timing
from policy.shard import Shard

ONE_IN = 16
"""Of so many slices one is timed."""


class ShardWatch:
    """Times slices of all shards of a gateway."""

    def __init__(self, now: Clock) -> None:
        """Compare with the clock by which events were received."""
        self._now = now
        self.waits = Timing(LONG)
        """From an event's receipt to its slice, of the first event of each slice."""
        self.steps = Timing(SHORT)
        """An event with all its effects: the mean of each slice."""

    def around(self, shard: Shard[Any]) -> Callable[[], None]:
        """Return what applies a slice of a shard, timed now and then."""
        apply_slice, slices = shard.apply_slice, 0

        def apply() -> None:
            nonlocal slices
            slices += 1
            if slices % ONE_IN or not shard.queued:
                apply_slice()
                return
            self.waits.add(self._now() - shard.oldest)
            before, began = shard.events_total, perf_counter()
            apply_slice()
            taken = perf_counter() - began
            applied = shard.events_total - before
            if applied:
                self.steps.add(taken / applied)

        return apply
