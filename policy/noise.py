"""A price multiplier for noisy neighbours (negotiation.md N-8.5).

Who uses more of something shared than its fair share pays more for each request:

    m = 1 + α·max(0, usage / fair - 1), at most `cap`

Usage fades: after each half-life half of it is forgotten, so a neighbour that becomes quiet pays
the plain price again. The multiplier is never 0 and never a ban. The fair share is that of all
who use something now: the sum of their usage by their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp2

PARTIES_MAX = 10_000
_FADED = 1e-6


@dataclass(frozen=True, slots=True)
class NoiseRule:
    """What noise costs."""

    alpha: float = 1.0
    """How much dearer each fair share above the first is; 0 or more."""
    cap: float = 10.0
    """The highest multiplier, 1 or more."""
    half_life: float = 300.0
    """Seconds after which half of a usage is forgotten; above 0."""

    def __post_init__(self) -> None:
        assert self.alpha >= 0 and self.cap >= 1 and self.half_life > 0, "out of the ranges above"


def multiplier(usage: float, fair: float, rule: NoiseRule) -> float:
    """Return what the price is multiplied by, 1 to `cap`; 1 where no fair share is known."""
    if fair <= 0 or usage <= fair:
        return 1.0
    return min(rule.cap, 1 + rule.alpha * (usage / fair - 1))


class NoiseMeter:
    """How much each of those who share something uses of it, fading.

    Usage is kept in units of a scale that shrinks with time, so that to count costs the same
    however many there are; now and then the scale is put right, and who has faded is forgotten.
    """

    __slots__ = ("_at", "_rule", "_scale", "_sum", "_usage")

    def __init__(self, rule: NoiseRule) -> None:
        """Start in silence."""
        self._rule = rule
        self._usage: dict[str, float] = {}
        self._sum = 0.0
        self._scale = 1.0
        self._at = 0.0

    def __len__(self) -> int:
        """Return how many use something, or did not long ago."""
        return len(self._usage)

    def note(self, party: str, units: float, now: float) -> None:
        """Count units, 0 or more, that a party has used, or tried to.

        What comes late, from before the latest time, counts as much as it has not faded since.
        """
        units *= exp2(min(0.0, now - self._at) / self._rule.half_life)
        self._fade(now)
        if units > 0 and (party in self._usage or len(self._usage) < PARTIES_MAX):
            scaled = units / self._scale
            self._usage[party] = self._usage.get(party, 0.0) + scaled
            self._sum += scaled

    def usage(self, party: str, now: float) -> float:
        """Return what is left of the usage of a party."""
        self._fade(now)
        return self._usage.get(party, 0.0) * self._scale

    def multiplier(self, party: str, now: float) -> float:
        """Return what the price of a party is multiplied by."""
        self._fade(now)
        return multiplier(self._usage.get(party, 0.0), self._fair(), self._rule)

    def _fair(self) -> float:
        return self._sum / max(1, len(self._usage))

    def _fade(self, now: float) -> None:
        """Forget what time has taken; a clock that goes back takes nothing."""
        if now <= self._at:
            return
        self._scale *= exp2(-(now - self._at) / self._rule.half_life)
        self._at = now
        if self._scale < _FADED:
            usage = {party: used * self._scale for party, used in self._usage.items()}
            self._usage = {party: used for party, used in usage.items() if used > _FADED}
            self._sum = sum(self._usage.values())
            self._scale = 1.0
