"""Faults drawn from a seed, and the tasks that let them happen.

Two storms go on side by side: one over the lines, where many faults overlap, and one over the
gateway, one fault at a time, whose health is looked after before and after each. An agent that
is killed belongs to the first: its line is refused, its program ends without a word, and a
new life of it begins on the same line.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from loadtest.chaos.ledger import Ledger, Struck
from loadtest.chaos.plan import Plan
from loadtest.chaos.players import Player
from tests.support.fault_proxy import Way
from tests.support.faults import Fault, struck
from tests.support.gateway_faults import ClockJumped, DiskFull, Frozen, Killed
from tests.support.line_faults import FoulWeather, LineFault, LinesCut, LinesRefused, LinesStalled
from tests.support.mortal_gateway import MortalGateway
from tests.support.other_clock import OtherClock
from tests.support.weather import Cut, Weather

AHEAD_SECONDS = (-20.0, 25.0, 90.0)
CROWD_SHARE = 0.02
"""Of all faults of lines: how many hit everybody at once."""
HELD_SECONDS = 1.5
LINE_FAULTS = ("cut", "cut within", "stalled", "slow", "weather", "refused", "killed", "left")
LINE_WEIGHTS = (25, 15, 20, 10, 20, 5, 4, 2)
LIFE_ENDS = {"killed": "agent killed", "left": "agent left for a while"}


@dataclass(frozen=True, slots=True)
class Grounds:
    """What can go wrong."""

    plan: Plan
    gateway: MortalGateway
    clock: OtherClock
    disk: DiskFull
    players: Sequence[Player]
    ledger: Ledger
    now: Callable[[], float]
    peace: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when nothing more shall go wrong."""

    async def peace_within(self, seconds: float) -> bool:
        """Wait so long, or until there is peace; tell which."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.peace.wait()
        return self.peace.is_set()


class LineStorm:
    """Faults of the lines."""

    def __init__(self, grounds: Grounds) -> None:
        """Draw from the seed of the plan."""
        self._on = grounds
        self._chance = random.Random(f"{grounds.plan.seed}/lines")

    async def rage(self) -> None:
        """Let lines suffer until there is peace; each fault is healed in a task of its own."""
        mean = self._on.plan.line_fault_seconds
        async with asyncio.TaskGroup() as tasks:
            while not await self._on.peace_within(self._chance.expovariate(1 / mean)):
                seconds = self._chance.uniform(0.1, self._on.plan.longest_fault_seconds)
                kind = self._chance.choices(LINE_FAULTS, LINE_WEIGHTS)[0]
                hit = [self._chance.choice(self._on.players)]
                if kind not in LIFE_ENDS and self._chance.random() < CROWD_SHARE:
                    hit = list(self._on.players)
                tasks.create_task(self._strike(kind, hit, seconds))

    async def _strike(self, kind: str, hit: Sequence[Player], seconds: float) -> None:
        hit = [player for player in hit if not player.is_dying]
        names = tuple(player.address for player in hit)
        if kind in LIFE_ENDS:
            self._on.ledger.strike(Struck(self._on.now(), LIFE_ENDS[kind], names))
            for player in hit:
                await (player.die() if kind == "killed" else player.leave(seconds))
            return
        fault = self._fault(kind, hit, seconds)
        self._on.ledger.strike(Struck(self._on.now(), fault.name, names))
        await fault.inject()
        await self._on.peace_within(seconds)
        if kind in ("refused", "weather"):  # the others end by themselves, in time
            fault.proxies = [player.proxy for player in hit if not player.is_dying]
            await fault.heal()

    def _fault(self, kind: str, hit: Sequence[Player], seconds: float) -> LineFault:
        chance, proxies = self._chance, [player.proxy for player in hit]
        how, way = chance.choice(list(Cut)), chance.choice([*Way])
        match kind:
            case "cut" | "cut within":
                return LinesCut(proxies, how, way, within_frame=kind != "cut")
            case "stalled":
                either = chance.choice([*Way, None])
                return LinesStalled(proxies, seconds, either, silently=chance.random() < 0.5)
            case "slow":
                return LinesStalled(proxies, seconds, Way.DOWN, silently=False)
            case "refused":
                return LinesRefused(proxies)
            case _:
                return FoulWeather(proxies, self._weather())

    def _weather(self) -> Weather:
        chance = self._chance
        return Weather(
            delay=chance.choice((0.0, 0.02, 0.2)),
            jitter=chance.choice((0.0, 0.05, 0.5)),
            cut_share=chance.choice((0.0, 0.0, 0.02)),
            stall_share=chance.choice((0.0, 0.02)),
            stall_seconds=chance.uniform(0.1, 1.0),
            duplicate_share=chance.choice((0.0, 0.3, 1.0)),
            bytes_per_second=chance.choice((0.0, 0.0, 20_000.0)),
        )


class GatewayStorm:
    """Faults of the gateway."""

    def __init__(self, grounds: Grounds, after_restart: Callable[[], None]) -> None:
        """Draw from the seed of the plan; `after_restart` is called when a new life began."""
        self._on = grounds
        self._after_restart = after_restart
        self._chance = random.Random(f"{grounds.plan.seed}/gateway")

    async def rage(self) -> None:
        """Let the gateway suffer until there is peace. Raises SickGateway."""
        plan, began_at = self._on.plan, self._on.now()
        mean = plan.gateway_fault_seconds
        while not await self._on.peace_within(self._chance.expovariate(1 / mean)):
            is_deadly = self._on.now() - began_at < plan.deadly_seconds
            fault, seconds = self._draw()
            deadly = isinstance(fault, Killed | ClockJumped)
            if not fault.is_available() or (deadly and not is_deadly):
                continue
            await self._strike(fault, seconds, deadly=deadly)

    async def _strike(self, fault: Fault, seconds: float, *, deadly: bool) -> None:
        if deadly:
            await self._hold_some()
        self._on.ledger.strike(Struck(self._on.now(), fault.name))
        async with struck(fault, self._on.gateway):
            self._on.ledger.deaths[:] = self._on.gateway.deaths
            await self._on.peace_within(seconds)
        if deadly:
            self._on.ledger.strike(Struck(self._on.now(), "gateway lives again"))
            self._after_restart()

    async def _hold_some(self) -> None:
        """Let some agents hear nothing for a moment, so that the gateway dies owing to them."""
        players = self._on.players
        some = self._chance.sample(list(players), max(len(players) // 3, 1))
        held = LinesStalled([one.proxy for one in some], HELD_SECONDS, Way.DOWN, silently=False)
        names = tuple(player.address for player in some)
        self._on.ledger.strike(Struck(self._on.now(), held.name, names))
        await held.inject()
        await self._on.peace_within(HELD_SECONDS / 2)

    def _draw(self) -> tuple[Fault, float]:
        chance, longest = self._chance, self._on.plan.longest_fault_seconds
        seconds = chance.uniform(0.1, longest / 2)
        kind = chance.choices(("frozen", "killed", "disk", "clock"), (35, 30, 25, 10))[0]
        ahead = chance.choice(AHEAD_SECONDS)
        match kind:
            case "frozen":
                return Frozen(self._on.gateway), seconds
            case "killed":
                return Killed(self._on.gateway), seconds / 4
            case "disk":
                return self._on.disk, seconds
            case _:
                return ClockJumped(self._on.gateway, self._on.clock, ahead), seconds
