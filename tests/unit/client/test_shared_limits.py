"""Tokens of a shared limit, as an agent's author gets them: from a real desk, over a real port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

import llmx
from gateway.governing.token_desk import TokenDesk
from llmx.tokens import Tokens
from llmx.v1.token_service_pb2_grpc import add_TokenServiceServicer_to_server
from tests.unit.gateway.governing.test_token_service import Desk


@asynccontextmanager
async def limits(folder: Path) -> AsyncIterator[tuple[llmx.Control, Desk]]:
    """Bob, who holds ten tokens of "search", at a gateway that keeps it."""
    desk = Desk(folder)
    server = grpc.aio.server()
    add_TokenServiceServicer_to_server(desk.service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    control = llmx.Control(f"127.0.0.1:{port}", Tokens("token"))
    async with asyncio.TaskGroup() as tasks:
        desk.desk._tasks = tasks  # it is open, and sells when it is told to
        try:
            yield control, desk
        finally:
            await control.close()
            await server.stop(0)


async def sold(desk: TokenDesk, control: llmx.Control) -> None:
    """Hold a sale, once somebody bids."""
    (book,) = [one for one in desk.books.values() if one.name == "search"]
    while not desk._waiting[book.key]:
        await control.limits.list()
    for one, sale in desk.sell(book):
        await desk._settle(book, one, sale)


async def test_an_agent_spends_what_it_holds_and_bids_for_more(tmp_path: Path) -> None:
    async with limits(tmp_path) as (control, desk):
        (search,) = await control.limits.list()
        assert (search.name, search.held) == ("search", 10)
        assert await control.limits.spend("search", 9)
        assert not await control.limits.spend("search", 2)
        assert await control.limits.spend("search")
        desk.now += 4.0
        async with asyncio.TaskGroup() as tasks:
            bid = tasks.create_task(control.limits.bid("search", 3))
            await sold(desk.desk, control)
        assert (bid.result().tokens, bid.result().held) == (3, 3)


async def test_agents_offer_tokens_to_each_other(tmp_path: Path) -> None:
    async with limits(tmp_path) as (control, desk):
        made = await control.limits.offer("search", 4, to="agent://carol", valid_for=5)
        assert (made.taker, made.price_micros, made.expires_at.seconds) == ("agent://carol", 0, 105)
        desk.who.agent_id = "agent://carol"
        assert list(await control.limits.offers("search")) == [made]
        assert await control.limits.take(made) == 4


async def test_what_cannot_be_is_an_error_with_its_status(tmp_path: Path) -> None:
    async with limits(tmp_path) as (control, _):
        with pytest.raises(llmx.ControlError, match="NOT_FOUND"):
            await control.limits.spend("maps")
        with pytest.raises(llmx.ControlError, match="CREDIT_SHORT") as caught:
            await control.limits.bid("search", 1, credits=0.5)
        assert caught.value.status == "RESOURCE_EXHAUSTED"
