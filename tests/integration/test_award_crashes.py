"""Kill -9 of a writer at each step of its commit: there is no award afterwards, or a whole one."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from federation.etcd import EtcdClient
from gateway.book_etcd import book_in_etcd
from tests.support.etcd import Etcd
from tests.support.mortal_awards import NAMES, commits
from tests.support.store_scenes import ALICE, balanced, done, prepared

pytestmark = pytest.mark.slow
SECONDS_MAX = 60


def mortal(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.support.mortal_awards", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        cwd=Path(__file__).resolve().parents[2],
        env={"PYTHONPATH": "client", "PYTHONWARNINGS": "error"},
    )


def test_a_crash_at_any_step_in_a_file_leaves_whole_awards_or_none(tmp_path: Path) -> None:
    """N-7.10: crash at any point between prepare/commit leaves none or exactly one award."""
    ended = mortal("file", str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    steps = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(steps) > 40, "each statement is one step before it and one after it"
    for step in steps:
        awards = step["decisions"]
        assert awards in (0, 3), "they are in one transaction"
        assert step["holds"] == step["locks"] == awards
        assert step["made by the heir"] == 3 - awards
        assert (step["expired"], step["held in the end"]) == (3, 0)
    found = [step["decisions"] for step in steps]
    assert found == sorted(found), "what was there stays"
    assert {0, 3} == set(found), "some died before the commit, and some after it"


def test_a_crash_at_any_step_in_etcd_leaves_whole_awards_or_none(tmp_path: Path) -> None:
    """N-7.10: the writer dies before or after any request, and another gateway takes over."""
    found: list[int] = []

    async def scene(etcd: Etcd, client: EtcdClient, step: int) -> bool:
        prefix = f"llmx/{step}/"
        async with book_in_etcd(client, f"{prefix}facts/", "g0", chunk_micros=50) as book:
            await prepared(book)
        ended = await asyncio.to_thread(mortal, "etcd", etcd.endpoint, prefix, str(step))
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
        await client.delete(f"{prefix}gateways/g1")
        async with book_in_etcd(client, f"{prefix}facts/", "g2", chunk_micros=50) as heir:
            await balanced(heir)
            awards = sum([await heir.decision(name) is not None for name in NAMES])
            resource = await heir.resource("h100")
            assert resource is not None
            assert len(resource.bookings) == len(await heir.holds()) == awards
            again = [await done(heir, commit.key, *commit.changes) for commit in commits()]
            assert sum(answer.is_first for answer in again) == 3 - awards
            await balanced(heir)
            assert await heir.expire(9e9) == 3
            assert (await heir.balance(ALICE)).held == 0
        found.append(awards)
        return ended.returncode != 0

    async def run() -> None:
        async with (
            asyncio.timeout(SECONDS_MAX),
            Etcd(tmp_path) as etcd,
            EtcdClient([etcd.endpoint], attempt_seconds=2.0) as client,
        ):
            step = 0
            while await scene(etcd, client, step):
                step += 1

    asyncio.run(run())
    assert {0, 3} <= set(found)
    assert found == sorted(found)
