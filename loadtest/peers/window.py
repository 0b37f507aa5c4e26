"""Keep rounds in flight and measure a window of them, as `loadtest.rounds` does for our gateway.

A warm-up, a window that counts, an end in which open rounds run out. Rounds that ended in the
window count; latencies are of rounds that began in it. Where rounds take longer than the window, it
lasts until as many have begun and ended in it as are in flight, half a minute longer at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from loadtest.peers.work import PeerFailed, Work

STALL_SECONDS_MAX = 60.0
LONGER_SECONDS_MAX = 30.0


class Net(Protocol):
    """Who plays rounds."""

    messages: int
    """How many messages were received, by all."""
    strays: int
    """How many of them belonged to no open round."""

    async def play(self, number: int) -> tuple[float, float]:
        """Play a round; returns when the last offer was there, and when the last verdict was."""


async def measured(net: Net, work: Work, server_cpu_seconds: Callable[[], float]) -> dict[str, Any]:
    """Play the work and return the fields of `loadtest.rounds.Played`. Raises PeerFailed."""
    window = _Window(net.play, work)
    try:
        async with asyncio.TaskGroup() as tasks:
            loops = [tasks.create_task(window.play_on()) for _ in range(work.in_flight)]
            await window.warm_up(work.warm_up_seconds)
            before = (server_cpu_seconds(), time.process_time(), net.messages)
            seconds = await window.count(work.seconds)
            after = (server_cpu_seconds(), time.process_time(), net.messages)
            _, open_loops = await asyncio.wait(loops, timeout=STALL_SECONDS_MAX)
            if open_loops:
                raise PeerFailed(f"{len(open_loops)} rounds never ended")
    except ExceptionGroup as group:
        raise PeerFailed(f"{group.exceptions[0]!r}") from group
    if not window.rounds:
        raise PeerFailed("no round ended within the window")
    return {
        "rounds": window.rounds,
        "seconds": seconds,
        "server_cpu_seconds": after[0] - before[0],
        "client_cpu_seconds": after[1] - before[1],
        "messages": after[2] - before[2],
        "strays": net.strays,
        "to_last_offer": window.to_last_offer,
        "to_last_outcome": window.to_last_outcome,
    }


class _Window:
    """What counts and what does not."""

    def __init__(self, play: Callable[[int], Awaitable[tuple[float, float]]], work: Work) -> None:
        self.rounds = 0
        self.to_last_offer: list[float] = []
        self.to_last_outcome: list[float] = []
        self._play = play
        self._rounds_max = work.rounds_max
        self._enough = min(work.in_flight, work.rounds_max)
        self._is_over = False
        self._number = 0
        self._counts = False
        self._goes_on = True
        self._full = asyncio.Event()

    async def play_on(self) -> None:
        """Begin a round when the last one is over, until the window is."""
        while self._goes_on:
            self._number += 1
            began_in_window = self._counts
            began_at = time.perf_counter()
            offered_at, ended_at = await self._play(self._number)
            if not self._counts:
                continue
            self.rounds += 1
            if began_in_window:
                self.to_last_offer.append(offered_at - began_at)
                self.to_last_outcome.append(ended_at - began_at)
            if self.rounds >= self._rounds_max:
                self._goes_on = False
                self._full.set()
            elif self._is_over and len(self.to_last_outcome) >= self._enough:
                self._full.set()

    async def warm_up(self, seconds: float) -> None:
        """Let rounds run that do not count."""
        await asyncio.sleep(seconds)

    async def count(self, seconds: float) -> float:
        """Let rounds count for so long, or until there are as many as asked for, or longer where
        they are slow; returns how long it was.
        """
        self._counts = True
        began_at = time.perf_counter()
        for longest in (seconds, LONGER_SECONDS_MAX):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(longest):
                    await self._full.wait()
            if self._full.is_set() or len(self.to_last_outcome) >= self._enough:
                break
            self._is_over = True
        self._counts = self._goes_on = False
        return time.perf_counter() - began_at
