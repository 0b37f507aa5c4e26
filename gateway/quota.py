"""How much may come: token buckets (negotiation.md N-8.2, N-8.3) and a budget for repeats.

Pure: the time is an argument, and only its differences count. A bucket is the state after the
last cost that it admitted; a refused one leaves no trace, however often it is asked. A clock
that goes back gives nothing and takes nothing: tokens come back once it is where it was.
"""

from __future__ import annotations

from math import inf, ulp


class TokenBucket:
    """Admits a cost while tokens last; they come back at `rate` per second up to `burst`."""

    __slots__ = ("_at", "_rate", "_tokens", "burst", "reserved")

    def __init__(self, rate: float, burst: float, now: float, reserve: float = 0.0) -> None:
        """Start full. `rate` is in tokens per second, `burst` in tokens; both above zero.

        `reserve` is the part of the burst, 0 to 1, that is not for everybody.
        """
        assert rate > 0 and burst > 0 and 0 <= reserve < 1, "settings check this"
        self._rate = rate
        self.burst = burst
        self.reserved = reserve * burst
        """What those leave in the bucket who may not use the reserve: pass it as `keep`."""
        self._tokens = burst
        self._at = now

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<TokenBucket {self._tokens:g} of {self.burst:g}, {self._rate:g} a second>"

    def take(self, now: float, cost: float = 1.0, keep: float = 0.0) -> float:
        """Take `cost` tokens and return 0.0, or take none and return the seconds to wait.

        Tokens are taken only if at least `keep` are left.
        """
        tokens = self._tokens
        if now > self._at:
            tokens += (now - self._at) * self._rate
            if tokens > self.burst:
                tokens = self.burst
            if tokens - cost >= keep:
                self._at = now
                self._tokens = tokens - cost
                return 0.0
        elif tokens - cost >= keep:
            self._tokens = tokens - cost
            return 0.0
        return self.wait(now, cost, keep)

    def wait(self, now: float, cost: float = 1.0, keep: float = 0.0) -> float:
        """Return the seconds until `take` succeeds, 0.0 when it does now; changes nothing.

        They are exact to the tick of the clock: `take` succeeds at `now` plus the wait, and
        not a tick sooner. A cost that the bucket can never hold waits for ever.
        """
        if cost + keep > self.burst:
            return inf
        if self._after(now, cost) >= keep:
            return 0.0
        wait = (cost + keep - self._tokens) / self._rate + (self._at - now)
        tick = ulp(now + wait)
        while self._after(now + wait, cost) < keep:  # rounded down
            wait += tick
            tick *= 2
        return wait

    def give_back(self, cost: float) -> None:
        """Put back what was taken for something that then did not happen."""
        self._tokens = min(self.burst, self._tokens + cost)

    def _after(self, now: float, cost: float) -> float:
        """Return the tokens that would be left if `cost` were taken; may be below zero."""
        tokens = self._tokens + max(0.0, now - self._at) * self._rate
        return min(tokens, self.burst) - cost


class RepeatBudget:
    """How many messages a gateway sends again, whomever they are for.

    When a crowd comes back, everything that it did not acknowledge is due at once. The budget
    spreads that over time: over any interval fewer than `per_second` messages for each second
    of it, one second's worth that was saved up, and one agent's window are repeated. An agent
    that is put off stays due and asks again; those that were served wait for their own next
    retry, so everybody has a turn.
    """

    __slots__ = ("_at", "_left", "_per_second")

    def __init__(self, per_second: float, now: float) -> None:
        """Start with one second's worth."""
        assert per_second > 0, "settings check this"
        self._per_second = per_second
        self._left = per_second
        self._at = now

    def allows(self, now: float, count: int) -> bool:
        """Tell whether `count` messages may go again now, and count them if they may.

        A budget that is not used up allows all of them, so that the order of one agent's
        messages is kept; what was too much is saved before the next ones go.
        """
        if now > self._at:
            self._left = min(self._per_second, self._left + (now - self._at) * self._per_second)
            self._at = now
        if self._left <= 0:
            return False
        self._left -= count
        return True
