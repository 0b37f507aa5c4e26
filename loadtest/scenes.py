"""What the measurements of reliability share: a gateway that may be lost, a crowd, active groups.

Everything is started and stopped here and nowhere else; what is read of the gateway (memory,
CPU, files, counters) is read from outside, from `/proc` and from its metrics.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import urllib.request
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from gateway.tokens import SECRET_FILE, development_secret, mint_development_token
from loadtest import targets
from loadtest.light_agent import LightAgent, Take, Who, ignore
from loadtest.servers import Server

ANSWER_SECONDS_MAX = 240.0
SCRAPE_SECONDS_MAX = 5.0
OPENING_MAX = 32
HOST = "127.0.0.1"


class SceneFailed(Exception):
    """A measurement could not be taken; the text says why."""


class Gateway:
    """The gateway under measurement, which can be lost and started again on its port."""

    def __init__(self, folder: Path, core: int | None, **settings: object) -> None:
        """Start it; `settings` as `targets.ours` takes them."""
        self._folder = folder
        self._core = core
        self._settings = settings
        self.state = folder / "state"
        self._secret = development_secret(self.state)
        self._starts = 0
        self.server = self._start(0)

    def _start(self, port: int) -> Server:
        self._starts += 1
        target = targets.ours(self.state, port, **self._settings)
        return Server(target.command, self._core, self._folder / f"gateway-{self._starts}.log")

    @property
    def port(self) -> int:
        return self.server.port

    def lose(self) -> None:
        """Kill it and start another one in its place; returns when that one serves."""
        port = self.port
        self.server.kill()
        self.server.stop()
        self.server = self._start(port)

    def stop(self) -> None:
        self.server.stop()

    def who(self, name: str, topics: Sequence[str] = (), capabilities: Sequence[str] = ()) -> Who:
        """Return an agent of the default tenant."""
        agent_id = f"agent://{name}"
        token = mint_development_token(self._secret, agent_id)
        return Who(agent_id, token, HOST, self.port, topics, capabilities)

    @property
    def secret_file(self) -> Path:
        return self.state / SECRET_FILE

    async def counters(self) -> dict[str, float]:
        """Return what a scrape gets, by name with labels."""
        text = await asyncio.to_thread(self._scrape)
        found: dict[str, float] = {}
        for line in text.splitlines():
            name, _, value = line.rpartition(" ")
            if name and not line.startswith("#"):
                found[name] = float(value)
        return found

    def _scrape(self) -> str:
        url = f"http://{HOST}:{self.server.announced['metrics_port']}/metrics"
        with urllib.request.urlopen(url, timeout=SCRAPE_SECONDS_MAX) as answer:
            text: bytes = answer.read()
        return text.decode()

    def log_lines(self, word: str) -> list[str]:
        """Return the lines of all logs that hold a word."""
        return [
            line
            for path in sorted(self._folder.glob("gateway-*.log"))
            for line in path.read_text(errors="replace").splitlines()
            if word in line
        ]


@contextlib.contextmanager
def gateway(folder: Path, core: int | None, **settings: object) -> Any:
    """Run a gateway until the block ends."""
    running = Gateway(folder, core, **settings)
    try:
        yield running
    finally:
        running.stop()


class CrowdProcess:
    """The idle agents, in a process of their own."""

    def __init__(self, process: Process) -> None:
        """Talk to a process that was started."""
        self._process = process

    async def order(self, order: str) -> dict[str, Any]:
        """Give an order and return the answer; raises SceneFailed."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None, "it was started with pipes"
        try:
            stdin.write(order.encode() + b"\n")
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                line = await stdout.readline()
        except (OSError, TimeoutError) as error:
            raise SceneFailed(f"the crowd did not answer to {order[:20]!r}: {error!r}") from error
        if not line:
            raise SceneFailed(f"the crowd ended at {order[:20]!r}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.asynccontextmanager
async def crowd(
    gateway: Gateway, count: int, topic: str, heartbeat: float
) -> AsyncIterator[CrowdProcess]:
    """Run a crowd that is not connected yet, until the block ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtest.crowd", stdin=PIPE, stdout=PIPE
    )
    facts = {
        "host": HOST,
        "port": gateway.port,
        "secret_file": str(gateway.secret_file),
        "count": count,
        "topic": topic,
        "heartbeat": heartbeat,
    }
    try:
        running = CrowdProcess(process)
        await running.order(json.dumps(facts))
        yield running
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def open_all(agents: Sequence[LightAgent], tasks: asyncio.TaskGroup) -> None:
    """Open the streams of agents, a few at a time, and keep them; raises SceneFailed."""
    waiting = iter(agents)

    async def open_some() -> None:
        for agent in waiting:
            if not await agent.connect():
                raise SceneFailed(f"{agent.who.agent_id} was not welcomed: {agent.ending}")

    try:
        async with asyncio.TaskGroup() as opening:
            for _ in range(OPENING_MAX):
                opening.create_task(open_some())
    except ExceptionGroup as error:
        raise error.exceptions[0] from error
    for agent in agents:
        tasks.create_task(agent.stay())


async def one_agent(who: Who, tasks: asyncio.TaskGroup, take: Take = ignore) -> LightAgent:
    """Return an agent that is connected and stays so."""
    agent = LightAgent(who, take)
    await open_all([agent], tasks)
    return agent
