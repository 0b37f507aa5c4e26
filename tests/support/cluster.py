"""A cluster of real gateways around a real etcd, in which every line can be disturbed.

    with running_cluster(folder) as cluster:
        cluster.line("ap", "eu").hold()          # two gateways cannot reach each other
        cluster.etcd_lines["us"].hold()          # one cannot reach etcd
        await cluster.gateways["eu"].kill()

Each gateway has an address in etcd, `federation.advertise`, behind which there is a line, and a
line of its own to etcd. Of two gateways the one whose id sorts first dials, so the line to the
second of all is dialled by the first alone: to disturb it disturbs one pair. A line cannot tell who
dials it, and it need not: a static list of peers would tell dialler from dialler, but without etcd
there are no leases and no awards, which is what these clusters are for. The line to the third one
carries it with both others.

Nothing here belongs to a loop, so that several tests, each in a loop of its own, can use one
cluster one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Container, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.commands.admin import Admin
from gateway.tokens import development_secret, mint_development_token
from llmx.errors import LlmxError
from llmx.tokens import Tokens
from llmx.v1.cluster_pb2 import DiscoveryState, LinkCondition
from llmx.v1.negotiation_pb2 import NegotiationState
from tests.support.etcd import Etcd, free_ports, passed
from tests.support.mortal_gateway import MortalGateway
from tests.support.tcp_lines import TcpLine, TcpLines

NAMES = ("ap", "eu", "us")
LOOK_SECONDS = 0.05
LOOK_SECONDS_MAX = 1.0
AGENTS_MAX = NEGOTIATIONS_MAX = 10_000
OPEN_STATES = (
    NegotiationState.NEGOTIATION_STATE_OPEN,
    NegotiationState.NEGOTIATION_STATE_CLOSED,
    NegotiationState.NEGOTIATION_STATE_CONFIRMING,
)
TOKEN_SECONDS = 86_400.0
WHOLE_SECONDS_MAX = 20.0
QUICK: Mapping[str, object] = {
    "federation__lease_seconds": 2,
    "federation__heartbeat_seconds": 0.4,
    "federation__relay_after_seconds": 0.5,
    "limits__heartbeat_seconds": 0.5,
    "limits__retry_max": 2.0,
    "log__level": "info",
}
"""Everything is noticed two or three times as soon as by default."""


@dataclass(frozen=True, slots=True)
class View:
    """What an operator sees at one gateway."""

    sees_etcd: bool
    members: frozenset[str]
    """The other gateways."""
    reach: Mapping[str, str]
    """How each of them is reached: "open", "relayed" or "down"."""
    round_trip: Mapping[str, float] = field(default_factory=dict)
    """In seconds; 0 while it is not known."""

    @property
    def open(self) -> frozenset[str]:
        """Return whom there is a stream with."""
        return frozenset(one for one, how in self.reach.items() if how == "open")


Views = Mapping[str, View]
"""By gateway; who cannot be asked is missing."""


class Cluster:
    """Gateways, their etcd, and the lines between them."""

    def __init__(self, folder: Path, **settings: object) -> None:
        """Describe it; `limits__burst=3` is the setting limits.burst of every gateway."""
        self.folder = folder
        self.etcd = Etcd(folder / "etcd")
        self.gateways: dict[str, MortalGateway] = {}
        self.peer_lines: dict[str, TcpLine] = {}
        """By the gateway that is dialled."""
        self.etcd_lines: dict[str, TcpLine] = {}
        self.frozen: set[str] = set()
        self._settings = {**QUICK, **settings}
        self._lines = TcpLines()
        self._secret = folder / "secret" / "development.secret"

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Cluster of {', '.join(map(repr, self.gateways.values()))}>"

    # ------------------------------------------------------------------ life

    async def start(self, *names: str) -> None:
        """Start etcd and gateways of these names, and wait until all are linked."""
        development_secret(self._secret.parent)
        self._lines.__enter__()
        await self.etcd.restart()
        async with asyncio.TaskGroup() as tasks:
            for name in names or NAMES:
                tasks.create_task(self.add(name))
        await self.until(self.is_whole)

    async def add(self, name: str) -> MortalGateway:
        """Start another gateway and return it when it serves."""
        (port,) = free_ports(1)
        self.peer_lines[name] = self._lines.to(port)
        self.etcd_lines[name] = self._lines.to(self.etcd.port)
        settings: dict[str, Any] = {
            **self._settings,
            "server__gateway_id": name,
            "auth__development_secret_file": self._secret,
            "mailbox__file": self.folder / name / "store.sqlite",
            "engine__records": self.records(name),
            "federation__region": name,
            "federation__etcd": self.etcd_lines[name].address,
            "federation__listen": f"127.0.0.1:{port}",
            "federation__advertise": self.peer_lines[name].address,
        }
        gateway = MortalGateway(self.folder / name, **settings)
        await gateway.__aenter__()
        self.gateways[name] = gateway
        return gateway

    def records(self, name: str) -> Path:
        """Return the file that a gateway appends what it has decided to."""
        return self.folder / f"records-{name}.jsonl"

    async def end(self) -> None:
        """End everything; raises AssertionError when a gateway did not end well."""
        self.heal()
        ends = (gateway.__aexit__() for gateway in self.gateways.values())
        try:
            ended = await asyncio.gather(*ends, return_exceptions=True)  # each, though others fail
        finally:
            self.etcd.end()
            self._lines.__exit__()
        for failure in ended:
            if failure is not None:
                raise failure

    # ------------------------------------------------------------------ what can be done to it

    def line(self, first: str, second: str) -> TcpLine:
        """Return the line that carries these two, and nobody else."""
        dialled = max(first, second)
        diallers = [name for name in self.gateways if name < dialled]
        assert diallers == [min(first, second)], f"the line to {dialled} carries {diallers}"
        return self.peer_lines[dialled]

    def freeze(self, name: str) -> None:
        """Stop a gateway between two instructions."""
        self.frozen.add(name)
        self.gateways[name].freeze()

    def thaw(self, name: str) -> None:
        """Let it go on."""
        self.gateways[name].thaw()
        self.frozen.discard(name)

    async def remove(self, name: str) -> None:
        """Stop a gateway and forget it."""
        await self.gateways.pop(name).__aexit__()
        del self.peer_lines[name], self.etcd_lines[name]

    async def leave(self, name: str) -> None:
        """Stop a gateway as an operator does; `restart` of it brings it back."""
        gateway = self.gateways[name]
        code = await asyncio.to_thread(gateway.life.stop)
        if gateway.life.process.stdout is not None:
            gateway.life.process.stdout.close()
        assert code == 0, gateway.life.log()[-4_000:]

    def heal(self) -> None:
        """Let every line through, and every gateway go on."""
        for line in (*self.peer_lines.values(), *self.etcd_lines.values()):
            line.heal()
        for name in list(self.frozen):
            self.thaw(name)

    # ------------------------------------------------------------------ what agents need

    def addresses(self, first: str) -> str:
        """Return where an agent can connect, one gateway preferred."""
        names = [first, *(name for name in self.gateways if name != first)]
        return ",".join(self.gateways[name].life.address for name in names)

    def token(self, name: str, *roles: str, system: bool = False) -> str:
        """Return a token for `agent://<name>`, good at every gateway."""
        secret, agent = development_secret(self._secret.parent), f"agent://{name}"
        return mint_development_token(secret, agent, ttl=TOKEN_SECONDS, roles=roles, system=system)

    # ------------------------------------------------------------------ what can be seen of it

    @property
    def living(self) -> list[str]:
        """Return the gateways that can answer."""
        return [
            name
            for name, gateway in self.gateways.items()
            if gateway.is_alive and name not in self.frozen
        ]

    async def views(self) -> Views:
        """Return what an operator sees now, at every gateway that answers."""
        async with asyncio.TaskGroup() as tasks:
            asked = {name: tasks.create_task(self._view(name)) for name in self.living}
        return {name: view for name, task in asked.items() if (view := task.result()) is not None}

    def is_whole(self, views: Views) -> bool:
        """Tell whether all see etcd, and each has an open link with every other one."""
        names = frozenset(self.living)
        return views.keys() == names and all(
            view.sees_etcd and view.members == view.open == names - {name}
            for name, view in views.items()
        )

    async def until(
        self, is_so: Callable[[Views], bool], within: float = WHOLE_SECONDS_MAX
    ) -> float:
        """Wait until operators see something; returns how long that took. Raises TimeoutError."""
        began = asyncio.get_running_loop().time()
        views: Views = {}
        try:
            async with asyncio.timeout(within):
                while not is_so(views := await self.views()):
                    await passed(LOOK_SECONDS)
        except TimeoutError:
            raise TimeoutError(f"not within {within:g} s: {views}") from None
        return asyncio.get_running_loop().time() - began

    def errors(self) -> list[str]:
        """Return what gateways have logged as errors, in all their lives."""
        return [
            f"{name}: {line}"
            for name, gateway in self.gateways.items()
            for line in gateway.life.log().splitlines()
            if '"level":"error"' in line
        ]

    async def until_located(self, agents: Iterable[str], within: float = WHOLE_SECONDS_MAX) -> None:
        """Wait until every gateway knows where these agents are. Raises TimeoutError."""
        wanted = frozenset(agents)
        async with asyncio.timeout(within):
            for name in self.living:
                while not wanted <= await self._located(name):
                    await passed(LOOK_SECONDS)

    async def open_calls(self, initiators: Container[str]) -> int:
        """Return how many negotiations of these agents the gateways that live decide now."""
        found = 0
        for name in self.living:
            async with self._admin(name) as admin:
                negotiations, _ = await admin.negotiations(NEGOTIATIONS_MAX)
            found += sum(
                one.initiator in initiators and one.state in OPEN_STATES for one in negotiations
            )
        return found

    async def _located(self, name: str) -> frozenset[str]:
        async with self._admin(name) as admin:
            found, _ = await admin.agents(AGENTS_MAX, "")
            return frozenset(one.agent.agent_id for one in found)

    async def _view(self, name: str) -> View | None:
        try:
            async with asyncio.timeout(LOOK_SECONDS_MAX), self._admin(name) as admin:
                told = await admin.members()
                links, _ = await admin.links(len(told.members) or 1)
        except (LlmxError, TimeoutError):
            return None
        conditions = {
            LinkCondition.LINK_CONDITION_OPEN: "open",
            LinkCondition.LINK_CONDITION_RELAYED: "relayed",
        }
        return View(
            told.cluster.discovery == DiscoveryState.DISCOVERY_STATE_REACHED,
            frozenset(one.gateway_id for one in told.members) - {name},
            {link.peer_id: conditions.get(link.condition, "down") for link in links},
            {link.peer_id: link.round_trip.ToNanoseconds() / 1e9 for link in links},
        )

    @asynccontextmanager
    async def _admin(self, name: str) -> AsyncIterator[Admin]:
        admin = Admin(self.gateways[name].life.address, Tokens(self.token("watch", "operator")))
        try:
            yield admin
        finally:
            await admin.close()


@contextmanager
def running_cluster(folder: Path, *names: str, **settings: object) -> Iterator[Cluster]:
    """Run a cluster, outside of any loop."""
    cluster = Cluster(folder, **settings)
    try:
        asyncio.run(cluster.start(*names))
        yield cluster
    finally:
        with suppress(ProcessLookupError):
            asyncio.run(cluster.end())
