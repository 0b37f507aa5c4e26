"""AutoGen's gRPC runtime: a host, and for each agent a worker runtime with a stream of its own.

All is published: the call to a topic that the contractors share, offers and verdicts to a topic of
their receiver. Nothing tells a publisher whether somebody heard it.
"""

from __future__ import annotations

import asyncio
import functools
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autogen_core import (
    BaseAgent,
    MessageContext,
    TopicId,
    TypeSubscription,
    try_get_known_serializers_for_type,
)
from autogen_ext.runtimes.grpc import GrpcWorkerAgentRuntime

from loadtest.peers.contract_net import ContractNet, Said
from loadtest.peers.nats import unless_it_fails
from loadtest.peers.window import measured
from loadtest.peers.work import PeerFailed, Work
from loadtest.servers import Server, ServerCommand, ServerFailed

CALLS = "calls"
ALICE = "alice"
SOURCE = "default"


@dataclass
class Spoken:
    """A message, as AutoGen serialises it: a dataclass as JSON."""

    said: dict[str, Any]


class Hearer(BaseAgent):
    """An agent that hands on what it hears."""

    def __init__(
        self,
        take: Callable[[Said], Awaitable[None]],
        failures: asyncio.Queue[BaseException],
    ) -> None:
        """Take who listens, and where failures are put, which AutoGen would only log."""
        super().__init__("plays a role in a contract net")
        self._take = take
        self._failures = failures

    async def on_message_impl(self, message: Any, ctx: MessageContext) -> None:
        """Hand on a message."""
        try:
            await self._take(message.said)
        except Exception as error:  # noqa: BLE001 - see above
            if self._failures.empty():
                self._failures.put_nowait(error)


class AutoGenLinks:
    """Publishes each message from the runtime of its sender."""

    def __init__(self, alice: Any, contractors: Sequence[Any]) -> None:
        """Take the runtime of each agent."""
        self._alice = alice
        self._contractors = contractors

    async def call(self, said: Said) -> None:
        """Publish to the contractors."""
        await self._alice.publish_message(Spoken(said), TopicId(CALLS, SOURCE))

    async def offer(self, index: int, said: Said) -> None:
        """Publish to Alice."""
        await self._contractors[index].publish_message(Spoken(said), TopicId(ALICE, SOURCE))

    async def decide(self, decisions: Sequence[tuple[int, Said]]) -> None:
        """Publish to each contractor."""
        for index, said in decisions:
            await self._alice.publish_message(Spoken(said), TopicId(_name(index), SOURCE))


async def play(work: Work) -> dict[str, Any]:
    """Play the work through a host. Raises PeerFailed."""
    command = ServerCommand("AutoGen's host", ["-m", "loadtest.peers.autogen_host"], {})
    with tempfile.TemporaryDirectory(prefix="llmx-autogen-") as folder:
        try:
            server = Server(command, work.server_core, Path(folder, "host.log"))
        except ServerFailed as error:
            raise PeerFailed(str(error)) from error
        with server:
            return await _play_through(server, work)


async def _play_through(server: Server, work: Work) -> dict[str, Any]:
    failures: asyncio.Queue[BaseException] = asyncio.Queue(1)
    runtimes = [
        GrpcWorkerAgentRuntime(f"127.0.0.1:{server.port}") for _ in range(work.contractors + 1)
    ]
    alice, *contractors = runtimes
    net = ContractNet(work, AutoGenLinks(alice, contractors))
    for runtime in runtimes:
        await runtime.start()
        runtime.add_message_serializer(try_get_known_serializers_for_type(Spoken))
    try:
        for index, runtime in enumerate(contractors):
            name = _name(index)
            hears = functools.partial(net.contractor_hears, index)
            await runtime.register_factory(name, functools.partial(Hearer, hears, failures))
            await runtime.add_subscription(TypeSubscription(CALLS, name))
            await runtime.add_subscription(TypeSubscription(name, name))
        await alice.register_factory(ALICE, lambda: Hearer(net.alice_hears, failures))
        await alice.add_subscription(TypeSubscription(ALICE, ALICE))
        return await unless_it_fails(measured(net, work, server.cpu_seconds), failures)
    finally:
        await asyncio.gather(*(runtime.stop() for runtime in runtimes))


def _name(index: int) -> str:
    return f"c{index:03d}"
