"""A plan, for tests that need one."""

from __future__ import annotations

import sys
from pathlib import Path

from loadtest.load.plan import LoadPlan


def plan(folder: Path, **changed: object) -> LoadPlan:
    """Return a plan of twenty agents at two gateways that nobody runs."""
    values: dict[str, object] = {
        "addresses": ["127.0.0.1:7001", "127.0.0.1:7002"],
        "secret_file": "",
        "driver_python": sys.executable,
        "folder": str(folder),
        "agents": 20,
        "shape": "soak",
        "seconds": 10.0,
        "calls_per_second": 5.0,
        "in_flight": 0,
        "group_agents": 10,
        "elsewhere_percent": 20,
        "workers": 1,
        "seed": 1,
    }
    return LoadPlan(**{**values, **changed})  # type: ignore[arg-type] # the values above are right
