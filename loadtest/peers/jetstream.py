"""NATS JetStream: every message is stored, its publisher told so, and its delivery acknowledged.

A stream in memory that keeps a message until all who are interested have acknowledged it; every
agent has a push consumer with explicit acknowledgements. Publishing does not wait for one
confirmation before the next message (`publish_async`), but all are awaited in the end.
"""

from __future__ import annotations

import asyncio
import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nats
import orjson
from nats.js import api

from loadtest.peers.contract_net import ALICE, ContractNet, Said
from loadtest.peers.nats import CALLS, hearing, inbox, unless_it_fails
from loadtest.peers.nats_server import nats_server
from loadtest.peers.window import measured
from loadtest.peers.work import PeerFailed, Work

STREAM = "negotiations"
ACK_WAIT_SECONDS = 30.0
CONFIRM_SECONDS_MAX = 10.0
ACKS_PENDING_MAX = 100_000
PUBLISHED_PENDING_MAX = 16_384


class JetStreamLinks:
    """Publishes, and keeps account of what the server has not confirmed."""

    def __init__(self, alice: Any, contractors: Sequence[Any]) -> None:
        """Take the JetStream context of each agent."""
        self._alice = alice
        self._contractors = contractors

    async def call(self, said: Said) -> None:
        """Store a call for all contractors."""
        await self._alice.publish_async(CALLS, orjson.dumps(said))

    async def offer(self, index: int, said: Said) -> None:
        """Store an offer for Alice."""
        await self._contractors[index].publish_async(inbox(ALICE), orjson.dumps(said))

    async def decide(self, decisions: Sequence[tuple[int, Said]]) -> None:
        """Store what was decided for each."""
        for index, said in decisions:
            await self._alice.publish_async(inbox(index), orjson.dumps(said))

    async def confirmed(self) -> None:
        """Wait until the server has confirmed everything. Raises PeerFailed."""
        try:
            async with asyncio.timeout(CONFIRM_SECONDS_MAX):
                for context in (self._alice, *self._contractors):
                    await context.publish_async_completed()
        except TimeoutError as error:
            raise PeerFailed("JetStream did not confirm every message") from error


async def play(work: Work) -> dict[str, Any]:
    """Play the work over a nats-server that stores. Raises PeerFailed."""
    with (
        tempfile.TemporaryDirectory(prefix="llmx-jetstream-") as folder,
        nats_server(Path(folder), work.server_core, stores=True) as server,
    ):
        failures: asyncio.Queue[BaseException] = asyncio.Queue(1)
        agents = [await nats.connect(server.url) for _ in range(work.contractors + 1)]
        alice, *contractors = [
            agent.jetstream(publish_async_max_pending=PUBLISHED_PENDING_MAX) for agent in agents
        ]
        await alice.add_stream(
            api.StreamConfig(
                name=STREAM,
                subjects=[CALLS, "inbox.*"],
                storage=api.StorageType.MEMORY,
                retention=api.RetentionPolicy.INTEREST,
            )
        )
        links = JetStreamLinks(alice, contractors)
        net = ContractNet(work, links)
        for index, context in enumerate(contractors):
            for subject in (CALLS, inbox(index)):
                hears = functools.partial(net.contractor_hears, index)
                await _listen(context, subject, hears, failures)
        await _listen(alice, inbox(ALICE), net.alice_hears, failures)
        try:
            played = await unless_it_fails(measured(net, work, server.cpu_seconds), failures)
            await links.confirmed()
            return played
        finally:
            await asyncio.gather(*(agent.close() for agent in agents))


async def _listen(
    context: Any, subject: str, take: Any, failures: asyncio.Queue[BaseException]
) -> None:
    """Take and acknowledge what is stored under a subject."""
    hears = hearing(take, failures)

    async def heard(message: Any) -> None:
        await hears(message)
        await message.ack()

    await context.subscribe(
        subject,
        cb=heard,
        manual_ack=True,
        config=api.ConsumerConfig(
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_SECONDS,
            max_ack_pending=ACKS_PENDING_MAX,
        ),
        pending_msgs_limit=ACKS_PENDING_MAX,
    )
