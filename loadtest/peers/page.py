"""Peers beside ours and the floor, as Markdown: the figures, and fairly what each does not do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from loadtest.figures import Compared, Figures
from loadtest.peers.roll import PEERS
from loadtest.reliability import taken_by

OURS = (
    "Ours: a token per stream; sender, rate, duplicates, strict JSON, schema and capability of "
    "every message checked by the gateway; deliveries acknowledged and sent again; the decision "
    "made by the gateway and recorded in memory. Left out: a disk. With awards and mailboxes kept "
    "in files it is slower."
)
FLOOR = "Floor: nothing but the relay. No token, check, confirmation, repeat or decision."


def as_text(command: str, machine: Mapping[str, Any], compared: Sequence[Compared]) -> str:
    """Return the cases that peers have played, and a note on each system."""
    cases = [one for one in compared if any(name in PEERS for name in one.targets)]
    lines = [
        f"{taken_by(command, machine)}; {_versions(machine)}; medians:",
        "",
        (
            "| n | in flight | system | rounds/s | by the floor | last offer p50 / p95 ms | "
            "outcome p50 / p95 ms | server CPU ms | agents' CPU ms |"
        ),
        "| --- " * 9 + "|",
    ]
    for one in cases:
        ranked = sorted(one.targets.items(), key=lambda pair: -pair[1]["rounds_per_second"])
        lines += [_row(one, name, figures) for name, figures in ranked]
    names = dict.fromkeys(name for one in cases for name in one.targets if name in PEERS)
    notes = [
        f"{PEERS[name].title}: {PEERS[name].carries}. Left out: {PEERS[name].leaves_out}."
        for name in names
    ]
    return "\n".join([*lines, "", *(f"- {note}" for note in (OURS, FLOOR, *notes))])


def _row(one: Compared, name: str, figures: Figures) -> str:
    ratio = one.ratio("rounds_per_second", name)
    cells = (
        f"{one.contractors}",
        f"{one.in_flight}",
        PEERS[name].title if name in PEERS else f"**{name}**",
        f"{figures['rounds_per_second']:,.0f}",
        "–" if ratio is None else f"{ratio:.2f}",
        _two(figures, "last_offer"),
        _two(figures, "last_outcome"),
        f"{figures['server_cpu_s_per_1000_rounds']:.2f}",
        f"{figures['client_cpu_s_per_1000_rounds']:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def _two(figures: Figures, name: str) -> str:
    values = [figures[f"{name}_p{percent}_ms"] for percent in (50, 95)]
    return " / ".join("–" if math.isnan(value) else f"{value:.3g}" for value in values)


def _versions(machine: Mapping[str, Any]) -> str:
    found: dict[str, str] = {}
    for versions in machine.get("peers", {}).values():
        found |= versions
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items()))
