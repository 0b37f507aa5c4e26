"""Put into tables what `loadtest.hops` has measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loadtest.reliability import taken_by

Result = Mapping[str, Any]
Row = Sequence[str]


def as_text(command: str, result: Result) -> str:
    """Return the tables, under the command that measured them."""
    repeats = max(
        (len(one["repeats"]) for part in ("direct", "rounds", "awards") for one in result[part]),
        default=0,
    )
    parts = [
        f"{taken_by(command, result['machine'])}; medians of {repeats}, {result['seconds']:.0f} s:"
    ]
    if result["direct"]:
        parts += _direct(result)
    if result["rounds"]:
        parts += _rounds(result)
    if result["awards"]:
        parts += _awards(result)
    return "\n\n".join(parts)


def _direct(result: Result) -> list[str]:
    sides = {one["way"]: one["figures"] for one in result["direct"]}
    base = sides["one gateway"]
    many = result["messages_in_flight"]
    rows = [
        (
            way,
            _latency(one, "single_"),
            f"{one['single_cpu_us']:,.0f}",
            f"{one['many_per_second']:,.0f}",
            f"{one['many_cpu_us']:.1f}",
            f"{one['many_cpu_us'] / base['many_cpu_us']:.2f}",
        )
        for way, one in sides.items()
    ]
    head = (
        "a direct message",
        "alone: p50 / p95 / p99 ms",
        "alone: CPU µs",
        f"{many} on their way: a second",
        f"{many} on their way: CPU µs",
        "to one gateway",
    )
    unix, tcp = (
        f"{1 - base['many_cpu_us'] / sides[way]['many_cpu_us']:.0%}"
        for way in ("Unix socket", "TCP")
    )
    sentence = (
        f"Of the CPU that a federated message costs, the hop is {unix} over a Unix socket and "
        f"{tcp} over TCP; the rest is what a message costs on one gateway."
    )
    return [_table(head, rows), sentence]


def _rounds(result: Result) -> list[str]:
    by_case = {(one["gateways"], one["load"]): one["figures"] for one in result["rounds"]}
    alone = by_case[(1, "local")]
    rows = []
    for (count, load), one in by_case.items():
        local = by_case[(count, "local")]
        rows.append(
            (
                str(count),
                load,
                f"{one['rounds_per_second']:,.0f}",
                _latency(one),
                f"{one['messages_per_cpu_second']:,.0f}",
                _ratio(one, alone, "messages_per_cpu_second"),
                f"{one['cpu_us_per_message']:.1f}",
                _ratio(one, local, "cpu_us_per_message"),
            )
        )
    head = (
        "gateways",
        "load",
        "rounds/s",
        "outcome p50 / p95 / p99 ms",
        "messages a gateway CPU second",
        "to one gateway",
        "CPU µs a message",
        "to local",
    )
    return [_table(head, rows)]


def _awards(result: Result) -> list[str]:
    rows = []
    by_case = {(one["in_flight"], one["awards"]): one["figures"] for one in result["awards"]}
    for (in_flight, awards), one in by_case.items():
        without = by_case[(in_flight, "none")]
        rows.append(
            (
                str(in_flight),
                f"`{awards}`",
                _latency(one),
                f"{one['rounds_per_second']:,.0f}",
                _ratio(one, without, "rounds_per_second"),
                f"{one['cpu_us_per_round']:,.0f}",
                f"{one['also_cpu_us_per_round']:,.0f}",
            )
        )
    head = (
        "in flight",
        "`federation.awards`",
        "outcome p50 / p95 / p99 ms",
        "rounds/s",
        "to none",
        "gateway CPU µs a round",
        f"CPU µs of etcd {result['etcd']} a round",
    )
    return [_table(head, sorted(rows, key=lambda row: int(row[0])))]


def _table(head: Row, rows: Sequence[Row]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _latency(figures: Mapping[str, float], prefix: str = "") -> str:
    return " / ".join(_short(figures[f"{prefix}p{percent}_ms"]) for percent in (50, 95, 99))


def _ratio(figures: Mapping[str, float], base: Mapping[str, float], name: str) -> str:
    return f"{figures[name] / base[name]:.2f}"


def _short(milliseconds: float) -> str:
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"
