"""A2A over JSON-RPC: Alice is a client of every contractor, and a contractor is a server.

There is nothing in between, so Alice sends each contractor its call, and its verdict, as a request
of its own. The offer is the answer to the call; the answer to the verdict says that it was heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.helpers.proto_helpers import get_data_parts, new_data_message
from a2a.types import a2a_pb2

from loadtest.peers.a2a_agents import card_of
from loadtest.peers.contract_net import ALICE, Said, judges_of, said
from loadtest.peers.window import measured
from loadtest.peers.work import PeerFailed, Work
from loadtest.servers import Server, ServerCommand, ServerFailed

ANSWER_SECONDS_MAX = 60.0


class Initiator:
    """Alice, who sends requests and judges what they are answered with."""

    def __init__(self, work: Work, clients: list[Any]) -> None:
        """Take a client for each contractor."""
        self.messages = 0
        self.strays = 0
        self._work = work
        self._clients = clients
        self._judges = judges_of(work)

    async def play(self, number: int) -> tuple[float, float]:
        """Play a round; returns when the last offer was there, and when the last verdict was."""
        negotiation = f"n{number:07d}"
        call = said(negotiation, ALICE, "cfp", self._work.call)
        arrived: list[int] = []
        await asyncio.gather(
            *(self._call(index, call, arrived) for index in range(len(self._clients)))
        )
        offered_at = time.perf_counter()
        winner, *others = arrived
        await asyncio.gather(
            self._send(winner, said(negotiation, ALICE, "accept", self._work.accept)),
            *(
                self._send(other, said(negotiation, ALICE, "reject", self._work.reject))
                for other in others
            ),
        )
        self.messages += 2 * len(self._clients)  # calls and verdicts, which contractors judged
        return offered_at, time.perf_counter()

    async def _call(self, index: int, call: Said, arrived: list[int]) -> None:
        """Ask a contractor for its offer. Raises PeerFailed."""
        offer = await self._send(index, call)
        self.messages += 1
        if offer.get("act") != "offer" or not self._judges["offer"](offer["payload"]):
            raise PeerFailed(f"contractor {index} made no offer that its schema allows")
        arrived.append(index)

    async def _send(self, index: int, message: Said) -> Said:
        """Send a message and return its answer. Raises PeerFailed."""
        request = a2a_pb2.SendMessageRequest(
            message=new_data_message(message, role=a2a_pb2.Role.ROLE_USER)
        )
        async for answer in self._clients[index].send_message(request):
            if answer.HasField("message"):
                parts: list[Said] = get_data_parts(answer.message.parts)
                if parts and parts[0].get("act") != "not-understood":
                    return parts[0]
        raise PeerFailed(f"contractor {index} did not take {message['act']}")


async def play(work: Work) -> dict[str, Any]:
    """Play the work with contractors in a process of their own. Raises PeerFailed."""
    with tempfile.TemporaryDirectory(prefix="llmx-a2a-") as folder:
        path = Path(folder, "work.json")
        work.write(path)
        command = ServerCommand(
            "the A2A servers", ["-m", "loadtest.peers.a2a_agents", str(path)], {}
        )
        try:
            server = Server(command, work.server_core, Path(folder, "agents.log"))
        except ServerFailed as error:
            raise PeerFailed(str(error)) from error
        with server:
            async with contextlib.AsyncExitStack() as stack:
                clients = []
                for index in range(work.contractors):
                    http = await stack.enter_async_context(_http())
                    factory = ClientFactory(ClientConfig(streaming=False, httpx_client=http))
                    clients.append(factory.create(card_of(index, server.port)))
                return await measured(Initiator(work, clients), work, server.cpu_seconds)


def _http() -> Any:
    """Return a pool of connections to one contractor, which keeps them.

    One pool for all would look through every connection at each request, which is slow.
    """
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=None, keepalive_expiry=None
    )
    return httpx.AsyncClient(timeout=ANSWER_SECONDS_MAX, limits=limits)
