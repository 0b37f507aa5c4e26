"""Measure contract-net rounds through the gateway, beside a relay that checks nothing, and peers.

    python -m loadtest.bench --quick
    python -m loadtest.bench --contractors 12 --in-flight 1,32 --repeats 5 --out result.json
    python -m loadtest.bench --peers nats,a2a --contractors 12 --in-flight 8
    python -m loadtest.bench --profile profiles/

Peers are what people would use instead (`loadtest.peers`); those that are not installed are
skipped with a word. They play with twelve contractors, 1 and 32 rounds in flight; every case when
they are named, none with `--peers none`. The agents of a run live in this process, on one core; the
server is a process of its own, on another. docs/performance.md says what each figure means.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from loadtest.peers.roll import PEERS

CONTRACTORS = (5, 12, 50)
IN_FLIGHT = (1, 8, 32, 128)
QUICK_IN_FLIGHT = (1, 32)
PROFILED = (12, 32)
PROFILE_SECONDS = 10.0
TABLE_COLUMNS = 100
MARK, PROFILE_MARK = "peers", "profile"
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
    from loadtest.reliability import PageError
    from loadtest.servers import ServerFailed

    try:
        _run(options)
    except (RoundsFailed, ServerFailed, PageError) as error:
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
    add("--peers", type=_peers, help="all, none, or names of: " + ", ".join(PEERS))
    add("--out", type=Path, help="write the whole result to this file, as JSON")
    add("--page", type=Path, help="refresh the table in this page, docs/performance.md")
    add("--history", type=Path, default=HISTORY, help="append a line to this file")
    add("--profile", type=Path, metavar="FOLDER", help="profile the gateway instead, 12 × 32")
    add("--server-core", type=core_in, default=own_core(0), help="a number, or any")
    add("--client-core", type=core_in, default=own_core(1), help="a number, or any")
    options = parser.parse_args(arguments)
    options.asked = sys.argv[1:] if arguments is None else list(arguments)
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

    from loadtest import micro, profiling, reliability, report
    from loadtest.comparison import Plan, compare
    from loadtest.peers import orders, page
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
        if options.page is not None:
            summary = (options.profile / profiling.SUMMARY).read_text()
            taken_by = reliability.taken_by(command_of(options.asked), report.facts())
            reliability.refresh(options.page, PROFILE_MARK, f"{taken_by}:\n\n{summary}")
        return
    machine = report.facts()
    wanted = (() if options.only else tuple(PEERS)) if options.peers is None else options.peers
    peers, skipped = orders.found(wanted)
    for sentence in skipped:
        console.print(sentence)
    machine["peers"] = {peer.name: dict(peer.versions) for peer in peers}
    plan = Plan(
        contractors=options.contractors,
        in_flight=options.in_flight,
        seconds=options.seconds,
        rounds_max=options.rounds or sys.maxsize,
        warm_up_seconds=min(0.2 if options.quick else 0.7, options.seconds),
        repeats=options.repeats,
        server_core=options.server_core,
        peers=peers,
        peers_everywhere=options.peers is not None,
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
    if options.page is not None:
        text = page.as_text(command_of(options.asked), machine, compared)
        reliability.refresh(options.page, MARK, text)


def command_of(asked: Sequence[str]) -> str:
    """Return the command that measures the same again, wherever its results were written."""
    where = ("--page", "--out", "--history")
    said = [
        word
        for before, word in zip(["", *asked], asked, strict=False)
        if before not in where and word.partition("=")[0] not in where
    ]
    return " ".join(["python -m loadtest.bench", *said])


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


def _peers(text: str) -> tuple[str, ...]:
    if text in {"all", "none"}:
        return tuple(PEERS) if text == "all" else ()
    names = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in PEERS]:
        known = ", ".join(PEERS)
        raise argparse.ArgumentTypeError(f"there is no peer {unknown[0]!r}; there are {known}")
    return names


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
