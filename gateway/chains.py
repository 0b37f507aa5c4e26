"""Jobs in chains: those of one key one after the other, those of different keys side by side."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

Job = Callable[[], Awaitable[None]]


class Chains:
    """What is to be done for each key."""

    def __init__(self, on_end: Callable[[str], None]) -> None:
        """Begin with nothing; `on_end` hears of a key for which nothing is left."""
        self._on_end = on_end
        self._chains: dict[str, deque[Job]] = {}
        self._begun: deque[str] = deque()
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        """Return for how many keys something is left."""
        return len(self._chains)

    def __contains__(self, key: object) -> bool:
        """Tell whether something is left for a key."""
        return key in self._chains

    def add(self, key: str, job: Job) -> None:
        """Do a job when those before it are done."""
        chain = self._chains.get(key)
        if chain is not None:
            chain.append(job)
            return
        self._chains[key] = deque((job,))
        self._begun.append(key)
        self._idle.clear()
        self._news.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._begun:
                    tasks.create_task(self._serve(self._begun.popleft()))

    async def finished(self) -> None:
        """Wait until nothing is left."""
        await self._idle.wait()

    async def _serve(self, key: str) -> None:
        chain = self._chains[key]
        while chain:
            await chain[0]()
            chain.popleft()
        del self._chains[key]
        self._on_end(key)
        if not self._chains:
            self._idle.set()
