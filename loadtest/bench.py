"""Measure contract-net rounds through the gateway, beside a relay that checks nothing.

    python -m loadtest.bench --quick
    python -m loadtest.bench --contractors 12 --in-flight 1,32 --repeats 5 --out result.json
    python -m loadtest.bench --profile profiles/

The agents of a run live in this process, on one core; the server is a process of its own, on
another. docs/performance.md says what each figure means.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

CONTRACTORS = (5, 12, 50)
IN_FLIGHT = (1, 8, 32, 128)
QUICK_IN_FLIGHT = (1, 32)
PROFILED = (12, 32)
PROFILE_SECONDS = 10.0
TABLE_COLUMNS = 100
HISTORY = Path(".llmx", "bench-history.jsonl")
CLIENT_GRPC_EXPERIMENTS = "-event_engine_client,-event_engine_listener"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns 0, or 1 with a sentence when it could not be run."""
    options = parse(arguments)
    # grpc reads its environment when it is imported, so this comes before.
    os.environ.setdefault("GRPC_EXPERIMENTS", CLIENT_GRPC_EXPERIMENTS)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    if options.client_core is not None:
        os.sched_setaffinity(0, {options.client_core})
    from loadtest.conducting import RoundsFailed
    from loadtest.servers import ServerFailed

    try:
        _run(options)
    except (RoundsFailed, ServerFailed) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; a wrong one ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="in under a minute: shorter and fewer cases")
    add("--contractors", type=_numbers(1_000), help="how many, %(default)s", default=CONTRACTORS)
    add("--in-flight", type=_numbers(4_096), help="rounds at a time, 1,8,32,128")
    add("--rounds", type=number_to(10_000_000), help="end a case after so many rounds")
    add("--seconds", type=float, help="end a case after so many seconds (3; 0.6 if quick)")
    add("--repeats", type=number_to(50), default=3, help="how often each case is played, 3")
    add("--only", choices=("ours", "floor"), help="play against one of the two")
    add("--out", type=Path, help="write the whole result to this file, as JSON")
    add("--history", type=Path, default=HISTORY, help="append a line to this file")
    add("--profile", type=Path, metavar="FOLDER", help="profile the gateway instead, 12 × 32")
    add("--server-core", type=core_in, default=own_core(0), help="a number, or any")
    add("--client-core", type=core_in, default=own_core(1), help="a number, or any")
    options = parser.parse_args(arguments)
    options.in_flight = options.in_flight or (QUICK_IN_FLIGHT if options.quick else IN_FLIGHT)
    if options.seconds is None:
        options.seconds = 0.6 if options.quick else 3.0
    if not 0.05 <= options.seconds <= 3_600:
        parser.error("--seconds must be 0.05 to 3600")
    return options


def _run(options: argparse.Namespace) -> None:
    """Play, show and write; grpc is imported from here on."""
    import uvloop
    from rich.console import Console

    from loadtest import micro, profiling, report
    from loadtest.comparison import Plan, compare
    from loadtest.rounds import Case
    from loadtest.targets import chosen, ours

    console = Console(stderr=True)
    gc.set_threshold(50_000, 20, 100)
    if options.profile is not None:
        options.profile.mkdir(parents=True, exist_ok=True)
        case = Case(*PROFILED, PROFILE_SECONDS, sys.maxsize, 1.0, "profile")
        with tempfile.TemporaryDirectory(prefix="llmx-bench-") as folder:
            target = ours(Path(folder, "state"))
            figures, files = uvloop.run(
                profiling.profile(target, case, options.profile, options.server_core)
            )
        console.print(f"{figures['rounds_per_second']:.0f} rounds/s while it was watched")
        print(*files, sep="\n")
        return
    machine = report.facts()
    plan = Plan(
        contractors=options.contractors,
        in_flight=options.in_flight,
        seconds=options.seconds,
        rounds_max=options.rounds or sys.maxsize,
        warm_up_seconds=min(0.2 if options.quick else 0.7, options.seconds),
        repeats=options.repeats,
        server_core=options.server_core,
    )
    with tempfile.TemporaryDirectory(prefix="llmx-bench-") as folder:
        targets = chosen(options.only, Path(folder, "state"))
        console.print(f"about {plan.seconds_expected(len(targets)):.0f} s to go")
        compared = uvloop.run(compare(targets, plan, Path(folder), console.print))
    costs = micro.costs() if options.only != "floor" else []
    settings = {
        name: getattr(options, name)
        for name in ("quick", "seconds", "repeats", "server_core", "client_core")
    }
    report.write(report.as_json(machine, settings, compared, costs), options.out, options.history)
    report.show(compared, costs, Console(width=max(console.width, TABLE_COLUMNS)))


def number_to(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most}")
        return int(text)

    return read


def _numbers(most: int) -> Callable[[str], tuple[int, ...]]:
    number = number_to(most)

    def read(text: str) -> tuple[int, ...]:
        return tuple(dict.fromkeys(number(part) for part in text.split(",")))

    return read


def core_in(text: str) -> int | None:
    if text == "any":
        return None
    if text.isascii() and text.isdigit() and int(text) in os.sched_getaffinity(0):
        return int(text)
    allowed = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
    raise argparse.ArgumentTypeError(f"{text!r} is no core of this process; it has {allowed}")


def own_core(place: int) -> int | None:
    """Return the core at a place among those of this process, None when there are not two."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[place] if len(cores) > 1 else None


if __name__ == "__main__":
    sys.exit(main())
