"""Calls are due by the clock or by each other, and only in groups that are whole."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from loadtest.load import pacing
from loadtest.load.company import SETTLE_SECONDS, Company
from loadtest.load.pacing import Pacing, TooManyOpen
from loadtest.load.plan import LoadPlan
from tests.unit.loadtest.load.plans import plan


def _company(of: LoadPlan, whole: int) -> Company:
    """Return a company of which so many groups are whole."""
    company = Company(of, 0, lambda _: "token", of.agents)
    for group in company.groups[:whole]:
        company._whole_since[group.name] = time.perf_counter() - SETTLE_SECONDS
    return company


async def _until(company: Company, rounds: int) -> None:
    async with asyncio.timeout(20.0):
        while company.open_count < rounds:  # noqa: ASYNC110 - it says nothing of a call
            await asyncio.sleep(0)


async def test_by_each_other_every_whole_group_has_so_many_open(tmp_path: Path) -> None:
    of = plan(tmp_path, calls_per_second=0.0, in_flight=3)
    company = _company(of, whole=1)
    pace = Pacing(of, company, 1)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(pace.run(time.perf_counter()))
        await _until(company, 3)
        running.cancel()
    assert [len(group.open) for group in company.groups] == [3, 0]
    ended = company.groups[0].open.pop("w0g0000-0000001")
    heard: list[int] = []
    pace.on_round = lambda _, one, __: heard.append(int(one.digits))
    hears = company.groups[0].on_round
    assert hears is not None
    hears(ended, time.perf_counter())
    assert heard == [1]
    assert len(company.groups[0].open) == 3, "the next one begins at once"
    pace.rest()
    hears(ended, time.perf_counter())
    assert len(company.groups[0].open) == 3, "but not when it is over"


async def test_by_the_clock_calls_come_though_none_ends(tmp_path: Path) -> None:
    of = plan(tmp_path, calls_per_second=20_000.0)
    company = _company(of, whole=2)
    pace = Pacing(of, company, 1)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(pace.run(time.perf_counter()))
        await _until(company, 50)
        running.cancel()
    assert pace.phase.due == company.open_count >= 50
    assert len(pace.phase.lags) == pace.phase.due
    assert all(group.open for group in company.groups)


async def test_what_never_ends_is_not_begun_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "ROUNDS_OPEN_MAX", 10)
    of = plan(tmp_path, calls_per_second=20_000.0)
    pace = Pacing(of, _company(of, whole=2), 1)
    with pytest.raises(TooManyOpen, match="10 rounds are open"):
        await pace.run(time.perf_counter())
