"""Runs the author's handlers: in order within one negotiation, side by side across them.

Work is filed under a key. Work with the same key runs one after the other; at most
`running_max` keys run at once, and at most `waiting_max` pieces of work wait. A task serves
one key until it is empty and then takes the next waiting key, so that a burst costs few tasks.
Whoever hands a message on may watch: it hears when all work that the message made has ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from llmx.handlers import settled

log = logging.getLogger("llmx")

Work = Callable[[], Awaitable[None]]


class Watch:
    """Calls a function once, when all work that one message made has ended."""

    __slots__ = ("_done", "_left")

    def __init__(self, done: Callable[[], None]) -> None:
        """Begin with one piece: that the message is taken."""
        self._done = done
        self._left = 1

    def begin(self) -> None:
        """Wait for one more piece of work."""
        self._left += 1

    def end(self) -> None:
        """Hear that a piece of work has ended."""
        self._left -= 1
        if not self._left:
            self._done()


class Dispatch:
    """The author's handlers at work."""

    def __init__(self, running_max: int, waiting_max: int) -> None:
        """Run at most `running_max` keys at once and let `waiting_max` pieces of work wait."""
        self._running_max = running_max
        self._waiting_max = waiting_max
        self._lanes: dict[str, deque[tuple[Work, Watch | None]]] = {}
        self._ready: deque[str] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._waiting = 0
        self._watch: Watch | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def __repr__(self) -> str:
        return f"<Dispatch: {len(self._running)} running, {self._waiting} waiting>"

    @property
    def has_room(self) -> bool:
        """Can more work be taken?"""
        return self._waiting < self._waiting_max

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Run work as tasks of this group."""
        self._tasks = tasks

    def put(self, key: str, work: Work, *, is_watched: bool = True) -> bool:
        """Take a piece of work, or return False when too much waits already.

        Work that waits for later messages is not watched: they might wait for its end.
        """
        if not self.has_room or self._tasks is None:
            return False
        self._waiting += 1
        self._idle.clear()
        watch = self._watch if is_watched else None
        if watch is not None:
            watch.begin()
        lane = self._lanes.get(key)
        if lane is not None:
            lane.append((work, watch))
            return True
        self._lanes[key] = deque(((work, watch),))
        self._ready.append(key)
        if len(self._running) < self._running_max:
            task = self._tasks.create_task(self._serve())
            if not task.done():  # an eager task may be
                self._running.add(task)
        return True

    def watched(self, take: Callable[[], bool], done: Callable[[], None]) -> bool:
        """Return what `take` returns, and call `done` when all work that it put has ended.

        `done` is never called when `take` returned False, nor for work that `cancel` ended.
        """
        self._watch = watch = Watch(done)
        try:
            taken = take()
        finally:
            self._watch = None
        if taken:
            watch.end()
        return taken

    def cancel(self) -> None:
        """Take no more work and cancel what runs."""
        self._tasks = None
        for task in self._running:
            task.cancel()

    async def idle(self) -> None:
        """Return when no work is left."""
        await self._idle.wait()

    async def _serve(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "a coroutine that runs is in a task"
        try:
            while self._ready:
                await self._serve_lane(self._ready.popleft())
        finally:
            # Not in a done-callback: that comes later, and a `put` in between would count
            # on a task that looks for work no more.
            self._running.discard(task)
            if not self._lanes:
                self._idle.set()

    async def _serve_lane(self, key: str) -> None:
        lane = self._lanes[key]
        try:
            while lane:
                self._waiting -= 1
                work, watch = lane.popleft()
                await self._run(key, work, watch)
        finally:
            del self._lanes[key]
            self._waiting -= len(lane)  # what a cancelled task leaves undone
            for _, watch in lane:
                self._ended(watch)

    async def _run(self, key: str, work: Work, watch: Watch | None) -> None:
        try:
            await settled(work())
        except Exception:  # a handler's mistake must not end the session
            log.exception("a handler failed for %s", key)
        finally:
            self._ended(watch)

    def _ended(self, watch: Watch | None) -> None:
        if watch is not None and self._tasks is not None:  # else it was cancelled, not done
            watch.end()
