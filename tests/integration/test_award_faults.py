"""Kill -9 of a real gateway at steps of an award, on both stores: a few of many repetitions.

`make award-faults` runs all of them, a hundred times each.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from loadtest.award_faults.__main__ import PAID, settings_of
from loadtest.award_faults.books import judged, owed
from loadtest.award_faults.scene import Scene
from loadtest.award_faults.steps import STEPS
from loadtest.award_faults.table import is_kept
from tests.support.etcd import Etcd

pytestmark = pytest.mark.slow

PAID_FOR = [step.name for step in STEPS if step.plot in PAID]


@pytest.mark.parametrize(
    ("store", "steps"),
    [
        ("file", ("written",)),
        ("file", ("owed", "paying")),
        ("etcd", ("writing",)),
    ],
)
def test_a_gateway_that_is_killed_in_an_award_leaves_none_or_exactly_one(
    tmp_path: Path, store: str, steps: tuple[str, ...]
) -> None:
    """N-7.10: crash at any point leaves either no award or exactly one."""

    async def run() -> None:
        async with AsyncExitStack() as stack:
            etcd = await stack.enter_async_context(Etcd(tmp_path)) if store == "etcd" else None
            own = tmp_path / "own"
            scene = Scene(own, settings_of(store, own, etcd, 0), lock_seconds=1.0)
            calls, sums = await scene.play(steps, 1)
            verdicts = [judged(store, step, [c for c in calls if c.step == step]) for step in steps]
            assert is_kept(verdicts, [(store, sums, owed(calls, PAID_FOR))]), (calls, sums)

    asyncio.run(run())
