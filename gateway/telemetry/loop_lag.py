"""How late the loop is: everything in a gateway waits as long as this before it is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from gateway.telemetry.timing import LONG, Timing

LOOK_SECONDS = 0.5


class LoopLag:
    """Sleeps again and again, and sees how much longer that took than it asked for."""

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Start without a look."""
        self._now = now
        self._sleep = sleep
        self.timing = Timing(LONG)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            due = self._now() + LOOK_SECONDS
            await self._sleep(LOOK_SECONDS)
            self.timing.add(self._now() - due)
