"""Agents whose line breaks at the worst moment; the client library hides it."""

from __future__ import annotations

import asyncio

import pytest

import llmx
from tests.support.fault_proxy import FaultProxy
from tests.support.tiny_gateway import TinyGateway

pytestmark = pytest.mark.slow

QUICK = llmx.Backoff(first=0.01, longest=0.02)


async def test_an_agent_leaves_in_peace_though_its_line_breaks_meanwhile() -> None:
    """The half-close may meet a connection that broke just now, which grpc tells in its own way."""
    async with (
        TinyGateway() as gateway,
        FaultProxy(int(gateway.address.rpartition(":")[2])) as proxy,
    ):
        for attempt in range(150):
            agent = llmx.Agent(
                "agent://bob", proxy.address, token="t", close_timeout=0.2, backoff=QUICK
            )
            async with agent:
                proxy.refuse()
                for _ in range(attempt % 5):
                    await asyncio.sleep(0)  # turns of the loop: refused at another step each time
            proxy.heal()
