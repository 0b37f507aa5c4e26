"""Keep the figures of docs/reliability.md: tables made of results, between two marks of the page.

Each table begins with the command that printed it, the commit and the machine, because a
figure without them cannot be taken again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = tuple[str, str]
Result = Mapping[str, Any]

KIB = 1024
MIB = 1024 * KIB


class PageError(Exception):
    """The page has no place for these figures; the text says which marks are missing."""


def check(page: Path, mark: str) -> None:
    """Raise PageError when the page is not there, or has no place for what goes there later."""
    _parts(page, mark)


def refresh(page: Path, mark: str, table: str) -> None:
    """Replace what stands between `<!-- mark -->` and `<!-- /mark -->`; raises PageError."""
    before, begin, end, after = _parts(page, mark)
    page.write_text(f"{before}{begin}\n{table}\n{end}{after}", "utf-8")


def _parts(page: Path, mark: str) -> tuple[str, str, str, str]:
    """Return what stands before the marks, both marks, and what stands after them."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    try:
        text = page.read_text("utf-8")
    except OSError as error:
        reason = f"{page}: {error.strerror or error}; name a page with {begin} and {end}"
        raise PageError(reason) from None
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise PageError(f"{page} lacks {begin} or {end}")
    return before, begin, end, after


def as_table(command: str, machine: Result, rows: Sequence[Row]) -> str:
    """Return rows as a table of Markdown under the command that measured them."""
    lines = ("| what | figure |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows))
    return "\n".join((f"{taken_by(command, machine)}:", "", *lines))


def taken_by(command: str, machine: Result) -> str:
    """Say how figures were taken: the command, the commit, the machine."""
    changed = " with changes" if machine.get("uncommitted_changes") else ""
    return (
        f"`{command}`, commit {machine.get('commit') or 'unknown'}{changed}, "
        f"{machine.get('cores')} cores, CPython {machine.get('python')}, "
        f"grpcio {machine.get('libraries', {}).get('grpcio')}"
        f"{', cores kept awake' if machine.get('cores_awake') else ''}"
    )


def rows_of_sessions(result: Result) -> list[Row]:
    """Return what `loadtest.sessions` has measured."""
    plan, memory, idle = result["plan"], result["memory"], result["idle_cpu_ms_per_second"]
    count = plan["sessions"]
    opening = result["openings"][0]
    cut, crash = result["cut"], result["crash"]
    return [
        (
            f"gateway memory per idle session, {count:,} of them",
            (
                f"{memory['bytes_per_session'] / KIB:.0f} KiB "
                f"({memory['rss_before_bytes'] / MIB:.0f} → "
                f"{memory['rss_with_bytes'] / MIB:.0f} MiB)"
            ),
        ),
        (
            "file descriptors of the gateway, before and with them",
            f"{memory['files_before']:.0f} → {memory['files_with']:.0f}",
        ),
        (
            f"gateway CPU of {count:,} idle sessions, a heartbeat each {plan['heartbeat']:g} s",
            f"{idle['with'] - idle['without']:.0f} ms a second",
        ),
        (
            f"opening {count:,} sessions, 64 at a time",
            f"{opening['seconds']:.1f} s, {opening['cpu_seconds'] / count * 1e3:.2f} ms CPU each",
        ),
        (
            (
                f"{plan['active']} active ones, {plan['rounds_per_second']:g} rounds a second, "
                "without idle ones: p50 / p95 / p99"
            ),
            _latency(result["without"]),
        ),
        (f"the same beside {count:,} idle ones", _latency(result["with"])),
        _own_lag(result["without"], result["with"]),
        (
            f"all {count:,} connections cut at once: until all are welcomed again",
            (
                f"{cut['seconds']:.1f} s (half of them after {cut['p50_seconds']:.1f} s), "
                f"{cut['attempts']:,} attempts, {cut['resumed']:,} sessions resumed"
            ),
        ),
        ("the active ones meanwhile: p50 / p95 / p99", _latency(cut["during"])),
        (
            "one message sent to each of them while they were away",
            (
                f"{cut['heard']['messages']:,} of {count:,} heard it, "
                f"{cut['repeats_sent']:,.0f} repeats were sent"
            ),
        ),
        (
            "kill -9 and a new gateway in its place: until all are welcomed again",
            (
                f"{crash['seconds']:.1f} s, of which {crash['restart_seconds']:.1f} s its start; "
                f"{crash['attempts']:,} attempts"
            ),
        ),
        (
            "rounds due meanwhile: p50 / p95 / p99",
            (
                f"{_latency(crash['during'])}; {crash['during']['called_again']:.0f} called again, "
                f"{crash['during']['unfinished']:.0f} without an outcome"
            ),
        ),
    ]


def rows_of_slow_consumer(result: Result) -> list[Row]:
    """Return what `loadtest.slow_consumer` has measured."""
    plan, reading, stopped = result["plan"], result["reading"], result["stopped"]
    watched = result["watched"]
    rss = max(one["rss_most_bytes"] - one["rss_before_bytes"] for one in watched)
    ratio = stopped["p99_ms"] / reading["p99_ms"]
    return [
        (
            (
                f"{plan['agents']} agents, {plan['rounds_per_second']:g} rounds a second, "
                "everybody reads: p50 / p95 / p99"
            ),
            _latency(reading),
        ),
        ("the same while one consumer does not read", _latency(stopped)),
        ("p99 with it, divided by p99 without", f"{ratio:.2f}"),
        (
            f"the consumer is warned, at {plan['messages_per_second']:g} messages a second",
            _each(watched, "warned_after"),
        ),
        ("it is disconnected, as `slow_consumer`", _each(watched, "closed_after")),
        ("memory that its messages take", f"{max(rss, 0.0) / MIB:.0f} MiB"),
        _own_lag(reading, stopped),
    ]


def _own_lag(*stretches: Result) -> Row:
    """Say how far the measuring process itself can be blamed for what it measured."""
    latest = max(one["own_lag_p99_ms"] for one in stretches)
    return "how late the measuring process itself was, p99", f"{_short(latest)} ms"


def _latency(figures: Result) -> str:
    return " / ".join(_short(figures[f"p{percent}_ms"]) for percent in (50, 95, 99)) + " ms"


def _short(milliseconds: float) -> str:
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.1f}"


def _each(watched: Sequence[Result], name: str) -> str:
    """Return the moments of all stretches, in the order they were played."""
    return ", ".join(f"after {one[name]:.1f} s" if name in one else "never" for one in watched)
