"""What a gateway, its workers, the agents and the whole machine use of its processors."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from loadtest.servers import cpu_seconds_of, cpu_seconds_with_descendants

STAT = Path("/proc/stat")
IDLE = (3, 4)
"""Of the times in /proc/stat those in which nothing runs: idle, and idle for want of a disk."""
COUNTED = 8
"""What follows is in the times before: guests."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds since the start, or what one core gave of them in a second."""

    at: float
    """When it was looked at, or how long it was, in seconds."""
    gateway: float
    """Of the process with the event loop."""
    workers: float
    """Of the processes that it has started."""
    own: float
    """Of this process, which plays the agents."""
    machine: float
    """Of whatever runs on this machine; as a share, of all its cores together."""


def usage(pid: int, at: float) -> Usage:
    """Return what was used until now, with the gateway `pid`."""
    gateway = cpu_seconds_of(pid)
    workers = cpu_seconds_with_descendants(pid) - gateway
    return Usage(at, gateway, max(0.0, workers), time.process_time(), _machine(STAT.read_text()))


def shares(before: Usage, after: Usage) -> Usage:
    """Return the part of one core that each has used in between; of the machine, of all cores."""
    seconds = after.at - before.at
    return Usage(
        seconds,
        (after.gateway - before.gateway) / seconds,
        max(0.0, after.workers - before.workers) / seconds,
        (after.own - before.own) / seconds,
        min(1.0, (after.machine - before.machine) / seconds / (os.cpu_count() or 1)),
    )


def _machine(stat: str) -> float:
    """Return the seconds that all cores together were busy, from the first line of /proc/stat."""
    times = [int(ticks) for ticks in stat.partition("\n")[0].split()[1:][:COUNTED]]
    busy = sum(ticks for place, ticks in enumerate(times) if place not in IDLE)
    return busy / os.sysconf("SC_CLK_TCK")
