"""Put into words what `loadtest.presence` has measured."""

from __future__ import annotations

from typing import Any


def rows_of(result: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the figures in words."""
    plan, start, join = result["plan"], result["start"], result["join"]
    leave = result["leave"]
    alike, distinct = result["memory"]["alike"], result["memory"]["distinct"]
    return [
        (
            (
                f"memory of one gateway that knows {plan['agents']:,} agents, "
                f"{alike['own_agents']:,} of them its own"
            ),
            f"{_mib(alike['bytes'])}, {alike['bytes_an_agent']:.0f} bytes an agent",
        ),
        (
            "the same where no two agents can do or hear the same",
            f"{_mib(distinct['bytes'])}, {distinct['bytes_an_agent']:.0f} bytes an agent",
        ),
        (
            f"all {plan['gateways']} start at once: bytes on all links",
            f"{_mib(start['bytes'])}, {join['bytes_an_agent']:.0f} bytes an agent and link",
        ),
        (
            f"until all know everything{_unless(start['agree'])}: CPU of the busiest gateway",
            f"{start['cpu_seconds_most']:.2f} s",
        ),
        (
            f"gateway number {plan['gateways'] + 1} joins: bytes that it hears, and tells",
            f"{_mib(join['bytes_heard'])}, {join['bytes_told']:,} bytes",
        ),
        (
            f"until it knows everything{_unless(join['agree'])}: its CPU, and of each other one",
            f"{join['hearing_seconds']:.2f} s, {join['making_seconds'] * 1e3:.0f} ms",
        ),
        ("the longest pause of it", f"{join['longest_pause'] * 1e3:.0f} ms"),
        *map(_row_of_change, (result["change"], result["changes"])),
        (
            f"a snapshot of {leave['agents']:,} agents in which nothing is new: CPU to hear it",
            f"{result['again']['hearing_seconds'] * 1e3:.0f} ms",
        ),
        (
            f"a gateway with {leave['agents']:,} agents is gone: CPU of each other one",
            f"{leave['forgetting_seconds'] * 1e3:.0f} ms",
        ),
        ("a check, to each gateway now and then", f"{join['check_bytes']} bytes"),
    ]


def _row_of_change(change: dict[str, Any]) -> tuple[str, str]:
    times = (change["telling_seconds_each"] * 1e6, change["hearing_seconds_each"] * 1e6)
    return (
        (
            f"an agent changes, {change['together']:,} told together: to each gateway, "
            f"CPU to tell all, CPU to hear{_unless(change['agree'])}"
        ),
        f"{change['bytes_each']:.0f} bytes, {times[0]:.0f} µs, {times[1]:.0f} µs",
    )


def _mib(size: float) -> str:
    return f"{size / (1 << 20):.1f} MiB"


def _unless(is_so: bool) -> str:
    return "" if is_so else " (they do not agree)"
