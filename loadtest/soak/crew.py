"""Many negotiations of every protocol, on every core.

Each process plays negotiations with numbers of its own. Which numbers a run reaches depends on how
many processes there are; what becomes of a number depends on the seed alone.
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from loadtest.soak.drawers import drawer_of
from loadtest.soak.play import Found, Played, play
from policy.protocols import PROTOCOLS, Protocol

WARM_SHARE = 0.1
"""The part of a run after which memory must not grow any more."""
GROWTH_BYTES_MAX = 32 * 1024 * 1024


@dataclass(slots=True)
class Tally:
    """What was played."""

    steps: dict[str, int] = field(default_factory=dict)
    """By protocol."""
    negotiations: dict[str, int] = field(default_factory=dict)
    phases: dict[str, Counter[str]] = field(default_factory=dict)
    """How negotiations ended, by protocol."""
    grown: int = 0
    """By how many bytes the largest process grew after its beginning."""
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add what another process has played."""
        for name, steps in other.steps.items():
            self.steps[name] = self.steps.get(name, 0) + steps
            self.negotiations[name] = self.negotiations.get(name, 0) + other.negotiations[name]
            self.phases[name] = self.phases.get(name, Counter()) + other.phases[name]
        self.grown = max(self.grown, other.grown)
        self.failures += other.failures


def seed_of(seed: int, protocol: str, number: int) -> str:
    """Return the seed of one negotiation."""
    return f"{seed}/{protocol}/{number}"


def soak(
    seed: int,
    steps: int,
    protocols: Mapping[str, Protocol] = PROTOCOLS,
    *,
    process: int = 0,
    processes: int = 1,
) -> Tally:
    """Play so many steps, alike for each protocol, in this process. Raises Found."""
    tally, started = Tally(), time.monotonic()
    warm = 0
    share = max(1, steps // len(protocols))
    for turn, (name, protocol) in enumerate(protocols.items()):
        drawer, taken, number = drawer_of(name), 0, process
        phases: Counter[str] = Counter()
        while taken < share:
            played = play(protocol, drawer, seed_of(seed, name, number), number)
            taken += played.steps
            phases[played.phase] += 1
            number += processes
            if not warm and turn == len(protocols) - 1 and taken > WARM_SHARE * share:
                warm = _memory()
        tally.steps[name] = taken
        tally.negotiations[name] = phases.total()
        tally.phases[name] = phases
    tally.grown = _memory() - warm
    tally.seconds = time.monotonic() - started
    if tally.grown > GROWTH_BYTES_MAX:
        tally.failures.append(f"a process has grown by {tally.grown >> 20} MiB while it played")
    return tally


def soak_on_all(seed: int, steps: int, names: list[str], processes: int) -> Tally:
    """Play so many steps on so many processes; what is broken is in `failures`."""
    whole, started = Tally(), time.monotonic()
    if processes == 1:
        whole.add(_share(seed, steps, names, 0, 1))
    else:
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            share = -(-steps // processes)
            for tally in pool.map(
                _share,
                *zip(
                    *((seed, share, names, number, processes) for number in range(processes)),
                    strict=True,
                ),
            ):
                whole.add(tally)
    whole.seconds = time.monotonic() - started
    return whole


def _share(seed: int, steps: int, names: list[str], process: int, processes: int) -> Tally:
    whole = Tally()
    for name in names:  # one that is broken does not hide the others
        try:
            part = {name: PROTOCOLS[name]}
            whole.add(soak(seed, steps // len(names), part, process=process, processes=processes))
        except Found as found:
            whole.failures.append(words(seed, name, found))
    return whole


def words(seed: int, protocol: str, found: Found) -> str:
    """Return what is broken, with the last events and how to see it again."""
    lines = [f"{protocol}: {found.reason}"]
    if found.played is not None:
        lines += last_events(found.played)
        number = found.played.call.negotiation_id.rpartition(".")[2]
        again = f"--seed {seed} --protocol {protocol} --only {number}"
        lines.append(f"  again: python -m loadtest.soak {again}")
    return "\n".join(lines)


def last_events(played: Played, count: int = 12) -> list[str]:
    """Return the call and the last events of a negotiation, a line each."""
    first = max(0, len(played.events) - count)
    lines = [f"  {played.call}"]
    for number, (at, event) in enumerate(played.events[first:], first + 1):
        effects = played.effects[number] if number < len(played.effects) else "raises"
        lines.append(f"  {number}. at {at:g}: {event} -> {effects}")
    return lines


def _memory() -> int:
    """Return the most that this process ever took, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
