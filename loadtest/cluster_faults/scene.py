"""One fault under load: what it cost, from the first message to the judgement.

    agents connect ─▸ traffic ─▸ the fault ─▸ noticed ─▸ probes ─▸ healed ─▸ over ─▸ quiet ─▸ judged

Times are what an operator sees: *noticed* when the gateways that it concerns show it, *over* when
all that live are linked again and every agent is served. Probes are messages that are sent after
the fault was noticed; they tell whether the cluster goes on meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from loadtest.chaos.ledger import Sent
from loadtest.cluster_faults.books import Books, Death, Verdict, verdict
from loadtest.cluster_faults.players import Load, Player
from tests.support.cluster import Cluster, Views
from tests.support.cluster_faults import ClusterFault, Frozen, Killed
from tests.support.etcd import passed

POLL_SECONDS = 0.02
DUEL_CALLS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """How long what takes."""

    load: Load = field(default_factory=Load)
    before: float = 0.3
    """Seconds of traffic before the fault."""
    lasts: float = 1.0
    """Seconds that the fault lasts after it was noticed."""
    after: float = 0.3
    """Seconds of traffic when it is over."""
    probes_within: float = 2.0
    """Seconds in which a probe has to arrive."""
    duel_seconds: float = 4.0
    """How long calls are open that two gateways own; longer than agents wait for a frozen one."""
    limit: float = 20.0
    """Seconds in which anything that is waited for has to happen."""


@dataclass(slots=True)
class Result:
    """What a fault came to."""

    fault: str
    noticed_after: float = 0.0
    over_after: float = 0.0
    owned_twice: int = 0
    """Calls that were open at two gateways at once."""
    probes: int = 0
    probes_arrived: int = 0
    slowest_message: float = 0.0
    slowest_call: float = 0.0
    messages: int = 0
    calls: int = 0
    errors: tuple[str, ...] = ()
    """What gateways have logged as errors meanwhile."""
    verdict: Verdict = field(default_factory=lambda: Verdict((), Counter()))

    @property
    def is_kept(self) -> bool:
        """Was every promise kept?"""
        return not self.verdict.broken


class Stage:
    """A cluster, and agents that play on it."""

    def __init__(self, cluster: Cluster, plan: Plan, name: str) -> None:
        """Prepare; the agents of different stages have different names."""
        self.cluster = cluster
        self.plan = plan
        self.books = Books()
        self._errors_before = len(cluster.errors())
        homes = list(cluster.gateways)
        self.players = [
            Player(
                number,
                name,
                cluster.addresses(homes[number % len(homes)]),
                cluster.token,
                self.books,
                self.now,
                plan.load,
            )
            for number in range(plan.load.agents)
        ]

    def now(self) -> float:
        """Return the time of the loop."""
        return asyncio.get_running_loop().time()

    @property
    def is_served(self) -> bool:
        """Tell whether every agent is connected with a gateway that lives."""
        living = set(self.cluster.living)
        return all(player.home in living for player in self.players)

    @asynccontextmanager
    async def traffic(self) -> AsyncIterator[asyncio.TaskGroup]:
        """Let agents send and call during the block, and wait until nothing is under way."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as watching:
            async with asyncio.TaskGroup() as tasks:
                for player in self.players:
                    tasks.create_task(player.begin())
            watches = [watching.create_task(player.watch()) for player in self.players]
            try:
                await self.cluster.until_located(one.address for one in self.players)
                async with asyncio.TaskGroup() as tasks:
                    for player in self.players:
                        others = [one for one in self.players if one is not player]
                        tasks.create_task(player.play(others, tasks, over))
                    try:
                        yield tasks
                    finally:
                        over.set()
                await self._quiet()
            finally:
                for watch in watches:
                    watch.cancel()
                async with asyncio.TaskGroup() as tasks:
                    for player in self.players:
                        tasks.create_task(player.end())

    async def probe(self, tasks: asyncio.TaskGroup) -> tuple[int, int]:
        """Let every player send to every other one; returns how many there were, and arrived."""
        sent = [
            tasks.create_task(player.send(other.address, [other]))
            for player in self.players
            for other in self.players
            if other is not player
        ]
        until = self.now() + self.plan.probes_within
        while (arrived := self._arrived(sent)) < len(sent) and self.now() < until:
            await passed(POLL_SECONDS)
        return len(sent), arrived

    async def until_served(self) -> None:
        """Wait until every agent is connected. Raises TimeoutError."""
        async with asyncio.timeout(self.plan.limit):
            while not self.is_served:
                await passed(POLL_SECONDS)

    def _arrived(self, sent: Sequence[asyncio.Task[Sent]]) -> int:
        handed = self.books.messages.handed
        return sum(task.done() and task.result().label in handed for task in sent)

    async def _quiet(self) -> None:
        """Wait until nothing is under way, for as long as messages live at most."""
        until = self.now() + self.plan.load.ttl
        while self.books.unfinished(self.now()) and self.now() < until:
            await passed(POLL_SECONDS)
        await passed(0.1)  # a copy that is one too many would come now

    def close(self, result: Result) -> Result:
        """Judge what was said and done."""
        books = self.books
        result.errors = tuple(self.cluster.errors()[self._errors_before :])
        result.verdict = verdict(books, self.now())
        result.messages, result.calls = len(books.messages.sent), len(books.called)
        result.slowest_message = max(books.delays(), default=0.0)
        result.slowest_call = max(books.answers(), default=0.0)
        return result


