"""Ways of sharing slots over real gateways: every owner, every host and the pool is an agent.

The same offers, prices and steps as in `arms`, said by agents of the library to gateways that keep
a real ledger. What an award holds is locked and paid by the gateway: a unit of a host for as long
as the task takes, and the price. Two owners that are offered the last slot of a host both hear so;
the ledger gives it to one. Which tasks wait and what hosts ask stands on a board in this process,
as it does in the simulation.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import llmx
from loadtest.market.arms import HOST_SLOTS, MARGIN, RETRY, RETRY_MAX, STEPS, Grant, Rubinstein
from loadtest.market.exchange import POOL
from loadtest.market.world import Task, World

REPLY_SECONDS = 2.0
"""So long a call is open; it closes when all have answered."""
REPORT_SECONDS = 30.0
LOOK_SECONDS = 0.02
LOCK_SECONDS = 10.0
"""So long an auctioned slot is locked at most: its task reports before."""

Agents = Mapping[str, llmx.Agent]


@dataclass
class Board:
    """One arm while it runs: who waits, which slots are free, who got what."""

    world: World
    speed: float
    """Simulated seconds in a second."""
    began: float
    """On the loop's clock."""
    waiting: list[Task] = field(default_factory=list)
    lost: list[Task] = field(default_factory=list)
    started: dict[int, Grant] = field(default_factory=dict)
    free_since: dict[int, float] = field(default_factory=dict)
    decided: list[float] = field(default_factory=list)
    """Seconds from each call to its outcome."""
    negotiations: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """Why there was no outcome, with how often."""

    @property
    def now(self) -> float:
        """Return the simulated time, in seconds from the beginning."""
        return (asyncio.get_running_loop().time() - self.began) * self.speed

    async def sleep(self, seconds: float) -> None:
        """Wait for simulated seconds."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)

    def take(self, task: Task, host: int, price: float) -> Grant | None:
        """Grant a free slot of a host; None when it has none, or the task was served."""
        slots = [slot for slot in sorted(self.free_since) if slot // HOST_SLOTS == host]
        if not slots or task not in self.waiting:
            return None
        del self.free_since[slots[0]]
        self.waiting.remove(task)
        grant = Grant(task, slots[0], self.now, price)
        self.started[task.number] = grant
        return grant

    async def work(self, grant: Grant) -> None:
        """Do the work, and free the slot."""
        await self.sleep(grant.task.seconds)
        self.free_since[grant.slot] = self.now

    def asks(self) -> dict[int, float]:
        """Return what the hosts with a free slot ask: more the fuller, less the longer idle."""
        by_host: dict[int, list[float]] = {}
        for slot, since in self.free_since.items():
            by_host.setdefault(slot // HOST_SLOTS, []).append(since)
        return {
            host: 0.05
            * 200 ** (1 - len(since) / HOST_SLOTS)
            * 0.5 ** ((self.now - min(since)) / 60)
            for host, since in by_host.items()
        }


def slots_of(arm: str) -> str:
    """Return what all slots of an arm are called in the ledger."""
    return f"slots-{arm.replace(',', '').replace(' ', '-')}"


class LiveArm(ABC):
    """One way of sharing."""

    def __init__(self, name: str, board: Board, agents: Agents, grant: float) -> None:
        """Share the slots of a board between agents that may spend `grant` in an hour."""
        self.name = name
        self.board = board
        self.agents = agents
        self.grant = grant

    def resource(self, host: int) -> str:
        """Return what the slots of a host are called in the ledger."""
        return f"{slots_of(self.name)}/host{host}"

    async def run(self) -> None:
        """Share until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.share())
            for task in self.board.world.tasks:
                tasks.create_task(self._comes(task))

    async def _comes(self, task: Task) -> None:
        """Let a task wait from its arrival, until it is served or its time is over."""
        board = self.board
        await board.sleep(task.arrived - board.now)
        board.waiting.append(task)
        await self.wait_for(task)
        await board.sleep(task.due - board.now)
        if task in board.waiting:
            board.waiting.remove(task)
            board.lost.append(task)

    async def share(self) -> None:
        """Do what the pool does: nothing, where owners ask."""
        return

    async def wait_for(self, task: Task) -> None:
        """Do what the owner of a task does: nothing, where the pool asks."""
        return

    async def called(
        self, caller: llmx.Agent, cfp: dict[str, Any], **how: Any
    ) -> llmx.Outcome | None:
        """Call, and note how long the decision took; None when there was none to be had."""
        began = asyncio.get_running_loop().time()
        self.board.negotiations += 1
        try:
            outcome = await caller.call(cfp, **how)
        except llmx.LlmxError as error:
            self.board.failures[_word(error)] += 1
            return None
        self.board.decided.append(asyncio.get_running_loop().time() - began)
        return outcome

    def limit(self, task: Task) -> float:
        """Return what the owner of a task would pay at most."""
        return min(task.worth(self.board.now), self.grant)

    @abstractmethod
    def answer(self, agent: llmx.Agent, call: llmx.Call) -> llmx.Offer | llmx.Refusal:
        """Return what an agent says to a call."""

    @abstractmethod
    async def won(self, agent: llmx.Agent, verdict: llmx.Verdict) -> None:
        """Do what follows from an award; it is reported when this returns."""


