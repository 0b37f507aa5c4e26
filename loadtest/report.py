"""Show what was measured: a table for people, JSON for programs, a line for the history.

The facts of the machine and the commit travel with every result, because a figure without
them cannot be compared with another one.
"""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from loadtest import awake
from loadtest.figures import Compared
from loadtest.micro import Cost
from loadtest.peers.roll import PEERS

LIBRARIES = ("grpcio", "protobuf", "uvloop", "jsonschema-rs", "orjson")
GIT_SECONDS_MAX = 5.0


def facts() -> dict[str, object]:
    """Return what has to be known of machine, libraries and commit to compare results."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "cores_awake": awake.is_on(),
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def as_json(
    machine: Mapping[str, object],
    settings: Mapping[str, object],
    compared: Sequence[Compared],
    costs: Sequence[Cost],
) -> dict[str, object]:
    """Return the result as plain values; the repeats are in it, so that medians can be checked."""
    return {
        "machine": dict(machine),
        "settings": dict(settings),
        "cases": [
            {
                "contractors": one.contractors,
                "in_flight": one.in_flight,
                "targets": {name: _rounded(figures) for name, figures in one.targets.items()},
                "ours_over_floor": {
                    figure: round(ratio, 3)
                    for figure in _COMPARED
                    if (ratio := one.ratio(figure)) is not None
                },
                "over_floor": {
                    name: {
                        figure: round(ratio, 3)
                        for figure in _COMPARED
                        if not math.isnan(ratio := one.ratio(figure, name) or math.nan)
                    }
                    for name in one.targets
                    if name in PEERS
                },
                "repeats": {
                    name: [_rounded(figures) for figures in repeats]
                    for name, repeats in one.repeats.items()
                },
            }
            for one in compared
        ],
        "micro": [
            {"what": cost.what, "microseconds": round(cost.microseconds, 3)} for cost in costs
        ],
    }


def write(result: Mapping[str, object], out: Path | None, history: Path) -> None:
    """Write the result to `out` and, without its repeats, as one line to the history."""
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=1) + "\n")
    history.parent.mkdir(parents=True, exist_ok=True)
    cases = result["cases"]
    assert isinstance(cases, list), "as_json made it"
    short = [{key: case[key] for key in case if key != "repeats"} for case in cases]
    with history.open("a") as lines:
        lines.write(json.dumps({**result, "cases": short}, separators=(",", ":")) + "\n")


def show(compared: Sequence[Compared], costs: Sequence[Cost], console: Console) -> None:
    """Print the tables."""
    console.print(_rounds_table(compared))
    for name in dict.fromkeys(name for one in compared for name in one.targets):
        if (peer := PEERS.get(name)) is not None:
            console.print(
                f"{peer.title}: {peer.carries}. Left out: {peer.leaves_out}.", style="dim"
            )
    if costs:
        console.print(_costs_table(costs))


def _rounds_table(compared: Sequence[Compared]) -> Table:
    table = Table(
        title="Contract-net rounds with n contractors, f in flight; CPU per round; medians",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    for name in ("n", "f", ""):
        table.add_column(name, justify="right" if name else "left", no_wrap=True)
    for name in (
        "rounds/s",
        "offers ms\np50/p95/p99",
        "outcome ms\np50/p95/p99",
        "server\nCPU ms",
        "client\nCPU ms",
        "msgs\n/frame",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for one in compared:
        for name, figures in one.targets.items():
            table.add_row(
                str(one.contractors),
                str(one.in_flight),
                PEERS[name].title if name in PEERS else name,
                f"{figures['rounds_per_second']:,.0f}",
                _latencies(figures, "last_offer"),
                _latencies(figures, "last_outcome"),
                f"{figures['server_cpu_s_per_1000_rounds']:.3f}",
                f"{figures['client_cpu_s_per_1000_rounds']:.3f}",
                "" if name in PEERS else f"{figures['messages_per_frame']:.1f}",
            )
        ratios = [one.ratio(figure) for figure in _COMPARED]
        if None not in ratios:
            shown = [f"{ratio:.2f}" for ratio in ratios]
            table.add_row("", "", "ours/floor", *shown, "", style="bold")
        table.add_section()
    return table


def _costs_table(costs: Sequence[Cost]) -> Table:
    table = Table(
        title="What the parts cost, without a wire", box=box.SIMPLE_HEAD, title_justify="left"
    )
    table.add_column("what")
    table.add_column("µs", justify="right")
    for cost in costs:
        table.add_row(cost.what, f"{cost.microseconds:.2f}")
    return table


_COMPARED = (
    "rounds_per_second",
    "last_offer_p50_ms",
    "last_outcome_p50_ms",
    "server_cpu_s_per_1000_rounds",
    "client_cpu_s_per_1000_rounds",
)


def _latencies(figures: Mapping[str, float], name: str) -> str:
    return "/".join(_short(figures[f"{name}_p{percent}_ms"]) for percent in (50, 95, 99))


def _short(milliseconds: float) -> str:
    """Return three digits, which is more than repeats agree on."""
    if math.isnan(milliseconds):
        return "–"
    return f"{milliseconds:.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items() if not math.isnan(value)}


def _git(*arguments: str) -> str:
    """Return what git says here, nothing when there is no git or no repository."""
    try:
        answer = subprocess.run(
            ["git", *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS_MAX,
            check=False,
            cwd=Path(__file__).parent,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
