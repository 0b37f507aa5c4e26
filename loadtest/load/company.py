"""The agents of one driver: who comes next, who is there, and which groups can negotiate.

Agents come in order, group after group, contractors before their initiator. A group is whole when
all have been welcomed and a moment has passed, in which the gateways tell each other of its
contractors. Each group has a home; a share of its contractors connects to the other gateways.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmx.backoff import Backoff
from loadtest.light_agent import LightAgent, Who
from loadtest.load.plan import LoadPlan
from loadtest.traffic import Group

SETTLE_SECONDS = 1.0
CONNECTING_MAX = 64
TICK_SECONDS = 0.1
HEARTBEAT_SECONDS = 25.0


@dataclass(frozen=True, slots=True)
class Welcomed:
    """A stream that was opened."""

    agent_id: str
    gateway: int
    """The place of the gateway in the plan, from 0."""
    milliseconds: float
    """From when the agent should have come, or was cut off, until its Welcome."""
    came_back: bool
    resumed: bool


class Company:
    """The groups, their agents and who of them is there."""

    def __init__(
        self, plan: LoadPlan, worker: int, token_of: Callable[[str], str], agents: int
    ) -> None:
        """Prepare so many agents; nobody connects yet."""
        self.endings: Counter[str] = Counter()
        self.welcomes: deque[Welcomed] = deque(maxlen=2 * agents)
        """Streams opened since somebody looked; whoever looks takes them out."""
        self.groups = [
            Group(name, plan.group_agents - 1, whereabouts(plan, index, token_of))
            for index, name in _names(worker, agents // plan.group_agents)
        ]
        self._whole_since: dict[str, float] = {}
        self._asked_at: dict[str, float] = {}
        self._waiting = deque((agent, group) for group in self.groups for agent in group.agents)
        self._here: list[LightAgent] = []
        self._connecting = asyncio.Semaphore(CONNECTING_MAX)
        self._gateways = {address: place for place, address in enumerate(plan.addresses)}

    @property
    def here_count(self) -> int:
        """Return how many agents have a stream."""
        return sum(agent.is_welcomed for agent in self._here)

    @property
    def refused(self) -> Counter[str]:
        """Return how many messages were refused so far, by code."""
        return sum((group.refused for group in self.groups), Counter())

    @property
    def open_count(self) -> int:
        """Return how many rounds are under way."""
        return sum(len(group.open) for group in self.groups)

    def come(self, tasks: asyncio.TaskGroup) -> None:
        """Let the next agent connect, and stay; does nothing when all have come."""
        if not self._waiting:
            return
        agent, group = self._waiting.popleft()
        self._here.append(agent)
        self._asked_at[agent.who.agent_id] = time.perf_counter()
        agent.endings = self.endings
        agent.on_welcome = self._welcomed(agent, group, agent.on_welcome)
        tasks.create_task(self._stay(agent))

    def cut(self) -> None:
        """Cut all streams at once; the agents come back as the client library does."""
        now = time.perf_counter()
        for agent in self._here:
            if agent.is_welcomed:
                self._asked_at[agent.who.agent_id] = now
                agent.cut()

    def leave(self) -> None:
        """Let everybody go."""
        for agent in self._here:
            agent.leave()
            agent.cut()

    def whole_groups(self, now: float) -> list[Group]:
        """Return the groups that can negotiate."""
        return [
            group
            for group in self.groups
            if now - self._whole_since.get(group.name, now) >= SETTLE_SECONDS
        ]

    async def beat(self) -> None:
        """Send heartbeats, spread over their interval, until cancelled."""
        slots = round(HEARTBEAT_SECONDS / TICK_SECONDS)
        slot = 0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            slot = (slot + 1) % slots
            now = time.perf_counter()
            for agent in self._here[slot::slots]:
                agent.beat(now, HEARTBEAT_SECONDS / 2)

    async def _stay(self, agent: LightAgent) -> None:
        async with self._connecting:
            await agent.connect()
        await agent.stay(Backoff())

    def _welcomed(
        self, agent: LightAgent, group: Group, before: Callable[[bool], None] | None
    ) -> Callable[[bool], None]:
        """Return what hears of an agent's welcomes, beside who has heard of them so far."""

        def welcomed(resumed: bool) -> None:
            now = time.perf_counter()
            agent_id = agent.who.agent_id
            asked_at = self._asked_at.pop(agent_id, now)
            place = self._gateways[f"{agent.who.host}:{agent.who.port}"]
            self.welcomes.append(
                Welcomed(agent_id, place, (now - asked_at) * 1e3, agent.welcomes > 1, resumed)
            )
            if all(one.is_welcomed for one in group.agents):
                self._whole_since.setdefault(group.name, now)
            if before is not None:
                before(resumed)

        return welcomed


def whereabouts(
    plan: LoadPlan, index: int, token_of: Callable[[str], str]
) -> Callable[[str, Sequence[str], Sequence[str]], Who]:
    """Return what makes the agents of a group, and says to which gateway each connects.

    Initiators have no topics; of the others the last ones are elsewhere.
    """
    gateways = len(plan.addresses)
    home = index % gateways
    others = [place for place in range(gateways) if place != home]
    away = (plan.group_agents - 1) * plan.elsewhere_percent // 100 if others else 0
    made = 0

    def who(name: str, topics: Sequence[str], capabilities: Sequence[str]) -> Who:
        nonlocal made
        place = home
        if topics:
            made += 1
            over = made - (plan.group_agents - 1 - away)
            if over > 0:
                place = others[(index + over) % len(others)]
        host, _, port = plan.addresses[place].rpartition(":")
        agent_id = f"agent://{name}"
        return Who(agent_id, token_of(agent_id), host, int(port), topics, capabilities)

    return who


def _names(worker: int, groups: int) -> list[tuple[int, str]]:
    """Return the groups of a worker with their places; the workers begin at different gateways."""
    return [(worker + index, f"w{worker}g{index:04d}") for index in range(groups)]
