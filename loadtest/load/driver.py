"""Plays the agents of one Locust worker: `python -m loadtest.load.driver plan.json WORKER`.

Reads orders and writes reports, each one line of JSON. Orders: `{"come": 5}` lets five more agents
connect, `{"begin": true}` starts the clock of the shape, `{"end": true}` stops calling, lets open
rounds run out, sends a last report with `"last": true` and ends; so does the end of its input. A
report comes every quarter of a second and says what happened since the one before:

    at       seconds since the beginning          agents   how many have a stream
    rounds   [number, group, due at, offers, offers ms, decision ms] of each round that ended
    streams  [agent, gateway, ms, came back, resumed] of each stream that was opened
    refused  how many messages, by code           endings  how many streams ended, by reason
    open     rounds under way                     unfinished  in the last report: rounds given up
    lag_ms   p99 of how late this process was     cpu_seconds  of this process so far

The same lines are kept in `driver-<worker>.jsonl` in the plan's folder.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import gc
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

from gateway.tokens import mint_development_token, read_secret
from loadtest.crowd import raise_file_limit
from loadtest.figures import percentile
from loadtest.load.company import Company
from loadtest.load.pacing import Pacing
from loadtest.load.plan import LoadPlan, read_plan
from loadtest.load.shapes import moment
from loadtest.traffic import Group, Round

REPORT_SECONDS = 0.25
DRAIN_SECONDS_MAX = 10.0
TOKEN_SECONDS_EXTRA = 3_600
ROUNDS_REPORTED_MAX = 20_000
"""What has ended since the last report; more is only counted, as `more_rounds`."""


class Driver:
    """Follows orders and reports."""

    def __init__(self, plan: LoadPlan, worker: int, spool: IO[str], reports: IO[str]) -> None:
        """Prepare the agents of a worker; reports go to both files."""
        secret = read_secret(Path(plan.secret_file))
        lifetime = int(plan.seconds) + TOKEN_SECONDS_EXTRA

        def token_of(agent_id: str) -> str:
            return mint_development_token(secret, agent_id, ttl=lifetime)

        share = share_of(plan, worker)
        self._plan = share
        self._files = (spool, reports)
        self.company = Company(share, worker, token_of, share.agents)
        self.pacing = Pacing(share, self.company, plan.seed + worker)
        self.pacing.on_round = self._take_round
        self._began_at = 0.0
        self._over = asyncio.Event()
        """Set with each round that ends."""
        self._storms = 0
        self._rounds: list[list[Any]] = []
        self._more_rounds = 0
        self._told_refused: Counter[str] = Counter()
        self._told_endings: Counter[str] = Counter()

    async def run(self, orders: asyncio.StreamReader) -> None:
        """Follow orders until there are none. Raises TooManyOpen in an ExceptionGroup."""
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(self.company.beat())]
            while line := await orders.readline():
                order = json.loads(line)
                for _ in range(order.get("come", 0)):
                    self.company.come(tasks)
                if order.get("begin") and not self._began_at:
                    self._began_at = time.perf_counter()
                    beside.append(tasks.create_task(self.pacing.run(self._began_at)))
                    beside.append(tasks.create_task(self._report_on()))
                if order.get("end"):
                    break
            self.pacing.rest()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS_MAX):
                    while self.company.open_count:
                        self._over.clear()
                        await self._over.wait()
            for task in beside:
                task.cancel()
            self.company.leave()
            self._report(last=True)

    async def _report_on(self) -> None:
        """Report, and cut streams when the shape wants it, until cancelled."""
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            at = time.perf_counter() - self._began_at
            storms = moment(self._plan.shape, self._plan.seconds, at).storms
            if storms > self._storms:
                self._storms = storms
                self.company.cut()
            self._report(last=False)

    def _take_round(self, group: Group, ended: Round, now: float) -> None:
        self._over.set()
        if len(self._rounds) >= ROUNDS_REPORTED_MAX:
            self._more_rounds += 1
            return
        offers_ms = (ended.offered_at - ended.due_at) * 1e3 if ended.offers else 0.0
        self._rounds.append(
            [
                int(ended.digits),
                group.name,
                round(ended.due_at - self._began_at, 4),
                ended.offers,
                round(offers_ms, 3),
                round((now - ended.due_at) * 1e3, 3),
            ]
        )

    def _report(self, *, last: bool) -> None:
        company, phase = self.company, self.pacing.phase
        refused, endings = company.refused, Counter(company.endings)
        report = {
            "at": round(time.perf_counter() - self._began_at, 3),
            "agents": company.here_count,
            "rounds": self._rounds,
            "more_rounds": self._more_rounds,
            "streams": [list(dataclasses.astuple(one)) for one in company.welcomes],
            "refused": refused - self._told_refused,
            "endings": endings - self._told_endings,
            "called": phase.due,
            "called_again": phase.called_again,
            "repeats": phase.repeats,
            "open": company.open_count,
            "unfinished": company.open_count if last else 0,
            "lag_ms": round(percentile(sorted(phase.lags), 99) * 1e3, 3) if phase.lags else 0.0,
            "storms": self._storms,
            "cpu_seconds": round(time.process_time(), 3),
            "last": last,
        }
        self._told_refused, self._told_endings = refused, endings
        self._rounds = []
        self._more_rounds = 0
        company.welcomes.clear()
        phase.latencies.clear()
        phase.lags.clear()
        line = json.dumps(report, separators=(",", ":")) + "\n"
        for file in self._files:
            file.write(line)
            file.flush()


def share_of(plan: LoadPlan, worker: int) -> LoadPlan:
    """Return the part of a plan that falls to a worker: whole groups, and calls in proportion."""
    groups = plan.agents // plan.group_agents
    own = groups // plan.workers + (worker < groups % plan.workers)
    return dataclasses.replace(
        plan,
        agents=own * plan.group_agents,
        calls_per_second=plan.calls_per_second * own / max(groups, 1),
    )


async def _serve(plan: LoadPlan, worker: int, spool: IO[str]) -> None:
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    await Driver(plan, worker, spool, sys.stdout).run(orders)


def main() -> None:
    """Run a driver from the command line."""
    import uvloop

    parser = argparse.ArgumentParser(prog="python -m loadtest.load.driver", description=__doc__)
    parser.add_argument("plan", type=Path)
    parser.add_argument("worker", type=int)
    options = parser.parse_args()
    raise_file_limit()
    gc.set_threshold(50_000, 20, 100)
    plan = read_plan(options.plan)
    with Path(plan.folder, f"driver-{options.worker}.jsonl").open("w") as spool:
        uvloop.run(_serve(plan, options.worker, spool))


if __name__ == "__main__":
    main()
