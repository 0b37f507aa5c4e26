"""The contractors as A2A servers, in one process: `python -m loadtest.peers.a2a_agents work.json`.

Each has a path of its own on one port. Prints one line of JSON with the port.
"""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from a2a.helpers.proto_helpers import get_data_parts, new_data_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.request_handlers import DefaultRequestHandlerV2
from a2a.server.routes import create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import a2a_pb2
from starlette.applications import Starlette

from loadtest.peers.contract_net import judges_of, said
from loadtest.peers.work import Work, read_work

CONNECTIONS_WAITING_MAX = 1_024
IDLE_SECONDS_MAX = 300
"""Longer than a case takes, so that no connection is closed just when it is used again."""


def card_of(index: int, port: int) -> Any:
    """Return what a contractor says of itself."""
    return a2a_pb2.AgentCard(
        name=f"c{index:03d}",
        description="offers GPUs",
        version="1.0.0",
        supported_interfaces=[
            a2a_pb2.AgentInterface(
                url=f"http://127.0.0.1:{port}{path_of(index)}",
                protocol_binding="JSONRPC",
                protocol_version="1.0",
            )
        ],
        capabilities=a2a_pb2.AgentCapabilities(streaming=False),
        default_input_modes=["application/json"],
        default_output_modes=["application/json"],
    )


def path_of(index: int) -> str:
    """Return where a contractor takes requests."""
    return f"/c{index:03d}"


class Contractor(AgentExecutor):
    """Answers a call with an offer, and a verdict with a word."""

    def __init__(self, index: int, work: Work, judges: dict[str, Any]) -> None:
        """Take what it offers and by what it judges."""
        self._index = index
        self._work = work
        self._judges = judges

    async def execute(self, context: RequestContext, event_queue: Any) -> None:
        """Judge what came and answer it."""
        (heard,) = get_data_parts(context.message.parts)
        negotiation, act = heard["negotiation"], heard["act"]
        if not self._judges[act](heard["payload"]):
            answer = said(negotiation, self._index, "not-understood", {})
        elif act == "cfp":
            variants = self._work.offers[self._index]
            payload = variants[int(negotiation[-1]) % len(variants)]
            answer = said(negotiation, self._index, "offer", payload)
        else:
            answer = said(negotiation, self._index, "inform", {})
        await event_queue.enqueue_event(new_data_message(answer, context_id=context.context_id))

    async def cancel(self, context: RequestContext, event_queue: Any) -> None:
        """Have nothing that lasts."""


def application(work: Work, port: int) -> Starlette:
    """Return all contractors behind one port."""
    judges = judges_of(work)
    routes = []
    for index in range(work.contractors):
        handler = DefaultRequestHandlerV2(
            Contractor(index, work, judges), InMemoryTaskStore(), card_of(index, port)
        )
        routes += create_jsonrpc_routes(handler, path_of(index))
    return Starlette(routes=routes)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    work = read_work(Path(sys.argv[1]))
    listening = socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS_WAITING_MAX)
    port = listening.getsockname()[1]
    config = uvicorn.Config(
        application(work, port),
        log_level="warning",
        loop="uvloop",
        timeout_keep_alive=IDLE_SECONDS_MAX,
    )
    print(json.dumps({"port": port}), flush=True)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
