"""Runs agents, or a coroutine of the author, until somebody says stop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, overload

from llmx.agent import Agent
from llmx.errors import SessionError
from llmx.signals import SIGNAL_EXIT, stopped_by_signals


@overload
def run(*agents: Agent) -> None: ...


@overload
def run(main: Coroutine[Any, Any, object], /) -> None: ...


def run(*what: Agent | Coroutine[Any, Any, object]) -> None:
    """Run agents until somebody says stop, or a coroutine until it returns.

    `llmx.run(bob, carol)` connects them and serves until SIGINT or SIGTERM, then closes them and
    returns. It waits for the gateway as long as it takes and comes back to it whenever it returns.

    `llmx.run(main())` is `asyncio.run` for programs that end well on Ctrl-C and SIGTERM: what
    `async with` holds is left as at its end, and the exit code is 130 or 143, without a traceback.

    When a session is over for good (a token that is not taken, a newer session of the same
    agent), both say so on stderr and raise SystemExit(1). A second signal ends at once.
    """
    agents = tuple(one for one in what if isinstance(one, Agent))
    mains = [one for one in what if not isinstance(one, Agent)]
    assert len(mains) + bool(agents) <= 1, "run takes agents or one coroutine"
    try:
        trouble = asyncio.run(_until_told(mains[0]) if mains else _serve(agents))
    except KeyboardInterrupt:  # before the loop ran, or on Windows
        return
    if trouble:
        print("\n".join(trouble), file=sys.stderr)  # noqa: T201 - a program's last words
        raise SystemExit(1)


async def _until_told(main: Coroutine[Any, Any, object]) -> list[str]:
    """Run a coroutine, which the first signal cancels."""
    task = asyncio.current_task()
    assert task is not None, "a coroutine of asyncio.run has a task"
    with stopped_by_signals(task.cancel) as told:
        try:
            await main
        except asyncio.CancelledError:
            if not told:
                raise
            raise SystemExit(SIGNAL_EXIT + told[0]) from None
        except SessionError as error:
            return [f"llmx: {error}"]
    return []


async def _serve(agents: tuple[Agent, ...]) -> list[str]:
    stop = asyncio.Event()
    with stopped_by_signals(stop.set):
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
