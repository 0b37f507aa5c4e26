"""Runs agents until somebody says stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

from llmx.agent import Agent
from llmx.errors import SessionError

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(*agents: Agent) -> None:
    """Connect agents and serve until SIGINT or SIGTERM, then close them and return.

    Waits for the gateway as long as it takes and comes back to it whenever it returns.
    When a session is over for good (a token that is not taken, a newer session of the same
    agent), says so on stderr and raises SystemExit(1). A second signal ends at once.
    """
    try:
        trouble = asyncio.run(_serve(agents))
    except KeyboardInterrupt:  # the second signal, or one before the loop ran
        return
    if trouble:
        print("\n".join(trouble), file=sys.stderr)  # noqa: T201 - a program's last words
        raise SystemExit(1)


async def _serve(agents: tuple[Agent, ...]) -> list[str]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        stop.set()
        for number in SIGNALS:
            loop.remove_signal_handler(number)

    for number in SIGNALS:
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt does it
            loop.add_signal_handler(number, on_signal)
    async with asyncio.TaskGroup() as tasks:
        lives = [tasks.create_task(_live(agent, stop)) for agent in agents]
    return [trouble for life in lives if (trouble := life.result())]


async def _live(agent: Agent, stop: asyncio.Event) -> str:
    """Keep one agent alive until told to stop; returns what went wrong, or nothing."""
    agent.connect_timeout = None
    async with asyncio.TaskGroup() as tasks:
        life = tasks.create_task(_connected(agent))
        stopping = tasks.create_task(stop.wait())
        await asyncio.wait((life, stopping), return_when=asyncio.FIRST_COMPLETED)
        life.cancel()
        stopping.cancel()
    return "" if life.cancelled() else life.result()


async def _connected(agent: Agent) -> str:
    error: SessionError | None
    try:
        async with agent:
            error = await agent.closed()
    except SessionError as failed:
        error = failed
    return f"llmx: {agent.agent_id}: {error}" if error else ""
