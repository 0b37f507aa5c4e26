"""What a run came to, as the table of docs/reliability.md and as lines for whoever waits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from loadtest.cluster_faults.scene import Result

HEAD = (
    "| fault | noticed | over | messages, the slowest | calls, the slowest | lost | double |",
    "|---|---|---|---|---|---|---|",
)
LOST_WITH_IT = "lost with the gateway, not durable"


def table(taken_by: str, results: Sequence[Result]) -> str:
    """Return the table under the words that say how it was taken."""
    return "\n".join((taken_by, "", *HEAD, *map(_row, results)))


def _row(result: Result) -> str:
    lost = str(result.verdict.lost)
    if result.verdict.counts[LOST_WITH_IT]:
        lost += f" (and {result.verdict.counts[LOST_WITH_IT]} with the gateway, not durable)"
    cells = (
        result.fault,
        f"{result.noticed_after:.1f} s",
        f"{result.over_after:.1f} s",
        f"{result.messages:,}, {result.slowest_message:.1f} s",
        f"{result.calls:,}, {result.slowest_call:.1f} s",
        lost,
        str(result.verdict.double_awards),
    )
    return f"| {' | '.join(cells)} |"


def told(result: Result) -> Iterator[str]:
    """Yield lines about one fault: its figures, what was counted, what was broken."""
    yield (
        f"{result.fault}: noticed after {result.noticed_after:.1f} s, over after "
        f"{result.over_after:.1f} s, {result.probes_arrived} of {result.probes} probes"
        f"{f', {result.owned_twice} calls owned twice' * bool(result.owned_twice)}"
    )
    counted = (f"{what}: {count}" for what, count in sorted(result.verdict.counts.items()) if count)
    yield f"  {', '.join(counted)}"
    for one in result.verdict.broken:
        yield f"  BROKEN  {one}"
    for line in result.errors:
        yield f"  {line}"
