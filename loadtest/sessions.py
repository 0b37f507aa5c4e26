"""Measure what five thousand idle sessions cost, those who work beside them, and their return.

    python -m loadtest.sessions
    python -m loadtest.sessions --quick
    python -m loadtest.sessions --sessions 5000 --active 500 --seconds 10 --out result.json

One gateway; a crowd of idle agents in a process of its own; groups that negotiate at a fixed
rate, well below what the gateway can do, in this one. The active ones are measured without
and with the crowd, in turn; then every connection of the crowd is cut at once, and at last
the gateway is killed and started again. docs/reliability.md says what each figure means.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

GROUP_AGENTS = 12.5
"""How many agents a group has, on average: an initiator and 11 or 12 contractors."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement; returns 0, or 1 with a sentence when it could not be run."""
    options = parse(arguments)
    if options.client_core is not None:
        os.sched_setaffinity(0, {options.client_core})
    import uvloop

    from loadtest import reliability, report
    from loadtest.crowd import raise_file_limit
    from loadtest.scenes import SceneFailed
    from loadtest.servers import ServerFailed
    from loadtest.storms import Plan, play
    from loadtest.traffic import TrafficFailed

    plan = Plan(
        sessions=options.sessions,
        active=options.active,
        groups=max(round(options.active / GROUP_AGENTS), 1),
        rounds_per_second=options.rate,
        seconds=options.seconds,
        repeats=options.repeats,
        grace=options.grace,
        heartbeat=options.heartbeat,
        server_core=options.server_core,
    )
    needed = plan.sessions + plan.active + 200
    if (files := raise_file_limit()) < needed:
        print(f"sessions: {needed} open files are needed, {files} allowed", file=sys.stderr)
        return 1
    gc.set_threshold(50_000, 20, 100)
    machine = report.facts()
    print(f"about {plan.seconds_expected():.0f} s to go", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="llmx-sessions-") as folder:
        try:
            measured = uvloop.run(play(plan, Path(folder), _tell))
        except (SceneFailed, ServerFailed, TrafficFailed, ExceptionGroup) as error:
            print(f"sessions: {error}", file=sys.stderr)
            return 1
    result = {"machine": machine, **measured}
    if options.out is not None:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    command = f"python -m loadtest.sessions{' --quick' if options.quick else ''}"
    table = reliability.as_table(command, machine, reliability.rows_of_sessions(result))
    print(table)
    if options.page is not None:
        reliability.refresh(options.page, "sessions", table)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; a wrong one ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.sessions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="200 sessions and 20 active ones, in under 40 s")
    add("--sessions", type=int, help="idle ones, 5000")
    add("--active", type=int, help="agents that negotiate, 500")
    add("--rate", type=float, help="rounds a second of all groups, 60")
    add("--seconds", type=float, help="how long each stretch is, 10")
    add("--repeats", type=int, help="stretches without and with the crowd, 3")
    add("--grace", type=float, help="the gateway's reconnect_grace_seconds, 30")
    add("--heartbeat", type=float, default=25.0, help="seconds between heartbeats, 25")
    add("--out", type=Path, help="write the whole result to this file, as JSON")
    add("--page", type=Path, help="refresh the table in this page, docs/reliability.md")
    add("--server-core", type=core_of, default=own_core(0), help="a number, or any")
    add("--client-core", type=core_of, default=own_core(1), help="a number, or any")
    options = parser.parse_args(arguments)
    quick = {
        "sessions": 200,
        "active": 20,
        "rate": 30.0,
        "seconds": 1.0,
        "repeats": 1,
        "grace": 5.0,
    }
    full = {
        "sessions": 5_000,
        "active": 500,
        "rate": 60.0,
        "seconds": 10.0,
        "repeats": 3,
        "grace": 30.0,
    }
    for name, value in (quick if options.quick else full).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    for name, least, most in (
        ("sessions", 1, 20_000),
        ("active", 2, 2_000),
        ("rate", 0.1, 10_000),
        ("seconds", 0.2, 600),
        ("repeats", 1, 20),
        ("grace", 0.5, 600),
        ("heartbeat", 0.5, 600),
    ):
        if not least <= getattr(options, name) <= most:
            parser.error(f"--{name} must be {least} to {most}")
    return options


def own_core(place: int) -> int | None:
    """Return the core at a place among those of this process, None when there are not two."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[place] if len(cores) > 1 else None


def core_of(text: str) -> int | None:
    """Read a core from the command line; None for any."""
    if text == "any":
        return None
    if text.isascii() and text.isdigit() and int(text) in os.sched_getaffinity(0):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no core of this process")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
