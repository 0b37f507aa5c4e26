"""What one load run is to be, as it stands in the file that conductor, Locust and drivers read."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

PLAN_VARIABLE = "LLMX_LOAD_PLAN"
"""Names the file to Locust, whose own command line knows nothing of it."""
AGENTS_MAX = 20_000
GATEWAYS_MAX = 16
WORKERS_MAX = 64


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """One run."""

    addresses: list[str]
    """Where agents connect, gateway by gateway, `127.0.0.1:7000`."""
    secret_file: str
    """Holds the secret by which the gateways know the agents' tokens."""
    driver_python: str
    """The interpreter in which our code runs; Locust's own lacks it."""
    folder: str
    """Where drivers keep what they report, and Locust its tables."""
    agents: int
    shape: str
    seconds: float
    calls_per_second: float
    """By all initiators together when all agents are there (open loop); 0: `in_flight` instead."""
    in_flight: int
    """Rounds that each initiator has open at any time (closed loop), when no rate is given."""
    group_agents: int
    """An initiator and its contractors."""
    elsewhere_percent: int
    """How many of a group's contractors are at other gateways than its initiator."""
    workers: int
    """How many Locust processes play agents, each with a driver."""
    seed: int

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self)))


def read_plan(path: Path) -> LoadPlan:
    """Return what `LoadPlan.write` has written."""
    return LoadPlan(**json.loads(path.read_text()))
