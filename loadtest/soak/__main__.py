"""`python -m loadtest.soak`: ten million random steps over every protocol.

It prints its seed, and for what is broken the command that shows it again. Exit code 0: nothing
is. 1: something is.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys

from loadtest.soak.crew import Tally, last_events, seed_of, soak_on_all, words
from loadtest.soak.drawers import drawer_of
from loadtest.soak.play import Found, play
from policy.protocols import PROTOCOLS

STEPS = 10_000_000


def main(arguments: list[str] | None = None) -> int:
    """Run the soak; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.soak", description=__doc__)
    parser.add_argument("--steps", type=int, default=STEPS, help="in all; %(default)s")
    parser.add_argument("--seed", type=int, default=None, help="drawn when absent, and printed")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--protocol", choices=sorted(PROTOCOLS), action="append")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="play one, and print it")
    given = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    names = given.protocol or list(PROTOCOLS)
    if given.only is not None:
        return _show(seed, names[0], given.only)
    print(
        f"seed {seed}: {given.steps:,} steps over {len(names)} protocols in "
        f"{given.processes} processes",
        flush=True,
    )
    tally = soak_on_all(seed, given.steps, names, given.processes)
    _report(tally)
    for failure in tally.failures:
        print(failure, file=sys.stderr)
    return 1 if tally.failures else 0


def _show(seed: int, name: str, number: int) -> int:
    try:
        played = play(PROTOCOLS[name], drawer_of(name), seed_of(seed, name, number), number)
    except Found as found:
        print(words(seed, name, found))
        return 1
    print(*last_events(played, len(played.events)), f"  it is {played.phase}", sep="\n")
    return 0


def _report(tally: Tally) -> None:
    for name, steps in tally.steps.items():
        ends = ", ".join(f"{phase} {count:,}" for phase, count in tally.phases[name].most_common())
        print(f"{name}: {steps:,} steps, {tally.negotiations[name]:,} negotiations ({ends})")
    total = sum(tally.steps.values())
    verdict = "NOT ALL HELD" if tally.failures else "every invariant held"
    print(
        f"{total:,} steps in {tally.seconds:.0f} s ({total / max(tally.seconds, 1e-9):,.0f} a "
        f"second), memory grew by {tally.grown / 2**20:.1f} MiB: {verdict}"
    )


if __name__ == "__main__":
    sys.exit(main())
