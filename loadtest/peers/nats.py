"""NATS core: agents with a connection each, subjects for the call, for inboxes, and nothing kept.

What a message is lost to (an agent that is away or slow, a connection that breaks) nobody hears.
"""

from __future__ import annotations

import asyncio
import functools
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import nats
import orjson

from loadtest.peers.contract_net import ALICE, ContractNet, Said
from loadtest.peers.nats_server import nats_server
from loadtest.peers.window import measured
from loadtest.peers.work import Work

CALLS = "calls.gpu"


def inbox(index: int) -> str:
    """Return the subject of a contractor, or of Alice."""
    return "inbox.alice" if index == ALICE else f"inbox.c{index:03d}"


class NatsLinks:
    """Publishes and forgets."""

    def __init__(self, alice: Any, contractors: Sequence[Any]) -> None:
        """Take the connection of each agent."""
        self._alice = alice
        self._contractors = contractors

    async def call(self, said: Said) -> None:
        """Publish on the subject that all contractors listen to."""
        await self._alice.publish(CALLS, orjson.dumps(said))

    async def offer(self, index: int, said: Said) -> None:
        """Publish to Alice's inbox."""
        await self._contractors[index].publish(inbox(ALICE), orjson.dumps(said))

    async def decide(self, decisions: Sequence[tuple[int, Said]]) -> None:
        """Publish to each inbox."""
        for index, said in decisions:
            await self._alice.publish(inbox(index), orjson.dumps(said))


async def play(work: Work) -> dict[str, Any]:
    """Play the work over a nats-server. Raises PeerFailed."""
    with (
        tempfile.TemporaryDirectory(prefix="llmx-nats-") as folder,
        nats_server(Path(folder), work.server_core, stores=False) as server,
    ):
        failures: asyncio.Queue[BaseException] = asyncio.Queue(1)
        alice = await nats.connect(server.url)
        contractors = [await nats.connect(server.url) for _ in range(work.contractors)]
        net = ContractNet(work, NatsLinks(alice, contractors))
        for index, agent in enumerate(contractors):
            hears = hearing(functools.partial(net.contractor_hears, index), failures)
            await agent.subscribe(CALLS, cb=hears)
            await agent.subscribe(inbox(index), cb=hears)
            await agent.flush()
        await alice.subscribe(inbox(ALICE), cb=hearing(net.alice_hears, failures))
        await alice.flush()
        try:
            return await unless_it_fails(measured(net, work, server.cpu_seconds), failures)
        finally:
            await asyncio.gather(*(agent.close() for agent in (alice, *contractors)))


def hearing(
    take: Callable[[Said], Awaitable[None]], failures: asyncio.Queue[BaseException]
) -> Callable[[Any], Awaitable[None]]:
    """Return what a subscription calls; what goes wrong there is put where somebody looks."""

    async def heard(message: Any) -> None:
        try:
            await take(orjson.loads(message.data))
        except Exception as error:  # noqa: BLE001 - nats-py would only log it
            if failures.empty():
                failures.put_nowait(error)

    return heard


async def unless_it_fails(
    playing: Awaitable[dict[str, Any]], failures: asyncio.Queue[BaseException]
) -> dict[str, Any]:
    """Await the play, or raise what came first of the failures."""

    async def watch() -> None:
        raise await failures.get()

    async def play() -> dict[str, Any]:
        return await playing

    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch())
            played = await play()
            watching.cancel()
    except ExceptionGroup as group:
        raise group.exceptions[0] from group
    return played