async def play(
    cluster: Cluster,
    fault: ClusterFault,
    plan: Plan,
    name: str,
    *,
    until: Callable[[Views], bool] = lambda views: True,
) -> Result:
    """Let a fault happen under load. Raises TimeoutError when it is not noticed, or not over.

    Probes are sent when it was noticed, and operators see `until`.
    """
    await cluster.until(cluster.is_whole, plan.limit)
    stage = Stage(cluster, plan, name)
    result = Result(fault.name)
    async with stage.traffic() as tasks:
        await passed(plan.before)
        began = stage.now()
        if isinstance(fault, Killed):
            stage.books.deaths.append(Death(fault.gateway, began))
        elif isinstance(fault, Frozen):
            stage.books.freezes.append(Death(fault.gateway, began))
        await fault.inject()
        await cluster.until(fault.is_noticed, plan.limit)
        result.noticed_after = stage.now() - began
        if fault.is_survived:
            result.over_after = await _over(stage, fault, began)
        noticed = stage.now()
        await cluster.until(until, plan.limit)
        result.probes, result.probes_arrived = await stage.probe(tasks)
        await passed(max(0.0, noticed + plan.lasts - stage.now()))
        healed = stage.now()
        await fault.heal()
        over_after = await _over(stage, fault, healed)
        result.over_after = result.over_after or over_after
        await passed(plan.after)
    return stage.close(result)


async def duel(
    cluster: Cluster, owner: str, plan: Plan, name: str, *, etcd_sleeps: float = 0.0
) -> Result:
    """Freeze the owner of open calls until they are open elsewhere too, and let it go on then.

    Noticed is when its agents are served elsewhere, over when every call has an outcome. Etcd
    may sleep for so many seconds from when the owner is back: then awards are told unwritten.
    """
    await cluster.until(cluster.is_whole, plan.limit)
    plan = replace(plan, load=replace(plan.load, call_share=0.0))  # no other calls than these
    stage = Stage(cluster, plan, name)
    fault = "two gateways both own a call"
    result = Result(fault if not etcd_sleeps else f"{fault}, and etcd sleeps")
    async with stage.traffic() as tasks:
        initiators = [player for player in stage.players if player.home == owner]
        calls = [
            tasks.create_task(player.call(open_for=plan.duel_seconds))
            for player in initiators
            for _ in range(DUEL_CALLS)
        ]
        await passed(plan.before)
        began = stage.now()
        cluster.freeze(owner)
        await stage.until_served()
        result.noticed_after = stage.now() - began
        callers = {player.address for player in initiators}
        async with asyncio.timeout(plan.limit):
            while result.owned_twice < len(calls) and not any(call.done() for call in calls):
                result.owned_twice = await cluster.open_calls(callers)
                await passed(POLL_SECONDS)
        cluster.thaw(owner)
        if etcd_sleeps:
            await cluster.until(cluster.is_whole, plan.limit)
            cluster.etcd.freeze()
            await passed(etcd_sleeps)
            cluster.etcd.thaw()
        await asyncio.wait(calls)
        result.over_after = stage.now() - began
        await cluster.until(cluster.is_whole, plan.limit)
        result.probes, result.probes_arrived = await stage.probe(tasks)
    return stage.close(result)


async def _over(stage: Stage, fault: ClusterFault, since: float) -> float:
    await stage.cluster.until(fault.is_over, stage.plan.limit)
    await stage.until_served()
    return stage.now() - since
