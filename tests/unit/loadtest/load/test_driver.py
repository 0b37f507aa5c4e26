"""A driver plays whole groups against a real gateway and reports what they lived through."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.tokens import SECRET_FILE
from loadtest.load.driver import Driver, share_of
from loadtest.servers import Server
from loadtest.targets import ours
from tests.unit.loadtest.load.plans import plan

SECONDS_MAX = 30.0


class Reports(io.StringIO):
    """Hears reports, and can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[dict[str, Any]] = []
        self._more = asyncio.Event()

    def write(self, line: str) -> int:
        self.heard.append(json.loads(line))
        self._more.set()
        return len(line)

    def all(self, what: str) -> list[list[Any]]:
        return [one for report in self.heard for one in report[what]]

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(SECONDS_MAX):
            while not is_so():
                self._more.clear()
                await self._more.wait()

    def returned(self) -> set[str]:
        """Return who has come back after being cut off."""
        return {agent_id for agent_id, _, _, came_back, _ in self.all("streams") if came_back}


@pytest.mark.slow
async def test_agents_come_negotiate_are_cut_off_return_and_end(tmp_path: Path) -> None:
    """Closed loop, so that rounds are open when a storm comes."""
    target = ours(tmp_path / "state")
    with Server(target.command, None, tmp_path / "gateway.log") as gateway:
        of = plan(
            tmp_path,
            addresses=[f"127.0.0.1:{gateway.port}"],
            secret_file=str(tmp_path / "state" / SECRET_FILE),
            agents=6,
            group_agents=3,
            shape="storm",
            seconds=1.5,
            calls_per_second=0.0,
            in_flight=1,
        )
        spool, reports, orders = io.StringIO(), Reports(), asyncio.StreamReader()
        async with asyncio.TaskGroup() as tasks:
            driver = Driver(of, 0, spool, reports)
            tasks.create_task(driver.run(orders))
            for _ in range(6):
                orders.feed_data(b'{"come": 1}\n')
            async with asyncio.timeout(SECONDS_MAX):
                while driver.company.here_count < 6:  # noqa: ASYNC110 - reports begin later
                    await asyncio.sleep(0)
            orders.feed_data(b'{"begin": true}\n')
            await reports.until(lambda: len(reports.returned()) == 6)
            await reports.until(lambda: len(reports.all("rounds")) >= 20)
            await reports.until(lambda: reports.heard[-1]["storms"] == 2)
            orders.feed_data(b'{"end": true}\n')
    streams, rounds, last = reports.all("streams"), reports.all("rounds"), reports.heard[-1]
    assert sum(not came_back for _, _, _, came_back, _ in streams) == 6
    assert all(resumed == came_back for *_, came_back, resumed in streams)
    assert {group for _, group, *_ in rounds} == {"w0g0000", "w0g0001"}
    assert {offers for _, _, _, offers, _, _ in rounds} == {2}
    assert all(0 < offers_ms <= decision_ms for *_, offers_ms, decision_ms in rounds)
    assert last["last"]
    assert last["called"] == len(rounds)
    assert (last["unfinished"], last["refused"], last["storms"]) == (0, {}, 2)
    assert [json.loads(line) for line in spool.getvalue().splitlines()] == reports.heard


def test_workers_share_whole_groups_and_the_calls(tmp_path: Path) -> None:
    of = plan(tmp_path, agents=50, workers=2)
    shares = [share_of(of, worker) for worker in range(2)]
    assert [share.agents for share in shares] == [30, 20]
    assert [share.calls_per_second for share in shares] == [3.0, 2.0]
