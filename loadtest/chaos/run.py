"""One run: a gateway, its agents, faults all the time, then peace, quiet and the judgement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import llmx
from loadtest.chaos.ledger import Ledger
from loadtest.chaos.memory import Sample, Trend, trend
from loadtest.chaos.plan import Plan
from loadtest.chaos.players import GROUPS, Player
from loadtest.chaos.promises import Broken, Judgement, judge, unfinished
from loadtest.chaos.storms import GatewayStorm, Grounds, LineStorm
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import SickGateway
from tests.support.gateway_faults import MIB, DiskFull, small_disk
from tests.support.mortal_gateway import MortalGateway
from tests.support.other_clock import OtherClock

DISK_BYTES = 64 * MIB
SAMPLE_SECONDS = 2.0
TELL_SECONDS = 30.0
QUIET_POLL_SECONDS = 1.0
GREETINGS = 3
TOKEN_SECONDS = 86_400.0
SETTINGS = {
    "limits.retry_max": 4.0,
    "log.level": "info",
}


@dataclass(slots=True)
class Result:
    """What a run came to."""

    plan: Plan
    ledger: Ledger
    judgement: Judgement
    memory: Trend
    seconds: float
    proxied: dict[str, int] = field(default_factory=dict)
    """What the proxies did."""

    @property
    def is_kept(self) -> bool:
        """Was every promise kept?"""
        return not self.judgement.broken


class Run:
    """A run under way."""

    def __init__(self, plan: Plan, folder: Path, tell: Callable[[str], None]) -> None:
        """Prepare a run whose files are in `folder`; `tell` hears how it goes."""
        self._plan = plan
        self._folder = folder
        self._tell = tell
        self._began_at = time.monotonic()
        self._ledger = Ledger()
        self._samples: list[Sample] = []
        self._broken: list[Broken] = []
        self._groups_wanted = asyncio.Event()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def __call__(self) -> Result:
        """Let it run to its end. A promise that is broken is in the result, not raised."""
        plan, ledger = self._plan, self._ledger
        disk, clock = self._folder / "disk", OtherClock(self._folder / "clock")
        proxied: dict[str, int] = {}
        with small_disk(disk, DISK_BYTES) as is_small:
            self._tell(f"the store is on a small disk: {'yes' if is_small else 'not to be had'}")
            settings = {
                name.replace(".", "__"): value for name, value in _settings(plan, disk).items()
            }
            gateway = MortalGateway(self._folder / "gateway", clock, **settings)
            try:
                async with gateway, AsyncExitStack() as stack:
                    players = await self._gather(gateway, stack)
                    on = Grounds(plan, gateway, clock, DiskFull(disk), players, ledger, self._now)
                    await self._live(on, stack)
                    for player in players:
                        player.close_the_books()
                        for what, count in player.proxy.counts.items():
                            proxied[what] = proxied.get(what, 0) + count
            except AssertionError as error:
                self._broken.append(Broken("the gateway ends well", "", str(error)))
            end = self._now()
        judgement = judge(ledger, end)
        memory = trend(self._samples)
        if not memory.is_flat:
            self._broken.append(Broken("memory is flat", "", str(memory)))
        judgement = Judgement((*self._broken, *judgement.broken), judgement.counts)
        seconds = time.monotonic() - self._began_at
        return Result(plan, ledger, judgement, memory, seconds, proxied)

    async def _gather(self, gateway: MortalGateway, stack: AsyncExitStack) -> list[Player]:
        """Let every agent begin its first life, in calm weather."""
        players: list[Player] = []

        def token(name: str) -> str:
            return gateway.life.token(name, ttl=TOKEN_SECONDS)

        for number in range(self._plan.agents):
            seed = f"{self._plan.seed}/{number}"
            proxy = await stack.enter_async_context(FaultProxy(gateway.life.port, seed=seed))
            player = Player(number, self._plan, proxy, self._ledger, self._now, token)
            await player.begin()
            stack.push_async_callback(player.end)
            players.append(player)
        return players

    async def _live(self, on: Grounds, stack: AsyncExitStack) -> None:
        """Traffic and faults, then peace."""
        clerk = llmx.Agent(
            "agent://clerk",
            on.gateway.life.address,
            token=on.gateway.life.token("clerk", ttl=TOKEN_SECONDS),
        )
        await stack.enter_async_context(clerk)
        self._groups_wanted.set()
        async with asyncio.TaskGroup() as beside:
            tasks = [
                beside.create_task(self._keep_groups(clerk, on.players)),
                beside.create_task(self._sample(on)),
                *(beside.create_task(player.watch()) for player in on.players),
            ]
            storms = [
                beside.create_task(self._brave(LineStorm(on).rage())),
                beside.create_task(self._brave(GatewayStorm(on, self._groups_wanted.set).rage())),
            ]
            await self._traffic(on, storms)
            await self._greet(on)
            await self._quiet(on)
            for task in tasks:
                task.cancel()

    async def _traffic(self, on: Grounds, storms: Sequence[asyncio.Task[None]]) -> None:
        until = self._now() + self._plan.seconds
        try:
            async with (
                asyncio.timeout(self._plan.seconds + self._plan.quiet_seconds_max),
                asyncio.TaskGroup() as sending,
            ):
                playing = [
                    sending.create_task(player.play(on.players, sending, until))
                    for player in on.players
                ]
                await asyncio.wait(playing)
                await self._peace(on, storms)
        except TimeoutError:
            self._tell("some that send have no answer yet, and are not waited for any longer")

    async def _peace(self, on: Grounds, storms: Sequence[asyncio.Task[None]]) -> None:
        """Heal everything; from here on nothing may be missing."""
        on.peace.set()
        await asyncio.wait(storms)
        for player in on.players:
            player.proxy.heal()
        self._tell("the storm is over")

    async def _greet(self, on: Grounds) -> None:
        """Let everybody hear from some others: who was hurt for good is found now."""
        shifts = [1 + len(on.players) * step // GREETINGS for step in range(GREETINGS)]
        try:
            async with (
                asyncio.timeout(self._plan.quiet_seconds_max),
                asyncio.TaskGroup() as greeting,
            ):
                for index, player in enumerate(on.players):
                    others = [on.players[(index + by) % len(on.players)] for by in shifts]
                    greeting.create_task(player.greet(others))
        except TimeoutError:
            self._tell("some greetings have no answer, and are not waited for any longer")

    async def _quiet(self, on: Grounds) -> None:
        """Wait until nothing is under way, or for as long as the plan says."""
        try:
            async with asyncio.timeout(self._plan.quiet_seconds_max):
                while unfinished(self._ledger, self._now()):  # noqa: ASYNC110 - a sum has no event
                    await asyncio.sleep(QUIET_POLL_SECONDS)
        except TimeoutError:
            left = unfinished(self._ledger, self._now())
            self._tell(f"{len(left)} messages are not accounted for, the first is {left[0]}")
        await asyncio.sleep(QUIET_POLL_SECONDS)  # a copy that is one too many would come now
        self._tell(f"quiet: {on.gateway!r}")

    async def _brave(self, storm: object) -> None:
        assert asyncio.iscoroutine(storm), "a storm is something that rages"
        try:
            await storm
        except* SickGateway as sick:
            self._broken.append(Broken("the gateway serves", "", str(sick.exceptions[0])))

    async def _keep_groups(self, clerk: llmx.Agent, players: Sequence[Player]) -> None:
        """Make the groups, and again whenever a new life of the gateway has begun."""
        while True:
            await self._groups_wanted.wait()
            self._groups_wanted.clear()
            try:
                for number in range(GROUPS):
                    name = f"chaos-{number}"
                    members = [player.address for player in players if player.group == name]
                    if members:
                        await clerk.control.put_group(name, members)
            except llmx.LlmxError:
                self._groups_wanted.set()  # it is dead again, or not quite alive
                await asyncio.sleep(0.2)

    async def _sample(self, on: Grounds) -> None:
        told_at = self._now()
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            life = len(on.gateway.deaths)
            resident = on.gateway.memory()
            if resident:
                self._samples.append(Sample(self._now(), life, resident))
            if self._now() - told_at >= TELL_SECONDS:
                told_at = self._now()
                ledger = self._ledger
                self._tell(
                    f"{time.monotonic() - self._began_at:6.0f} s: {len(ledger.sent)} messages, "
                    f"{len(ledger.handings)} handed over, {len(ledger.called)} calls, "
                    f"{len(ledger.faults)} faults, {life} deaths of the gateway, "
                    f"{resident / MIB:.0f} MiB"
                )


def _settings(plan: Plan, disk: Path) -> dict[str, object]:
    """Return the settings of the gateway; its store is on the small disk."""
    return {
        **SETTINGS,
        "limits.reconnect_grace_seconds": plan.grace_seconds,
        "limits.outbox_messages_max": plan.outbox_messages_max,
        "mailbox.file": disk / "mailbox.sqlite",
    }
