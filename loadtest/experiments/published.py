"""What the paper says of its runs (arXiv 2605.11376, tables 1 to 5 and the text around them).

A range is what the table gives as one; Table 4 is an image, and only what the text says of it is
here. The figures of the paper are images too: of them the pictures show the points that the
tables name.
"""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Published:
    """One column of a published table."""

    contractors: int
    calls: int | None = None
    offers: int | None = None
    rounds: int | None = None
    empty_rounds: int | None = None
    confirms: int | None = None
    accepts: int | None = None
    rejects: int | None = None
    mean_ms: Range | None = None
    """Most likely from the call to an offer: our `offer`."""
    p50_ms: Range | None = None
    p95_ms: Range | None = None
    agent_mean_ms: float | None = None
    agent_sd_ms: float | None = None
    agent_p95_ms: float | None = None
    round_mean_ms: float | None = None
    completeness: float | None = None
    note: str = ""


TABLES: dict[str, tuple[Published, ...]] = {
    "table1": (
        Published(5, 3, 15, 3, mean_ms=(1, 3), p95_ms=(2, 3), note="2 minutes recorded"),
        Published(9, 3, 27, 3, mean_ms=(4, 5), p95_ms=(7, 9), note="3 minutes recorded"),
        Published(12, 3, 36, 3, mean_ms=(5, 7), p95_ms=(8, 11), note="2 minutes recorded"),
    ),
    "table2": (
        Published(5, 6, 30, 6, confirms=3, mean_ms=(3, 4), p95_ms=(6, 7)),
        Published(9, 6, 27, 6, confirms=3, mean_ms=(5, 5), p95_ms=(8, 9)),
        Published(12, 6, 36, 6, confirms=3, mean_ms=(4, 6), p95_ms=(7, 8)),
    ),
    "table3": (
        Published(5, 3, 15, 3, 0, 0, 0, 0, agent_mean_ms=3.2, agent_p95_ms=5.4, round_mean_ms=4.1),
        Published(9, 3, 27, 3, 0, 0, 0, 0, agent_mean_ms=4.7, agent_p95_ms=7.3, round_mean_ms=6.2),
        Published(12, 6, 36, 6, 3, 0, 0, 0, agent_mean_ms=5.3, agent_p95_ms=8.3, round_mean_ms=7.3),
    ),
    "table4": (
        Published(12, mean_ms=(8.3, 8.3), p95_ms=(12, 12), completeness=1.0, note="medium, 2 h"),
        Published(12, mean_ms=(6.0, 6.0), p95_ms=(10, 10), completeness=1.0, note="high, 2 h"),
    ),
    "table5": (
        Published(
            12,
            1_612,
            9_672,
            806,
            mean_ms=(6.18, 6.18),
            p50_ms=(5, 5),
            p95_ms=(11, 11),
            agent_mean_ms=4.58,
            agent_sd_ms=0.51,
            completeness=1.0,
            note="high, 12 h",
        ),
    ),
}

SECONDS = {"table1": 120.0, "table2": 120.0, "table3": 120.0, "table4": 7_200.0, "table5": 43_200.0}
RATES = {
    "table1": 3 / 120,
    "table2": 6 / 120,
    "table3": 3 / 120,
    "table4": 1_612 / 43_200,
    "table5": 1_612 / 43_200,
}
"""Calls a second that the published counts come to; Table 4 has none, so that of Table 5."""


def shown(values: Range | None) -> str:
    """Return a published range as text, "" when there is none."""
    if values is None:
        return ""
    low, high = values
    return f"{low:g}" if low == high else f"{low:g}–{high:g}"
