"""`python -m loadtest.market`: every table and picture of docs/market.md, by one command.

python -m loadtest.market --quick     in half a minute, to look at it
python -m loadtest.market             all of it, to standard output; some minutes
python -m loadtest.market --docs      and into docs/market.md and docs/market/
python -m loadtest.market --live      with real agents over two gateways, in about a minute
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from loadtest.market import page
from loadtest.market.adversaries import hoarding, lies, system_class
from loadtest.market.arms import ARMS
from loadtest.market.clock import Figures, figures, played
from loadtest.market.collusion import RATE, detection
from loadtest.market.live import SMALL, Size, live
from loadtest.market.rate_limit import traffic
from loadtest.market.scale import SIZES, scale
from loadtest.market.world import Demand, World
from loadtest.plots import lines
from loadtest.report import facts
from policy.noise import NoiseRule

GRANT = 100.0
"""Credits that each agent has in an hour."""
ENDLESS = 1e6
DOCS = Path(__file__).resolve().parents[2] / "docs"


@dataclass(frozen=True)
class Extent:
    """How much is run."""

    seeds: int
    hours: float
    liar_hours: float
    """Liars are few, and each needs twenty tasks to be judged by."""
    ring_seeds: int
    ring_rounds: tuple[int, ...]
    sizes: tuple[int, ...]


FULL = Extent(3, 12.0, 48.0, 50, (400, 700, 1_000, 1_500, 2_500), SIZES)
QUICK = Extent(1, 3.0, 48.0, 3, (1_000,), SIZES[:3])


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.market", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller run, half a minute")
    parser.add_argument("--docs", action="store_true", help="write docs/market.md and its pictures")
    parser.add_argument("--live", action="store_true", help="over two real gateways, a minute")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    given = parser.parse_args()
    if given.live:
        _live(given.quick, given.docs, given.json)
        return
    text, pictures, raw = results(
        QUICK if given.quick else FULL, lambda line: print(line, flush=True)
    )
    print(text)
    if given.json is not None:
        given.json.write_text(json.dumps({"machine": facts(), **raw}, indent=1, default=_plain))
    if given.docs:
        path = DOCS / "market.md"
        path.write_text(page.placed(path.read_text("utf-8"), text), "utf-8")
        (DOCS / "market").mkdir(exist_ok=True)
        for name, picture in pictures.items():
            (DOCS / "market" / name).write_text(picture, "utf-8")


def _live(quick: bool, docs: bool, as_json: Path | None) -> None:
    """Run the market over real gateways."""
    machine = facts()
    seen = live(SMALL if quick else Size(), lambda line: print(line, flush=True))
    where = (
        f"Commit {machine['commit']}, {machine['system']}, {machine['cores']} cores, Python "
        f"{machine['python']}, load before {machine['load_before']}.\n"
    )
    text = f"{where}\n{page.live_text(seen)}"
    print(text)
    if as_json is not None:
        raw = {"machine": machine, "live": seen}
        as_json.write_text(json.dumps(raw, indent=1, default=_plain))
    if docs:
        path = DOCS / "market.md"
        whole = page.placed(path.read_text("utf-8"), text, page.BEGIN_LIVE, page.END_LIVE)
        path.write_text(whole, "utf-8")


def results(
    extent: Extent, say: Callable[[str], None]
) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Return the tables, the pictures by name, and all figures."""
    apart, together = Demand(hours=extent.hours), Demand(hours=extent.hours, together=0.8)
    alone, teams = _arms(apart, extent.seeds, say), _arms(together, extent.seeds, say)
    crowd = Demand(agents=100, slots=8, hours=extent.liar_hours, idle=4200.0, urgent=0.8)
    liars = [lies(seed, crowd) for seed in range(extent.seeds)]
    say("liars done")
    short = Demand(hours=min(extent.hours, 6.0))
    hoard = {
        "credits without end": hoarding(1, short, ENDLESS),
        "the same, and noise costs up to 10 times": hoarding(1, short, ENDLESS, NoiseRule()),
        f"a budget of {GRANT:g} credits an hour": hoarding(1, short, GRANT),
    }
    say("hoarder done")
    system = {
        "a fifth of the slots is reserved": [system_class(s, 0.2) for s in range(extent.seeds)],
        "nothing is reserved": [system_class(s, 0.0) for s in range(extent.seeds)],
    }
    rings = {
        f"bold, {rounds:,} ({rounds * RATE:,.0f} probed)": detection(extent.ring_seeds, rounds)
        for rounds in extent.ring_rounds
    }
    most = extent.ring_rounds[-1]
    rings[f"timid, {most:,} ({most * RATE:,.0f} probed)"] = detection(
        extent.ring_seeds, most, bold=False
    )
    say("rings done")
    api = {"first come": traffic(1, market=False), "token market": traffic(1, market=True)}
    sizes = [scale(size) for size in extent.sizes]
    machine = facts()
    where = (
        f"Commit {machine['commit']}, {machine['system']}, {machine['cores']} cores, Python "
        f"{machine['python']}; {extent.seeds} seeds of {extent.hours:g} simulated hours.\n"
    )
    text = "\n".join(
        (
            where,
            "Bursts of each agent by itself:\n",
            page.arms_table(alone),
            "Four of five bursts begin with those of the team:\n",
            page.arms_table(teams),
            page.lies_table(liars),
            page.rings_table(rings),
            page.hoarding_table(hoard),
            page.system_table(system),
            page.traffic_table(api),
            page.scale_table(sizes),
        )
    )
    pictures = {"in-use.svg": _in_use(teams)}
    if len(extent.ring_rounds) > 1:
        bold = list(rings.values())[:-1]
        probed = [rounds * RATE for rounds in extent.ring_rounds]
        pictures["rings.svg"] = lines(
            "A ring of five among forty buyers",
            "probed rounds",
            f"mean of {extent.ring_seeds} seeds",
            {
                "recall": list(zip(probed, [one.recall for one in bold], strict=True)),
                "precision": list(
                    zip(probed, [one.precision if one.recall else 1.0 for one in bold], strict=True)
                ),
            },
        )
    raw = {
        "apart": alone,
        "together": teams,
        "liars": liars,
        "hoarder": hoard,
        "system": system,
        "rings": rings,
        "api": api,
        "scale": sizes,
    }
    return text, pictures, raw


def _arms(demand: Demand, seeds: int, say: Callable[[str], None]) -> dict[str, list[Figures]]:
    by_arm: dict[str, list[Figures]] = {}
    for name, arm in ARMS.items():
        by_arm[name] = [
            figures(name, *played(World(demand, seed), arm, GRANT)) for seed in range(seeds)
        ]
        say(f"{name} done, together {demand.together:g}")
    return by_arm


def _in_use(by_arm: dict[str, list[Figures]]) -> str:
    series = {}
    for name, runs in by_arm.items():
        part = [fmean(run.busy[place] for run in runs) for place in range(len(runs[0].busy))]
        smooth = [fmean(part[max(0, at - 1) : at + 2]) for at in range(len(part))]
        series[name] = [(at / 6, used) for at, used in enumerate(smooth)]
    return lines("Slots in use", "hours", "part of 40 slots", series)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{value!r} is no figure")


if __name__ == "__main__":
    main()
