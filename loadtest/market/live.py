"""The market over two gateways, an etcd and a real ledger: `python -m loadtest.market --live`.

Half of the agents are at one gateway, half at the other, and the hosts too. An hour of the day that
`world` draws takes six seconds, so bursts take one; budgets begin anew as often. Of each arm the
same demand is also simulated. Queues need no exchange and are simulated only.
"""

from __future__ import annotations

import asyncio
import tempfile
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
from prometheus_client.parser import text_string_to_metric_families

import llmx
from gateway.tokens import development_secret, mint_development_token
from llmx.v1 import ledger_service_pb2 as wire
from llmx.v1.credit_pb2 import LedgerTotals
from llmx.v1.ledger_service_pb2_grpc import LedgerServiceStub
from loadtest.clusters import SCRAPE_SECONDS_MAX, Cluster, cluster, local_etcd
from loadtest.market.arms import ARMS, HOST_SLOTS
from loadtest.market.clock import Figures, Run, figures, figures_of, played
from loadtest.market.exchange import POOL, Cost
from loadtest.market.live_arms import LIVE_ARMS, Board, LiveArm, LiveBargain, slots_of
from loadtest.market.world import Demand, World
from loadtest.servers import Server

SPEED = 600.0
"""Simulated seconds in a second."""
GRANT = 100.0
"""Credits that each agent may spend in a simulated hour."""
SAVED = 1_000_000
"""Credits that each agent has."""
SEED = 1
CONNECTED_SECONDS_MAX = 30.0
MESSAGES = ("llmx_messages_admitted_total", "llmx_messages_delivered_total")


@dataclass(frozen=True)
class Size:
    """How much is run live."""

    agents: int = 100
    slots: int = 8
    seconds: float = 9.0
    """Of each arm."""

    @property
    def demand(self) -> Demand:
        """Return what the agents want, as often for each slot as 500 agents want 40."""
        hours = self.seconds * SPEED / 3600
        return Demand(agents=self.agents, slots=self.slots, teams=self.slots, hours=hours)


SMALL = Size(40, 4, 3.0)


@dataclass(frozen=True)
class Live:
    """What came of it."""

    size: Size
    figures: dict[str, list[Figures]]
    """By arm, "live" or "simulated"."""
    failures: dict[str, int]
    """Why calls had no outcome, with how often."""
    at_once: dict[str, int]
    """The most slots that were in use at one instant, by arm."""
    difference_micros: int
    """By how much the ledger has more than was given, or less below zero."""
    paid_micros: int
    awards: float
    """That the ledger has written."""
    refused: float
    """That it has refused."""


def live(size: Size, say: Callable[[str], None], arms: Sequence[str] = tuple(LIVE_ARMS)) -> Live:
    """Run arms, one after the other, on gateways that are started for it."""
    with tempfile.TemporaryDirectory(prefix="llmx-market-") as folder:
        place = Path(folder)
        with served(place, size) as gateways:
            return asyncio.run(market(place, gateways, size, say, arms))


@contextmanager
def served(folder: Path, size: Size) -> Iterator[Cluster]:
    """Run an etcd and two gateways whose ledger is there."""
    catalogue = folder / "catalogue.toml"
    catalogue.write_text(_catalogue(size))
    with (
        local_etcd(folder) as etcd,
        cluster(
            folder,
            2,
            None,
            etcd=etcd.endpoint,
            market__store="etcd",
            market__catalogue=catalogue,
        ) as gateways,
    ):
        yield gateways


