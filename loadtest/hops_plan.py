"""What `loadtest.hops` is asked for on its command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtest.bench import core_in, number_to, own_core

PARTS = ("direct", "rounds", "awards")
SECONDS_MAX = 200.0
QUICK_SECONDS_MAX = 45.0
REPEATS_MAX = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What to play, and for how long."""

    parts: tuple[str, ...] = PARTS
    is_quick: bool = False
    seconds: float = 2.0
    """How long each window is."""
    warm_up_seconds: float = 0.4
    repeats: int = 3
    seconds_max: float = SECONDS_MAX
    """No repeat begins that would probably end later."""
    gateways: tuple[int, ...] = (1, 2, 3, 4)
    contractors: int = 10
    in_flight: int = 16
    """Rounds at a time, of each initiator; there is one at each gateway."""
    messages_in_flight: int = 64
    """Messages at a time, where it is their cost that is measured and not their latency."""
    awards_in_flight: tuple[int, ...] = (1, 32)
    server_core: int | None = None
    """Where gateways run while direct messages and awards are measured; with rounds they run
    anywhere."""


def parse(arguments: Sequence[str] | None, description: str) -> argparse.Namespace:
    """Return the options; a wrong one ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.hops",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="in under a minute: shorter and fewer cases")
    add("--only", choices=PARTS, help="one of the three comparisons")
    add("--repeats", type=number_to(REPEATS_MAX), help="how often each case is played, 3")
    add("--out", type=Path, help="write the whole result to this file, as JSON")
    add("--page", type=Path, help="refresh the tables in this page, docs/performance.md")
    add("--server-core", type=core_in, default=own_core(0), help="a number, or any")
    add("--client-core", type=core_in, default=own_core(1), help="a number, or any")
    return parser.parse_args(arguments)


def plan_of(options: argparse.Namespace) -> Plan:
    """Return what the options ask for."""
    parts = PARTS if options.only is None else (options.only,)
    if options.quick:
        return Plan(
            parts=parts,
            is_quick=True,
            seconds=0.6,
            warm_up_seconds=0.2,
            repeats=options.repeats or 1,
            seconds_max=QUICK_SECONDS_MAX,
            in_flight=8,
            gateways=(1, 2),
            server_core=options.server_core,
        )
    return Plan(parts=parts, repeats=options.repeats or 3, server_core=options.server_core)
