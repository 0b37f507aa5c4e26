"""Some seconds of chaos under a few seeds; `make chaos` is half an hour of it.

A seed that once broke a promise stays here, with what it found.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from loadtest.chaos.plan import Plan
from loadtest.chaos.run import Run
from loadtest.chaos.summary import summary

pytestmark = pytest.mark.slow

SECONDS = 6.0
AGENTS = 12
RATE = 4.0


@pytest.mark.parametrize("seed", [1, 2])
def test_every_message_is_accounted_for(seed: int, tmp_path: Path) -> None:
    told: list[str] = []
    plan = Plan(seed, SECONDS, AGENTS, rate=RATE)
    result = asyncio.run(Run(plan, tmp_path, told.append)())
    assert result.is_kept, "\n".join([*told, *summary(result)])
    assert result.judgement.counts["messages admitted"] > AGENTS
    assert result.judgement.counts["handed to applications"] > AGENTS
    assert result.judgement.counts["calls: committed"] > 0
    assert len(result.ledger.faults) > SECONDS
