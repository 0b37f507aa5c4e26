"""The last five minutes in figures, a point each second: what sparklines are drawn from.

Pure. A sample is what the counters say; a point is what happened between two samples. Points
older than `SECONDS_MAX` samples are forgotten, so the whole is some 100 KB whatever happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import msgspec

SECONDS_MAX = 300
"""Points that are kept, one a second."""


class Sample(msgspec.Struct, frozen=True, gc=False):
    """What the counters of a gateway say at a time."""

    at: float
    """Seconds since 1970."""
    sessions: int
    open: int
    """Negotiations that are not over."""
    admitted: int
    finished: int
    refused: Mapping[str, int]
    """By code; codes are an enumeration."""
    decisions: Sequence[float]
    """How many decisions took at most each bound; the last one has no bound, so it is all."""


class Point(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What happened in the seconds before a time. Written as an array, to keep digests small."""

    at: float
    sessions: int
    open: int
    messages: float
    """Admitted a second."""
    finished: float
    """Negotiations a second."""
    refused: float
    """Messages a second."""
    p50: float | None
    """Seconds from a call to its outcome, half of them; None when nothing was decided."""
    p95: float | None


class History:
    """Points, the oldest first, and how often each code refused within them."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """Start with nothing; `bounds` are the upper bounds of the buckets of decisions."""
        self._bounds = bounds
        self._samples: deque[Sample] = deque(maxlen=SECONDS_MAX + 1)
        self.points: deque[Point] = deque(maxlen=SECONDS_MAX)

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<History: {len(self.points)} of {SECONDS_MAX} points>"

    def add(self, sample: Sample) -> None:
        """Take a sample; one that is no later than the last tells nothing and is left out."""
        if self._samples:
            before = self._samples[-1]
            if sample.at <= before.at:
                return
            self.points.append(self._between(before, sample))
        self._samples.append(sample)

    def refusals(self) -> list[tuple[str, int, int]]:
        """Return each code with how often it refused lately and in all, the latest most first."""
        if not self._samples:
            return []
        first, last = self._samples[0].refused, self._samples[-1].refused
        rows = [(code, total - first.get(code, 0), total) for code, total in last.items()]
        return sorted(rows, key=lambda row: (-row[1], -row[2], row[0]))

    def latency(self, share: float) -> float | None:
        """Return within how many seconds this share of all decisions of late was made."""
        if not self._samples:
            return None
        return self._quantile(self._samples[0], self._samples[-1], share)

    def _between(self, before: Sample, after: Sample) -> Point:
        seconds = after.at - before.at
        refused = sum(after.refused.values()) - sum(before.refused.values())
        return Point(
            at=round(after.at, 3),
            sessions=after.sessions,
            open=after.open,
            messages=round((after.admitted - before.admitted) / seconds, 2),
            finished=round((after.finished - before.finished) / seconds, 2),
            refused=round(refused / seconds, 2),
            p50=self._quantile(before, after, 0.5),
            p95=self._quantile(before, after, 0.95),
        )

    def _quantile(self, before: Sample, after: Sample, share: float) -> float | None:
        """Return a quantile as a histogram knows it: evenly spread within its bucket."""
        counts = [
            late - early for late, early in zip(after.decisions, before.decisions, strict=True)
        ]
        wanted = share * counts[-1]
        if not wanted:
            return None
        low, below = 0.0, 0.0
        for bound, count in zip(self._bounds, counts, strict=False):
            if wanted <= count:
                return float(f"{low + (bound - low) * (wanted - below) / (count - below):.3g}")
            low, below = bound, count
        return low  # it took longer than any bound
