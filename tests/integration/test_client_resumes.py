"""The client library on a real gateway, over connections that break, stall and repeat."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import llmx
from llmx.backoff import Backoff
from tests.support.fault_proxy import FaultProxy
from tests.support.gateways import Gateway, running
from tests.support.weather import Weather

pytestmark = pytest.mark.slow

MESSAGES = 600
SIDE_BY_SIDE = 8
QUICK = Backoff(first=0.02, longest=0.1)


class Reader:
    """Notes what an agent hears, and when it was everything."""

    def __init__(self, agent: llmx.Agent, expected: int) -> None:
        self.heard: list[int] = []
        self.all = asyncio.Event()
        self._expected = expected
        agent.on_message(self._note)

    async def _note(self, message: llmx.Message) -> None:
        self.heard.append(int(message.text))
        await asyncio.sleep(0)  # it is not done at once
        if len(self.heard) == self._expected:
            self.all.set()


def agent(gateway: Gateway, at: str, name: str, tenant: str, **options: object) -> llmx.Agent:
    token = gateway.token(name, tenant=tenant)
    return llmx.Agent(
        f"agent://{name}",
        at,
        token=token,
        consents=["*"],
        backoff=QUICK,
        window_messages=int(str(options.get("window", 0))),
    )


@pytest.mark.parametrize("window", [0, 8])
@pytest.mark.parametrize("seed", [1, 2])
async def test_everything_arrives_once_and_in_order_whatever_breaks(
    gateway: Gateway, seed: int, window: int
) -> None:
    tenant = f"resumes-{seed}-{window}"
    weather = Weather(jitter=0.002, cut_share=0.004, duplicate_share=0.05)
    async with FaultProxy(gateway.port, weather=weather, seed=seed) as proxy:
        bob = agent(gateway, proxy.address, "bob", tenant, window=window)
        reader = Reader(bob, MESSAGES)
        async with bob, agent(gateway, proxy.address, "alice", tenant) as alice:
            numbers = iter(range(MESSAGES))

            async def say() -> None:
                for number in numbers:
                    await alice.send("agent://bob", str(number), qos="once")

            async with asyncio.TaskGroup() as tasks:
                for _ in range(SIDE_BY_SIDE):
                    tasks.create_task(say())
            await reader.all.wait()
            proxy.heal()
    assert reader.heard == list(range(MESSAGES))
    assert proxy.counts["connections"] > 2, "the connections did break"


async def test_no_confirmation_overtakes_refusals_that_need_several_frames(tmp_path: Path) -> None:
    """What is confirmed and was not refused counts as admitted, so it must come last."""
    small = {"limits__frame_bytes_max": 40_000, "limits__payload_bytes_max": 8_000}
    with running(tmp_path, **small) as gateway:
        async with agent(gateway, gateway.address, "alice", "default") as alice:
            nowhere = [f"agent://nobody-{'x' * 90}-{number}" for number in range(300)]
            async with asyncio.TaskGroup() as tasks:
                sends = [tasks.create_task(refusal_of(alice, address)) for address in nowhere]
    assert {send.result() for send in sends} == {"AGENT_ABSENT"}


async def refusal_of(alice: llmx.Agent, address: str) -> str:
    """Return why a message to this address does not count."""
    try:
        await alice.send(address, "hi")
    except llmx.Refused as refused:
        return refused.code
    return "admitted"


async def test_a_sender_hears_of_every_delivery_though_connections_break(
    gateway: Gateway,
) -> None:
    tenant = "resumes-receipts"
    weather = Weather(cut_share=0.004, duplicate_share=0.05)
    async with FaultProxy(gateway.port, weather=weather, seed=4) as proxy:
        bob = agent(gateway, proxy.address, "bob", tenant)
        reader = Reader(bob, 100)
        async with bob, agent(gateway, proxy.address, "alice", tenant) as alice:

            async def deliver(number: int) -> None:
                sent = await alice.send("agent://bob", str(number), receipt="delivered")
                assert await sent == ("agent://bob",)

            async with asyncio.TaskGroup() as tasks:
                for number in range(100):
                    tasks.create_task(deliver(number))
            await reader.all.wait()
            proxy.heal()
    assert reader.heard == list(range(100))