class LiveAuction(LiveArm):
    """The pool sells free slots of a host to those that wait, sealed, one each."""

    price = "first"
    margin = MARGIN

    async def share(self) -> None:
        """Hold one auction after the other."""
        board, pool = self.board, self.agents[POOL]
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            owners = sorted({task.agent for task in board.waiting})
            free = [slot // HOST_SLOTS for slot in board.free_since]
            if not owners or not free:
                continue
            host = max(set(free), key=free.count)
            cfp = {
                "task": {"arm": self.name, "host": host},
                "protocol": "sealed-bid",
                "sealed": {"price": self.price},
                "direction": "allocate",
                "max_awards": free.count(host),
                "reserve": 0,
                "reply_within": REPLY_SECONDS,
                "report_within": REPORT_SECONDS,
                "durable": False,
                "resources": [
                    {"resource": self.resource(host), "units": 1, "seconds": LOCK_SECONDS}
                ],
                "credit": {},
            }
            await self.called(pool, cfp, to=owners, policy="high")

    def answer(self, agent: llmx.Agent, call: llmx.Call) -> llmx.Offer | llmx.Refusal:
        """Bid for the task of the owner that is worth most."""
        mine = self._task_of(agent)
        if mine is None:
            return call.refuse("served")
        return call.offer(value=min(mine.worth(self.board.now) * (1 - self.margin), self.grant))

    async def won(self, agent: llmx.Agent, verdict: llmx.Verdict) -> None:
        """Take the slot and do the work."""
        mine, host = self._task_of(agent), int(verdict.call.read("task.host"))
        grant = None if mine is None else self.board.take(mine, host, verdict.price or 0.0)
        if grant is not None:
            await self.board.work(grant)

    def _task_of(self, agent: llmx.Agent) -> Task | None:
        mine = [task for task in self.board.waiting if task.agent == agent.agent_id]
        return max(mine, key=lambda task: task.worth(self.board.now), default=None)


class LiveVickrey(LiveAuction):
    """The same, at the price of the best bid that lost."""

    price = "second"
    margin = 0.0


class LiveOwners(LiveArm):
    """The owner of a task asks, less often the oftener it asked in vain."""

    async def wait_for(self, task: Task) -> None:
        """Ask until the task is served."""
        board = self.board
        while task in board.waiting and board.now <= task.due:
            if board.asks():
                await self.deal(task)
                pause = min(RETRY_MAX, RETRY * 2**task.tries)
                task.tries += 1
            else:
                pause = RETRY / 2
            if task in board.waiting:
                await board.sleep(pause)

    @abstractmethod
    async def deal(self, task: Task) -> None:
        """Ask once."""

    def answer(self, agent: llmx.Agent, call: llmx.Call) -> llmx.Offer | llmx.Refusal:
        """Offer a slot of this host, if it has one."""
        host = int(agent.agent_id.removeprefix("agent://host"))
        ask = self.board.asks().get(host)
        if ask is None:
            return call.refuse("full")
        return call.offer(value=ask, terms={"resource": self.resource(host)})

    def task_of(self, call: llmx.Call) -> Task:
        """Return the task that a call is about."""
        return self.board.world.tasks[int(call.read("task.number"))]

    async def won(self, agent: llmx.Agent, verdict: llmx.Verdict) -> None:
        """Do the work at this host."""
        host = int(agent.agent_id.removeprefix("agent://host"))
        grant = self.board.take(self.task_of(verdict.call), host, verdict.price or 0.0)
        if grant is not None:
            await self.board.work(grant)


class LiveContractNet(LiveOwners):
    """The owner calls the hosts, and the lowest price within its worth wins."""

    async def deal(self, task: Task) -> None:
        """Call all hosts; full ones refuse."""
        hosts = range(self.board.world.demand.slots // HOST_SLOTS)
        seconds = task.seconds / self.board.speed
        cfp = {
            "task": {"arm": self.name, "number": task.number},
            "reserve": self.limit(task),
            "reply_within": REPLY_SECONDS,
            "report_within": REPORT_SECONDS,
            "durable": False,
            "resources": [{"resource": slots_of(self.name), "units": 1, "seconds": seconds}],
            "credit": {},
        }
        to = [f"agent://host{host}" for host in hosts]
        await self.called(self.agents[task.agent], cfp, to=to, policy="high")


class LiveBargain(LiveOwners):
    """The owner bargains with the cheapest host."""

    protocol = ""

    async def deal(self, task: Task) -> None:
        """Bargain once."""
        asks = self.board.asks()
        host = min(asks, key=lambda one: asks[one])
        limit, ask = self.limit(task), asks[host]
        seconds = task.seconds / self.board.speed
        cfp = {
            "task": {"arm": self.name, "number": task.number, "ask": ask},
            "bargaining": self.rules(limit, ask),
            "reply_within": REPLY_SECONDS,
            "resources": [{"resource": self.resource(host), "units": 1, "seconds": seconds}],
            "credit": {},
        }
        began = asyncio.get_running_loop().time()
        self.board.negotiations += 1
        caller, to = self.agents[task.agent], f"agent://host{host}"
        try:
            async with caller.bargain(cfp, to=to, protocol=self.protocol) as bargain:
                outcome = await bargain.play(self.owner(limit))
        except llmx.LlmxError as error:
            self.board.failures[_word(error)] += 1
            return
        self.board.decided.append(asyncio.get_running_loop().time() - began)
        if outcome.winners:
            grant = self.board.take(task, host, outcome.winners[0].price or 0.0)
            if grant is not None:
                await self.board.work(grant)

    @abstractmethod
    def rules(self, limit: float, ask: float) -> dict[str, Any]:
        """Return what the call says about the bargain."""

    @abstractmethod
    def owner(self, limit: float) -> Any:
        """Return how the owner moves."""

    @abstractmethod
    def host(self, ask: float) -> Any:
        """Return how the host moves."""


class LiveConcession(LiveBargain):
    """Monotonic concession: both give way in eight steps until their prices meet."""

    protocol = "monotonic-concession"

    def rules(self, limit: float, ask: float) -> dict[str, Any]:
        """Let either concede."""
        return {"concession": "either"}

    def owner(self, limit: float) -> Any:
        """Go from nothing to the limit."""
        return _Steps(lambda part: limit * part)

    def host(self, ask: float) -> Any:
        """Go from four times the ask to the ask."""
        return _Steps(lambda part: ask * (4 - 3 * part))


class _Steps:
    """Proposes what a function says of the part of the way that is gone, in eight steps."""

    def __init__(self, price: Any) -> None:
        self._price = price
        self._step = 0

    def __call__(self, bargain: llmx.Bargain) -> llmx.Move:
        self._step += 1
        return llmx.Propose(value=self._price(min(self._step, STEPS) / STEPS))


class LiveRubinstein(LiveBargain):
    """Alternating offers: the owner opens with the share of the equilibrium, δ = 0.9 each."""

    protocol = "alternating-offers"

    def rules(self, limit: float, ask: float) -> dict[str, Any]:
        """Open with what leaves the host its share of the gain, if there is a gain."""
        gain = max(0.0, limit - ask)
        return {"opening": {"value": limit - Rubinstein.first_share * gain}, "first": "initiator"}

    def owner(self, limit: float) -> Any:
        """End when the opening was not taken."""
        return lambda bargain: llmx.End()

    def host(self, ask: float) -> Any:
        """Accept what is above the ask; waiting gets it no more than that."""

        def answer(bargain: llmx.Bargain) -> llmx.Move:
            standing = bargain.standing
            good = standing is not None and (standing.value or 0.0) > ask
            return llmx.Accept() if good else llmx.End("below_cost")

        return answer


def _word(error: llmx.LlmxError) -> str:
    return error.code if isinstance(error, llmx.Refused) else type(error).__name__


LIVE_ARMS: dict[str, type[LiveArm]] = {
    "contract net": LiveContractNet,
    "sealed, first price": LiveAuction,
    "Vickrey": LiveVickrey,
    "monotonic concession": LiveConcession,
    "alternating offers": LiveRubinstein,
}
"""The arms that need an exchange, by their names in `arms`."""
