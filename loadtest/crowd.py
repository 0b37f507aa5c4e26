"""A crowd of idle agents in a process of its own, told what to do line by line.

    python -m loadtest.crowd < orders

The first line says who they are: `{"host", "port", "secret_file", "count", "topic",
"heartbeat"}`. Each further line is an order; each order is answered by one line of JSON when
it is done.

    connect   everybody opens a stream, a few at a time
    cut       every connection is lost at once, and everybody comes back as the client library does
    mark      forget what was counted so far; for a gateway that is about to be lost
    steady    wait until everybody has been welcomed since the last `cut` or `mark`
    leave     everybody half-closes its stream
    heard     how many messages arrived, and how many of them more than once

Nobody of the crowd says anything but heartbeats and acknowledgements.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import uvloop

from gateway.tokens import mint_development_token, read_secret
from llmx.backoff import Backoff
from loadtest.figures import percentile
from loadtest.light_agent import Batch, LightAgent, Take, Who

COUNT_MAX = 20_000
CONNECTING_MAX = 64
STEADY_SECONDS_MAX = 180.0
TICK_SECONDS = 0.05
ENDINGS_SHOWN = 8
NICE = 5
"""The crowd yields to whoever measures on the same core."""


class Crowd:
    """The agents and what they have counted."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        """Prepare everybody; the tokens are made here, so that coming back costs none."""
        count = int(facts["count"])
        if not 1 <= count <= COUNT_MAX:
            raise ValueError(f"a crowd has 1 to {COUNT_MAX} agents")
        secret = read_secret(Path(facts["secret_file"]))
        self._heartbeat = float(facts["heartbeat"])
        self._heard: list[dict[str, int]] = []
        self._changed = asyncio.Event()
        self._marked_at = 0.0
        self._welcomed_at: dict[int, float] = {}
        self._attempts_before = self._resumed_before = 0
        self._endings: Counter[str] = Counter()
        self._stays: asyncio.TaskGroup | None = None
        self.agents: list[LightAgent] = []
        for index in range(count):
            agent_id = f"agent://idle-{index:05d}"
            token = mint_development_token(secret, agent_id)
            who = Who(agent_id, token, facts["host"], int(facts["port"]), (facts["topic"],))
            heard: dict[str, int] = {}
            agent = LightAgent(who, _listener(heard), self._endings)
            agent.on_welcome = self._welcome(index)
            agent.on_away = self._changed.set
            self._heard.append(heard)
            self.agents.append(agent)

    async def run(self, orders: asyncio.StreamReader) -> None:
        """Follow orders until there are none."""
        async with asyncio.TaskGroup() as tasks:
            self._stays = tasks
            beat = tasks.create_task(self._beat())
            while order := (await orders.readline()).decode().strip():
                print(json.dumps(await self.follow(order)), flush=True)
            beat.cancel()
            for agent in self.agents:
                agent.leave()
                agent.cut()

    async def follow(self, order: str) -> dict[str, object]:
        """Do one thing and return the answer."""
        match order:
            case "connect":
                return await self._connect()
            case "cut":
                self._mark()
                for agent in self.agents:
                    agent.cut()
                return {}
            case "mark":
                self._mark()
                return {}
            case "steady":
                return await self._steady()
            case "leave":
                for agent in self.agents:
                    agent.leave()
                return await self._until(lambda: not any(a.is_welcomed for a in self.agents))
            case "heard":
                copies = [heard[msg_id] for heard in self._heard for msg_id in heard]
                return {"messages": len(copies), "copies": sum(copies)}
            case _:
                raise ValueError(f"there is no order {order!r}")

    async def _connect(self) -> dict[str, object]:
        """Let everybody open a stream, a few at a time, and stay from then on."""
        tasks = self._stays
        assert tasks is not None, "orders are followed while the crowd runs"
        self._mark()
        waiting = iter(self.agents)

        async def open_some() -> None:
            for agent in waiting:
                agent.come()
                await agent.connect()
                tasks.create_task(agent.stay(Backoff()))

        async with asyncio.TaskGroup() as opening:
            for _ in range(CONNECTING_MAX):
                opening.create_task(open_some())
        return await self._steady()

    def _mark(self) -> None:
        self._marked_at = time.perf_counter()
        self._welcomed_at.clear()
        self._endings.clear()
        self._attempts_before = sum(agent.attempts for agent in self.agents)
        self._resumed_before = sum(agent.resumed for agent in self.agents)

    def _welcome(self, index: int) -> Callable[[bool], None]:
        def welcomed(_: bool) -> None:
            self._welcomed_at[index] = time.perf_counter()
            self._changed.set()

        return welcomed

    async def _steady(self) -> dict[str, object]:
        """Wait until everybody was welcomed since the mark."""
        everybody = len(self.agents)
        await self._until(lambda: len(self._welcomed_at) == everybody)
        waits = sorted(at - self._marked_at for at in self._welcomed_at.values())
        return {
            "welcomed": len(waits),
            "seconds": percentile(waits, 100),
            "p50_seconds": percentile(waits, 50),
            "p99_seconds": percentile(waits, 99),
            "attempts": sum(agent.attempts for agent in self.agents) - self._attempts_before,
            "resumed": sum(agent.resumed for agent in self.agents) - self._resumed_before,
            "endings": dict(self._endings.most_common(ENDINGS_SHOWN)),
        }

    async def _until(self, done: Callable[[], bool]) -> dict[str, object]:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STEADY_SECONDS_MAX):
                while not done():
                    self._changed.clear()
                    await self._changed.wait()
        return {"done": done()}

    async def _beat(self) -> None:
        """Send heartbeats, spread over their interval, until cancelled."""
        slots = max(round(self._heartbeat / TICK_SECONDS), 1)
        slot = 0
        while True:
            await asyncio.sleep(TICK_SECONDS)
            slot = (slot + 1) % slots
            now = time.perf_counter()
            for agent in self.agents[slot::slots]:
                agent.beat(now, self._heartbeat / 2)


def _listener(heard: dict[str, int]) -> Take:
    def take(batch: Batch, acks: list[str]) -> None:
        for envelope in batch.envelopes:
            heard[envelope.msg_id] = heard.get(envelope.msg_id, 0) + 1
            acks.append(envelope.msg_id)

    return take


def raise_file_limit() -> int:
    """Allow this process as many open files as the system lets it; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


async def _serve() -> None:
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    crowd = Crowd(json.loads(await orders.readline()))
    print(json.dumps({"ready": len(crowd.agents)}), flush=True)
    await crowd.run(orders)


def main() -> None:
    """Run a crowd from the command line."""
    argparse.ArgumentParser(
        prog="python -m loadtest.crowd",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    raise_file_limit()
    os.nice(NICE)
    gc.set_threshold(50_000, 20, 100)
    uvloop.run(_serve())


if __name__ == "__main__":
    main()
