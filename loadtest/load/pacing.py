"""When the next call is due.

Open loop: a Poisson process over the groups that are whole, whatever the gateways do; the rate is
in proportion to how many there are, and to the shape of the moment. Closed loop: every whole group
has so many rounds open at any time, which asks for as much as the cluster can do.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable

from loadtest.load.company import Company
from loadtest.load.plan import LoadPlan
from loadtest.load.shapes import moment
from loadtest.traffic import Group, Phase, Round

ROUNDS_OPEN_MAX = 20_000
IDLE_SECONDS = 0.05
LAGS_MAX = 100_000
"""More calls than that between two reports are not kept in mind."""


class TooManyOpen(Exception):
    """Rounds are begun and none ends; the text says how many are open."""


class Pacing:
    """Makes calls, and hears of rounds that are over."""

    def __init__(self, plan: LoadPlan, company: Company, seed: int) -> None:
        """Prepare arrivals that depend on the seed only; `plan` is of this driver's agents."""
        self.phase = Phase("load")
        """Counts; its latencies and lags are taken out by whoever reports."""
        self.on_round: Callable[[Group, Round, float], None] = lambda *_: None
        self._plan = plan
        self._company = company
        self._chance = random.Random(seed)
        self._number = 0
        self._calls = True
        self._begun: set[str] = set()
        for group in company.groups:
            group.on_round = self._hears_of(group)

    async def run(self, began_at: float) -> None:
        """Make calls until `rest`. Raises TooManyOpen."""
        if self._plan.calls_per_second:
            await self._open_loop(began_at)
        else:
            await self._closed_loop()

    def rest(self) -> None:
        """Begin nothing more."""
        self._calls = False

    async def _open_loop(self, began_at: float) -> None:
        due_at = time.perf_counter()
        while self._calls:
            now = time.perf_counter()
            groups = self._company.whole_groups(now)
            share = moment(self._plan.shape, self._plan.seconds, now - began_at).calls_share
            here = len(groups) / max(len(self._company.groups), 1)
            rate = self._plan.calls_per_second * here * share
            if not rate:
                await asyncio.sleep(IDLE_SECONDS)
                due_at = time.perf_counter()
                continue
            due_at += self._chance.expovariate(rate)
            if (wait := due_at - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            self._begin(self._chance.choice(groups), due_at)

    async def _closed_loop(self) -> None:
        while self._calls:
            now = time.perf_counter()
            for group in self._company.whole_groups(now):
                if group.name not in self._begun:
                    self._begun.add(group.name)
                    for _ in range(self._plan.in_flight):
                        self._begin(group, time.perf_counter())
            await asyncio.sleep(IDLE_SECONDS)

    def _begin(self, group: Group, due_at: float) -> None:
        if self._company.open_count >= ROUNDS_OPEN_MAX:
            raise TooManyOpen(f"{ROUNDS_OPEN_MAX} rounds are open and none ends")
        self.phase.due += 1
        if len(self.phase.lags) < LAGS_MAX:
            self.phase.lags.append(time.perf_counter() - due_at)
        self._number += 1
        group.begin(self._number, due_at, self.phase)

    def _hears_of(self, group: Group) -> Callable[[Round, float], None]:
        def over(ended: Round, now: float) -> None:
            self.on_round(group, ended, now)
            if self._calls and not self._plan.calls_per_second:
                self._begin(group, now)

        return over
