"""A ledger service on a real port, over a ledger in memory, and whoever asks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import Message

from gateway.known_budgets import KnownBudgets
from gateway.ledger_service import LedgerService
from gateway.ledger_view import LedgerView
from gateway.server import LEDGER
from gateway.tokens import mint_development_token
from llmx.v1.ledger_service_pb2_grpc import LedgerServiceStub
from policy.judging import Writer
from policy.memory_store import MemoryStore
from policy.store import Capture, Change, Commit, Committed, HoldCredit, Lock
from tests.support.admin_view import checked_by

SECRET = b"a secret of thirty-two bytes, or so"
NOW = 1755801900.0


class LedgerScene:
    """A ledger, and the service that shows it."""

    def __init__(self, store: MemoryStore, stub: LedgerServiceStub, address: str) -> None:
        self.store = store
        self.address = address
        self._stub = stub
        self._commits = 0

    async def ask(self, name: str, request: Message, agent: str = "operator", **how: Any) -> Any:
        """Ask as an agent, or as an operator."""
        roles = ("operator",) if agent == "operator" else ()
        token = mint_development_token(SECRET, f"agent://{agent}", roles=roles, **how)
        metadata = (("authorization", f"Bearer {token}"),)
        return await getattr(self._stub, name)(request, metadata=metadata)

    async def refusal(
        self, name: str, request: Message, agent: str = "operator"
    ) -> tuple[str, str]:
        """Ask, and return with which status and words that was refused."""
        try:
            answer = await self.ask(name, request, agent)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details() or ""
        raise AssertionError(f"it was answered: {answer}")

    async def write(self, *changes: Change) -> str:
        """Change the ledger as an award does; returns the key."""
        self._commits += 1
        key = f"settle:g.0.{self._commits}/1"
        answer = await self.store.commit(Commit(key, NOW, changes))
        assert isinstance(answer, Committed), answer
        return key

    async def award(self, micros: int, *, paid: bool = True) -> str:
        """Let alice have an award for four units; returns the hold."""
        hold = f"g.0.{self._commits + 1}/1/1"
        changes: list[Change] = [
            Lock(f"{hold}/0", "default|gpu", 4, NOW, NOW + 60, "default|agent://alice", "g.0.n"),
            HoldCredit(hold, "default|agent://alice", micros, NOW + 60, "g.0.n", "gpu", "vision"),
        ]
        if paid:
            changes.append(Capture(hold, micros))
        await self.write(*changes)
        return hold


@asynccontextmanager
async def ledger_scene(*, has_ledger: bool = True) -> AsyncIterator[LedgerScene]:
    """Serve a ledger until the block ends."""
    store = MemoryStore(Writer("g"))
    view = LedgerView(store, KnownBudgets(store, lambda: NOW), lambda: NOW)
    service = LedgerService(checked_by(SECRET), view if has_ledger else None)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(LEDGER, service.handlers()),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield LedgerScene(store, LedgerServiceStub(channel), f"127.0.0.1:{port}")
    finally:
        await server.stop(None)
