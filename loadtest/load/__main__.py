"""Put a cluster under load, and report.

    python -m loadtest.load --gateways 3 --agents 500 --shape soak --seconds 60 --rate 50
    python -m loadtest.load --curve 1,2,3,4 --agents 120 --page docs/performance.md

With a rate, calls come at their own time (open loop); with `--in-flight`, each initiator has so
many rounds open at any time, which asks for all that the cluster can do. A curve is taken so.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtest.bench import number_to
from loadtest.load.plan import AGENTS_MAX, GATEWAYS_MAX, WORKERS_MAX, LoadPlan
from loadtest.load.shapes import SHAPES

RUNS = Path("runs")
CURVE_MARK = "load-curve"
KEPT = ("locust.html", "locust.log", "locust_stats_history.csv")
OF_THIS_MACHINE = ("addresses", "secret_file", "driver_python", "folder")
"""What of a plan is gone when the run is over, and says nothing to anybody else."""
SECONDS_MAX = 86_400.0
CALLS_MAX = 100_000.0
LOADED_AGENT_SHARE = 10
"""Unless it is said: one call a second for so many agents, one for each group."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a load or a curve; returns 1 with a sentence when something went wrong."""
    from gateway.commands.trouble import CommandError
    from loadtest.load.conductor import LoadFailed
    from loadtest.reliability import PageError
    from loadtest.servers import ServerFailed

    options = parse(arguments)
    try:
        return _curve(options) if options.curve else _run(options)
    except (LoadFailed, ServerFailed, CommandError, PageError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; a wrong one ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--gateways", type=number_to(GATEWAYS_MAX), default=3, help="how many, 3")
    add("--agents", type=number_to(AGENTS_MAX), default=500, help="all together, 500")
    add("--shape", choices=SHAPES, default="soak", help="how the load changes, soak")
    add("--seconds", type=float, default=60.0, help="how long, 60")
    add("--rate", type=float, help="calls a second, by all; one in a second for each group")
    add("--in-flight", type=number_to(1_000), help="rounds open at each initiator, instead")
    add("--group", type=number_to(100), default=10, help="agents of a group, 10")
    add("--elsewhere", type=int, default=20, help="percent of contractors elsewhere, 20")
    add("--workers", type=number_to(WORKERS_MAX), default=1, help="processes of Locust, 1")
    add("--seed", type=number_to(1_000_000), default=1, help="of the arrivals, 1")
    add("--runs", type=Path, default=RUNS, help="where the folder of the run is made, runs")
    add("--curve", type=_counts, help="run once for each of these gateway counts: 1,2,3,4")
    add("--page", type=Path, help="refresh the curve in this page, docs/performance.md")
    options = parser.parse_args(arguments)
    if not 1 <= options.seconds <= SECONDS_MAX:
        parser.error(f"--seconds must be 1 to {SECONDS_MAX:g}")
    if not 0 <= options.elsewhere <= 100:
        parser.error("--elsewhere must be 0 to 100")
    if options.rate is not None and options.in_flight is not None:
        parser.error("--rate or --in-flight, not both: calls come by the clock or by each other")
    if options.rate is not None and not 0 < options.rate <= CALLS_MAX:
        parser.error(f"--rate must be over 0 and at most {CALLS_MAX:g}")
    if options.curve and (options.rate is not None or options.shape != "soak"):
        parser.error("a curve asks for all that a cluster can do: no --rate, no --shape")
    if options.group < 2 or options.agents < options.group * options.workers:
        parser.error("a group has 2 agents at least, and every worker a group")
    options.agents -= options.agents % (options.group * options.workers)
    return options


def plan_of(options: argparse.Namespace, folder: Path) -> LoadPlan:
    """Return what the options ask for; the conductor fills in where the gateways are."""
    in_flight = options.in_flight or (4 if options.curve else 0)
    rate = 0.0 if in_flight else options.rate or options.agents / LOADED_AGENT_SHARE
    return LoadPlan(
        addresses=[],
        secret_file="",
        driver_python=sys.executable,
        folder=str(folder.resolve()),
        agents=options.agents,
        shape=options.shape,
        seconds=options.seconds,
        calls_per_second=rate,
        in_flight=in_flight,
        group_agents=options.group,
        elsewhere_percent=options.elsewhere,
        workers=options.workers,
        seed=options.seed,
    )


def command_of(options: argparse.Namespace) -> str:
    """Return the command that does the same again."""
    count = (
        f"--curve {','.join(map(str, options.curve))}"
        if options.curve
        else f"--gateways {options.gateways}"
    )
    pace = f" --rate {options.rate:g}" if options.rate is not None else ""
    pace += f" --in-flight {options.in_flight}" if options.in_flight is not None else ""
    shape = "" if options.curve else f" --shape {options.shape}"
    others = "".join(
        f" --{name} {value}"
        for name, value, usual in (
            ("group", options.group, 10),
            ("elsewhere", options.elsewhere, 20),
            ("workers", options.workers, 1),
            ("seed", options.seed, 1),
        )
        if value != usual
    )
    return (
        f"python -m loadtest.load {count} --agents {options.agents}{shape} "
        f"--seconds {options.seconds:g}{pace}{others}"
    )


def _run(options: argparse.Namespace) -> int:
    from loadtest import report
    from loadtest.load import page

    machine = report.facts()
    folder, plan, summary = _loaded(options, options.gateways, machine)
    text = page.of_run(command_of(options), machine, plan, summary)
    (folder / "report.md").write_text(text, "utf-8")
    print(f"{text}\n{folder}")
    return 1 if summary["wrong"] else 0


def _curve(options: argparse.Namespace) -> int:
    from loadtest import reliability, report
    from loadtest.load import page

    machine = report.facts()
    summaries = [_loaded(options, gateways, machine)[2] for gateways in options.curve]
    if not all(one["rounds"] for one in summaries):
        print("load: a cluster ended no round at all, so there is no curve", file=sys.stderr)
        return 1
    text = page.of_curve(command_of(options), machine, summaries)
    print(text)
    if options.page is not None:
        reliability.refresh(options.page, CURVE_MARK, text)
    return 1 if any(one["wrong"] for one in summaries) else 0


def _loaded(
    options: argparse.Namespace, gateways: int, machine: Mapping[str, Any]
) -> tuple[Path, LoadPlan, Mapping[str, Any]]:
    """Run one load and write its record; returns its folder, plan and summary."""
    from loadtest.load import conductor, harvest
    from loadtest.run_records import RunRecord, new_folder

    name = f"load-{options.shape}-g{gateways}-a{options.agents}"
    folder = new_folder(options.runs, name)
    spool = folder / "spool"
    spool.mkdir()
    loaded = conductor.run(plan_of(options, spool), gateways, _tell)
    config = {
        "command": command_of(options),
        "gateways": gateways,
        "machine": machine,
        "plan": {
            name: value
            for name, value in dataclasses.asdict(loaded.plan).items()
            if name not in OF_THIS_MACHINE
        },
    }
    with RunRecord(folder, config) as record:
        summary = harvest.summary_of(loaded, harvest.gathered(loaded, record))
        record.finish(json.loads(json.dumps(summary)))
    for kept in KEPT:
        if (spool / kept).exists():
            (spool / kept).replace(folder / kept)
    shutil.rmtree(spool)  # all that it held is in the record
    return folder, loaded.plan, summary


def _counts(text: str) -> tuple[int, ...]:
    number = number_to(GATEWAYS_MAX)
    return tuple(dict.fromkeys(number(part) for part in text.split(",")))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