def _catalogue(size: Size) -> str:
    """Return hosts for each arm, and accounts with a budget that lasts a simulated hour."""
    lines = []
    for arm in LIVE_ARMS:
        for host in range(size.slots // HOST_SLOTS):
            lines += [
                "[[resources]]",
                f'name = "{slots_of(arm)}/host{host}"',
                f"units = {HOST_SLOTS}",
            ]
    for number in range(size.agents):
        agent = f'agent = "agent://a{number}"'
        lines += ["[[accounts]]", agent, f"credits = {SAVED}"]
        lines += ["[[budgets]]", agent, f"credits = {GRANT}", f"seconds = {3600 / SPEED}"]
    return "\n".join(lines) + "\n"


async def market(
    folder: Path,
    gateways: Cluster,
    size: Size,
    say: Callable[[str], None],
    arms: Sequence[str] = tuple(LIVE_ARMS),
) -> Live:
    """Run arms on gateways that were `served` in a folder."""
    await gateways.formed()
    found: dict[str, list[Figures]] = {}
    at_once: dict[str, int] = {}
    failures: Counter[str] = Counter()
    for name in ("static quota", "FIFO"):
        world = World(size.demand, SEED)
        found[f"{name}, simulated"] = [figures(name, *played(world, ARMS[name], GRANT))]
    async with _connected(gateways, size) as stage:
        for name in arms:
            world = World(size.demand, SEED)
            found[f"{name}, simulated"] = [figures(name, *played(world, ARMS[name], GRANT))]
            seen, run, board = await _played(name, gateways, stage, size)
            found[f"{name}, live"], at_once[name] = [seen], most_at_once(run)
            failures += board.failures
            say(f"{name} done")
    ledger = await _totals(folder, gateways)
    there = ledger.available_micros + ledger.held_micros + ledger.paid_micros
    return Live(
        size,
        found,
        dict(failures),
        at_once,
        there - ledger.minted_micros,
        ledger.paid_micros,
        await _counted(gateways, "llmx_settlements_total"),
        await _counted(gateways, "llmx_settlements_refused_total"),
    )


class Stage:
    """The agents, and the arm that they play in now."""

    def __init__(self) -> None:
        """Begin without anybody."""
        self.agents: dict[str, llmx.Agent] = {}
        self.arm: LiveArm | None = None

    def add(self, agent_id: str, address: str, token: str) -> llmx.Agent:
        """Have an agent that does what the arm says."""
        agent = llmx.Agent(agent_id, address, token=token, consents=["*"])
        self.agents[agent_id] = agent

        @agent.on_cfp
        async def answer(call: llmx.Call) -> llmx.Offer | llmx.Refusal:
            arm = self._arm_of(call)
            return call.refuse("over") if arm is None else arm.answer(agent, call)

        @agent.on_award
        async def won(verdict: llmx.Verdict) -> dict[str, str]:
            arm = self._arm_of(verdict.call)
            if arm is not None:
                await arm.won(agent, verdict)
            return {}

        @agent.on_bargain
        async def bargain(bargain: llmx.Bargain) -> None:
            arm = self._arm_of(bargain.call)
            ask = float(bargain.call.read("task.ask"))
            if isinstance(arm, LiveBargain):
                await bargain.play(arm.host(ask))
            else:
                await bargain.end("over")

        return agent

    def _arm_of(self, call: llmx.Call) -> LiveArm | None:
        """Return the arm, unless the call is of the one before."""
        arm = self.arm
        return arm if arm is not None and call.read("task.arm") == arm.name else None


@asynccontextmanager
async def _connected(gateways: Cluster, size: Size) -> AsyncIterator[Stage]:
    """Connect everybody, and wait until each gateway knows the agents of the other."""
    stage = Stage()
    owners = [f"agent://a{number}" for number in range(size.agents)]
    hosts = [f"agent://host{number}" for number in range(size.slots // HOST_SLOTS)]
    async with AsyncExitStack() as stack, asyncio.timeout(None) as patience:
        patience.reschedule(asyncio.get_running_loop().time() + CONNECTED_SECONDS_MAX)
        for number, agent_id in enumerate([*owners, *hosts, POOL]):
            address = gateways.addresses[number % len(gateways.addresses)]
            agent = stage.add(agent_id, address, gateways.token_of(agent_id))
            await stack.enter_async_context(agent)
        await gateways.told()
        patience.reschedule(None)
        yield stage


async def _played(
    name: str, gateways: Cluster, stage: Stage, size: Size
) -> tuple[Figures, Run, Board]:
    """Play one arm, and return its figures with what became of the tasks."""
    world, loop = World(size.demand, SEED), asyncio.get_running_loop()
    cpu, messages = gateways.cpu_seconds(), await _messages(gateways)
    board = Board(world, SPEED, loop.time(), free_since=dict.fromkeys(range(size.slots), 0.0))
    arm = stage.arm = LIVE_ARMS[name](name, board, stage.agents, GRANT)
    with suppress(TimeoutError):
        async with asyncio.timeout(size.seconds):
            await arm.run()
            await asyncio.Event().wait()  # all tasks have come; what is left of the time
    stage.arm = None
    horizon = world.demand.hours * 3600
    started = {one: grant for one, grant in board.started.items() if grant.at < horizon}
    run = Run(world, started, list(board.waiting), board.lost)
    cost = Cost(
        board.negotiations,
        round(await _messages(gateways) - messages),
        gateways.cpu_seconds() - cpu,
        board.decided,
    )
    return figures_of(name, run, cost, len(started)), run, board


def most_at_once(run: Run) -> int:
    """Return the most slots that were in use at one instant."""
    changes = sorted(
        change
        for grant in run.started.values()
        for change in ((grant.at, 1), (grant.at + grant.task.seconds, -1))
    )
    in_use = most = 0
    for _, change in changes:
        in_use += change
        most = max(most, in_use)
    return most


async def _messages(gateways: Cluster) -> float:
    """Return how many messages agents have sent and heard."""
    return await _counted(gateways, *MESSAGES)


async def _counted(gateways: Cluster, *names: str) -> float:
    """Return the sum of metrics over all gateways and all labels."""
    registries = [await asyncio.to_thread(samples, server) for server in gateways.servers]
    return sum(value for one in registries for name, value in one if name in names)


def samples(server: Server) -> list[tuple[str, float]]:
    """Return every sample of a gateway by the name of its metric, whatever its labels."""
    url = f"http://127.0.0.1:{server.announced['metrics_port']}/metrics"
    with urllib.request.urlopen(url, timeout=SCRAPE_SECONDS_MAX) as answer:
        text: str = answer.read().decode()
    return [
        (sample.name, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


async def _totals(folder: Path, gateways: Cluster) -> LedgerTotals:
    """Return the sums of the ledger."""
    secret = development_secret(folder / "state")
    token = mint_development_token(secret, "agent://operator", roles=["operator"])
    metadata = (("authorization", f"Bearer {token}"),)
    async with grpc.aio.insecure_channel(gateways.addresses[0]) as channel:
        request = wire.GetLedgerRequest()
        answer = await LedgerServiceStub(channel).GetLedger(request, metadata=metadata)
    totals: LedgerTotals = answer.totals
    return totals
