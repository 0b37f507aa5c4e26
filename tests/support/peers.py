"""Gateways that do nothing but peer: real streams, a diary instead of a router."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import grpc

from federation.greeting import OwnGateway
from federation.link import LinkLimits
from federation.peer_states import LinkState, PeerAddress, PeeringLimits
from federation.peer_tls import PeerCredentials
from federation.peering import Peering

SERVICE = "llmx.v1.PeeringService"
BOUND_SECONDS = 10.0
QUICK = PeeringLimits(
    link=LinkLimits(),
    heartbeat_seconds=0.2,
    relay_after_seconds=0.4,
    dial_seconds_max=1.0,
    redial_first_seconds=0.02,
    redial_most_seconds=0.2,
)


@dataclass(frozen=True, slots=True)
class Handed:
    """What was handed back when a link ended."""

    gateway_id: str
    messages: tuple[bytes, ...]


class Diary:
    """What a gateway was told, in order."""

    def __init__(self) -> None:
        self.heard: dict[str, list[bytes]] = {}
        self.frames = 0
        """How often messages came."""
        self.begun: list[str] = []
        self.ended: list[Handed] = []
        self.wait: Callable[[], Awaitable[None]] | None = None
        """Awaited before anything more is heard, if it is not None."""
        self.greeting: Callable[[str], None] | None = None
        """Called when a link begins."""
        self.changed = asyncio.Event()

    def hear(self, gateway_id: str, messages: Sequence[bytes]) -> Awaitable[None] | None:
        self.frames += 1
        self.heard.setdefault(gateway_id, []).extend(messages)
        self.changed.set()
        return None if self.wait is None else self.wait()

    def begin(self, gateway_id: str) -> None:
        self.begun.append(gateway_id)
        self.changed.set()
        if self.greeting is not None:
            self.greeting(gateway_id)

    def end(self, gateway_id: str, messages: list[bytes]) -> None:
        self.ended.append(Handed(gateway_id, tuple(messages)))
        self.changed.set()


class PeerSide:
    """One such gateway, while it lives."""

    def __init__(
        self,
        own: OwnGateway,
        limits: PeeringLimits = QUICK,
        tls: PeerCredentials | None = None,
    ) -> None:
        self.own = own
        self.diary = Diary()
        self.sees_discovery = True
        self.peering = Peering(
            own,
            limits,
            time.monotonic,
            hear=self.diary.hear,
            begun=self.diary.begin,
            ended=self.diary.end,
            sees_discovery=lambda: self.sees_discovery,
            tls=tls,
        )
        self.port = 0
        self._tls = tls
        self._server: grpc.aio.Server | None = None
        self._run: asyncio.Task[None] | None = None

    @property
    def address(self) -> PeerAddress:
        return PeerAddress(f"127.0.0.1:{self.port}", self.own.epoch, self.own.region)

    async def start(self, tasks: asyncio.TaskGroup, port: int = 0, unix: str = "") -> None:
        server = self._server = grpc.aio.server(
            options=(("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1))
        )
        handler = grpc.method_handlers_generic_handler(SERVICE, self.peering.handlers())
        server.add_generic_rpc_handlers((handler,))
        if unix:
            server.add_insecure_port(f"unix:{unix}")
        if self._tls is None:
            self.port = server.add_insecure_port(f"127.0.0.1:{port}")
        else:
            credentials = self._tls.server_credentials()
            self.port = server.add_secure_port(f"127.0.0.1:{port}", credentials)
        await server.start()
        self._run = tasks.create_task(self.peering.run())

    async def stop(self) -> None:
        """End without a word, as a process that is killed."""
        if self._run is not None:
            self._run.cancel()
            await asyncio.wait((self._run,))
            self._run = None
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def know(self, *others: PeerSide, **addresses: PeerAddress) -> None:
        """Have these as members, reached where they listen or at the given addresses."""
        members = {one.own.gateway_id: one.address for one in others}
        self.peering.set_members(members | addresses)

    def link(self, gateway_id: str) -> LinkState:
        return next(one for one in self.peering.links() if one.gateway_id == gateway_id)

    def send(self, gateway_id: str, *texts: str) -> None:
        for text in texts:
            assert self.peering.send(gateway_id, text.encode()), text

    def is_confirmed(self, gateway_id: str) -> bool:
        """Tell whether everything that was sent to a gateway is confirmed."""
        link = self.link(gateway_id)
        return not link.queued and not link.unconfirmed

    def heard(self, gateway_id: str) -> list[str]:
        return [message.decode() for message in self.diary.heard.get(gateway_id, [])]


def side(
    gateway_id: str,
    limits: PeeringLimits = QUICK,
    tls: PeerCredentials | None = None,
    **who: object,
) -> PeerSide:
    """Return a gateway of the cluster "test", or of what `who` says."""
    own = OwnGateway(gateway_id, epoch=1, cluster="test", region=f"region-{gateway_id}")
    return PeerSide(replace(own, **who), limits, tls)  # type: ignore[arg-type]


@asynccontextmanager
async def living(*sides: PeerSide, are_strangers: bool = False) -> AsyncIterator[asyncio.TaskGroup]:
    """Let them live until the block ends; they know each other unless they are strangers."""
    async with asyncio.TaskGroup() as tasks:
        try:
            for one in sides:
                await one.start(tasks)
            for one in sides if not are_strangers else ():
                one.know(*sides)
            yield tasks
        finally:
            for one in sides:
                await one.stop()


async def until(holds: Callable[[], object], seconds: float = BOUND_SECONDS) -> None:
    """Return when something holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not holds():
            await _moment()


async def _moment() -> None:
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(0.005, passed.set)
    await passed.wait()
