"""Several gateway processes behind one address, and one of them that dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.request
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

import llmx
from llmx.backoff import Backoff
from tests.support.etcd import passed
from tests.support.gateways import Gateway, is_running, running

pytestmark = pytest.mark.slow

CONTRACTORS = 10
LOOK_SECONDS = 0.1
SECONDS_MAX = 60.0


class Processes:
    """The processes of a gateway, as its log and `/proc` tell of them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @property
    def pids(self) -> dict[str, int]:
        """Return the process ids of those that live, by gateway id."""
        found = {}
        for pid in self._gateway.children():
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            named = [word for word in words if word.startswith("server.gateway_id=eu-")]
            if named:
                found[named[0].partition("=")[2]] = pid
        return found

    def metric(self, gateway_id: str, name: str) -> float:
        """Return a figure of one process; -1 when it does not answer."""
        lines = [json.loads(line) for line in self._gateway.log().splitlines() if line[:1] == "{"]
        said = [
            one for one in lines if one["event"] == "listening" and one["gateway_id"] == gateway_id
        ]
        url = f"http://127.0.0.1:{said[-1]['metrics_port']}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                text: str = answer.read().decode()
        except OSError:
            return -1.0
        return next(
            (float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} ")),
            -1.0,
        )


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while not await asyncio.to_thread(is_so):
            await passed(LOOK_SECONDS)


def agent_of(gateway: Gateway, name: str, *topics: str) -> llmx.Agent:
    return llmx.Agent(
        f"agent://{name}",
        gateway.address,
        token=gateway.token(name),
        topics=topics,
        capabilities=["propose"] if topics else [],
        backoff=Backoff(first=0.02, longest=0.2),
    )


async def offers_of(alice: llmx.Agent) -> int:
    """Call everybody and return how many had offered when it was over."""
    outcome = await alice.call(
        {"task": "four GPUs", "reply_within": 5}, to=["topic://gpu"], policy="high"
    )
    return len(outcome.ranking)


async def test_processes_share_the_work_and_outlive_one_of_them(tmp_path: Path) -> None:
    """Agents are on both, negotiate with all, and do so again when one was killed and is back."""
    with running(
        tmp_path,
        server__gateway_id="eu",
        server__processes=2,
        server__shutdown_grace=1,
        log__level="info",
    ) as gateway:
        processes = Processes(gateway)
        before = processes.pids
        assert set(before) == {"eu-1", "eu-2"}
        async with AsyncExitStack() as stack:
            alice = await stack.enter_async_context(agent_of(gateway, "alice"))

            async def offer(call: llmx.Call) -> llmx.Offer:
                return llmx.Offer(40.0)

            async def contract(name: str) -> None:
                contractor = agent_of(gateway, name, "gpu")
                contractor.on_cfp(offer)
                await stack.enter_async_context(contractor)

            for number in range(CONTRACTORS):
                await contract(f"contractor-{number}")
            streams = {one: processes.metric(one, "llmx_streams") for one in before}
            extra = 0
            while not all(streams.values()):  # chance, one in a thousand
                extra += 1
                await contract(f"extra-{extra}")
                streams = {one: processes.metric(one, "llmx_streams") for one in before}
            everybody = CONTRACTORS + extra

            def all_know_all() -> bool:
                return all(
                    processes.metric(one, "llmx_streams")
                    + processes.metric(one, "llmx_remote_agents")
                    == everybody + 1
                    for one in before
                )

            await until(all_know_all)
            assert await offers_of(alice) == everybody

            os.kill(before["eu-1"], signal.SIGKILL)
            await until(lambda: processes.pids.get("eu-1", before["eu-1"]) != before["eu-1"])
            await until(lambda: processes.metric("eu-1", "llmx_links_open") == 1)
            # It comes back to a sibling that has everybody, and gets its part of them.
            await until(lambda: processes.metric("eu-1", "llmx_streams") >= CONTRACTORS // 3)
            await until(all_know_all)
            assert await offers_of(alice) == everybody
            assert processes.pids["eu-2"] == before["eu-2"]
            assert not is_running(before["eu-1"])
        everyone = [*processes.pids.values()]
    assert not any(map(is_running, everyone))
