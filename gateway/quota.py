"""How much an agent may send: token buckets (negotiation.md N-8.2).

Pure: the time is an argument, and only its differences count.
"""

from __future__ import annotations


class TokenBucket:
    """Admits a cost while tokens last; they come back at `rate` per second up to `burst`."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        """Start full. `rate` is in tokens per second, `burst` in tokens; both above zero."""
        assert rate > 0 and burst > 0, "settings check this"
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float, cost: float = 1.0) -> float:
        """Take `cost` tokens and return 0.0, or take none and return the seconds to wait.

        A cost above the burst can never be met; the answer is then infinity.
        """
        tokens = self._tokens + (now - self._at) * self._rate
        if tokens > self._burst:
            tokens = self._burst
        self._at = now
        if tokens >= cost:
            self._tokens = tokens - cost
            return 0.0
        self._tokens = tokens
        return (cost - tokens) / self._rate if cost <= self._burst else float("inf")
