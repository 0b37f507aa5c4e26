"""A play of agents on bare streams: they connect, somebody conducts, they leave.

Whatever breaks meanwhile, a stream or the play itself, ends it as RoundsFailed with its reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from loadtest.wire_client import StreamLost, WireAgent


class RoundsFailed(Exception):
    """A case could not be played to its end; the text says why."""


async def conducted(
    agents: Sequence[WireAgent],
    connect: Callable[[], Awaitable[None]],
    conduct: Callable[[], Awaitable[None]],
    refusals: Callable[[], str] = lambda: "",
) -> None:
    """Connect, conduct while the agents read and write, and close them in any case.

    Raises RoundsFailed with the reason and what `refusals` says then.
    """
    try:
        await connect()
        async with asyncio.TaskGroup() as tasks:
            streams = [
                tasks.create_task(work)
                for agent in agents
                for work in (agent.read(), agent.write())
            ]
            await conduct()
            for stream in streams:
                stream.cancel()
    except (StreamLost, ExceptionGroup) as error:
        reason = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
        if not isinstance(reason, StreamLost | RoundsFailed):
            raise
        raise RoundsFailed(f"{reason}{refusals()}") from error
    finally:
        await asyncio.gather(*(agent.close() for agent in agents))
