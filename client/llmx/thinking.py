"""Asking the others to wait, once or for as long as a block of code runs.

    async with call.thinking():
        price = await ask_the_model(call)

A gateway waits for who thinks until the deadline that the turn tells, and not a moment longer. It
hears at most 16 such words of an agent in a negotiation, so each asks for enough time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Self

from llmx.errors import Refused, SessionError

log = logging.getLogger("llmx")

SECONDS_DEFAULT = 30.0
SECONDS_MAX = 3600.0
"""The most that a gateway takes in one word."""
WORDS_MAX = 16
"""How often a block asks again."""
PAUSE_SHARE = 0.6
"""After this part of the time that was asked for a block asks again."""

Ask = Callable[[float], Awaitable[None]]
"""Asks for some seconds; raises Refused when the gateway will not wait, or SessionError."""


class Thinking:
    """Await it to ask once; use it with `async with` to ask for as long as the block runs."""

    def __init__(self, ask: Ask, seconds: float | None, longest: float | None) -> None:
        """Ask for `seconds` each time; None suits a deadline that is `longest` seconds away."""
        if seconds is None:
            # The time until the deadline is to be gained with fewer words than may be said.
            seconds = max(SECONDS_DEFAULT, 2 * (longest or 0.0) / WORDS_MAX)
        self._ask = ask
        self._seconds = min(seconds, SECONDS_MAX)
        self._tasks: asyncio.TaskGroup | None = None
        self._asking: asyncio.Task[None] | None = None

    def __await__(self) -> Generator[Any, None, None]:
        """Ask once; returns when the gateway has agreed. Raises Refused and SessionError."""
        return self._ask(self._seconds).__await__()

    async def __aenter__(self) -> Self:
        """Begin to ask. A gateway that will not wait is no error here: answer in time."""
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._asking = self._tasks.create_task(self._keep_asking())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ask no more."""
        assert self._tasks is not None and self._asking is not None, "it was entered"
        self._asking.cancel()
        # What the block raised is not for the group, which would wrap it.
        await self._tasks.__aexit__(None, None, None)

    async def _keep_asking(self) -> None:
        try:
            for _ in range(WORDS_MAX):
                await self._ask(self._seconds)
                await asyncio.sleep(self._seconds * PAUSE_SHARE)
        except (Refused, SessionError) as error:
            log.debug("nobody waits any longer: %s", error)


async def nobody_waits(seconds: float) -> None:
    """Ask nobody: what a call that came from no gateway does."""
