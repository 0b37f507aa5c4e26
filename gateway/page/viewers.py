"""Those who look: how many, what they are told and when, and who is dropped.

Once a second a digest is made, once for all of them and only if there is one. Nothing is queued:
a viewer that has not taken what it was told is told nothing more until it has, and then the newest;
one that takes nothing for `SLOW_SECONDS` is dropped. So a viewer costs one digest at most.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog

DIGEST_SECONDS = 1.0
SLOW_SECONDS = 10.0

log = structlog.get_logger("llmx.page")


class Reports(Protocol):
    """What a `Reporter` does."""

    def look(self) -> None:
        """Take a sample."""

    def begin(self) -> bytes:
        """Return what a viewer needs first."""

    def next(self) -> bytes:
        """Return the digest of now."""


class Outlet(Protocol):
    """Where one viewer's events go."""

    @property
    def unread(self) -> int:
        """Bytes that it has not taken yet."""

    async def tell(self, event: bytes) -> None:
        """Send an event; waits while there is no room. Raises ConnectionError when it is gone."""

    def drop(self) -> None:
        """End it at once; what it has not taken is lost."""


class Viewers:
    """All who look at one gateway's page."""

    def __init__(
        self,
        reports: Reports,
        most: int,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        slow_seconds: float = SLOW_SECONDS,
    ) -> None:
        """Tell at most `most` viewers what `reports` says; `pause` waits between two digests."""
        self._reports = reports
        self._most = most
        self._pause = pause
        self._slow_seconds = slow_seconds
        self._news = asyncio.Event()
        self._digest = b""
        self._is_over = False
        self.count = 0
        self.dropped = 0
        """Viewers that did not read."""
        self.digests = 0
        """Digests that were made; none while nobody looks."""

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Viewers: {self.count} of {self._most}, {self.dropped} dropped>"

    async def run(self) -> None:
        """Look once a second, and tell the viewers, until cancelled."""
        while True:
            try:
                self._look()
            except Exception:  # who only watches must not end what it watches
                log.error("a digest could not be made", exc_info=True)
            await self._pause(DIGEST_SECONDS)

    def _look(self) -> None:
        self._reports.look()
        if self.count:
            self.digests += 1
            self._digest = event("digest", self._reports.next())
            self._wake()

    def close(self) -> None:
        """End all streams, each after a word of farewell."""
        self._is_over = True
        self._wake()

    @contextmanager
    def place(self) -> Iterator[bool]:
        """Have one of the places for as long as the block runs; False when there is none."""
        if self.count >= self._most or self._is_over:
            yield False
            return
        self.count += 1
        try:
            yield True
        finally:
            self.count -= 1

    async def serve(self, outlet: Outlet, ended: Callable[[], str]) -> None:
        """Tell one viewer, until it goes, is dropped or `ended` says why it may not stay."""
        loop = asyncio.get_running_loop()
        read_at = loop.time()
        try:
            await self._tell(outlet, b"retry: 2000\n\n" + event("begin", self._reports.begin()))
            async for digest in self._digests():
                reason = ended()
                if reason:
                    await self._tell(outlet, farewell(reason))
                    return
                if not outlet.unread:
                    read_at = loop.time()
                    await self._tell(outlet, digest)
                elif loop.time() - read_at > self._slow_seconds:
                    raise TimeoutError
            await self._tell(outlet, farewell("the gateway stops"))
        except TimeoutError:
            self.dropped += 1
            log.info("viewer dropped", why=f"it took nothing for {self._slow_seconds:g} s")
            outlet.drop()
        except ConnectionError:
            pass  # it has gone

    async def _tell(self, outlet: Outlet, text: bytes) -> None:
        """Tell a viewer something. Raises TimeoutError when it takes that for too long."""
        async with asyncio.timeout(self._slow_seconds):
            await outlet.tell(text)

    async def _digests(self) -> AsyncIterator[bytes]:
        while not self._is_over:
            await self._news.wait()
            if not self._is_over:
                yield self._digest

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


def event(kind: str, text: bytes) -> bytes:
    """Return a server-sent event; the text has no line breaks, as JSON has none."""
    assert b"\n" not in text, "a line break would end the event"
    return b"event: " + kind.encode() + b"\ndata: " + text + b"\n\n"


def farewell(reason: str) -> bytes:
    """Return the last event of a stream."""
    return event("end", reason.replace("\n", " ").encode())
