"""Looks at the clock for some of the messages that admission judges.

Two looks at the clock and a bucket are 0.3 µs, of admission's 20. So of `ONE_IN` frames the
messages of one are timed: at 10,000 frames a second that is still 156 of them. What is left over
for all others is one look at a counter per frame.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Protocol

from google.protobuf.message import DecodeError

from gateway.envelope_head import head_of
from gateway.headers import Sender
from gateway.telemetry.traffic import TrafficByClass

ONE_IN = 64
"""Of so many frames one is timed; a power of two."""

Waiting = Awaitable[None]
Admit = Callable[[Sender, bytes], Waiting | None]


class Admits(Protocol):
    """Lets the messages of a stream in."""

    @property
    def admit(self) -> Admit:
        """Return what admits or refuses one envelope; to be asked for anew for each frame."""


class Admitting:
    """Hands out what admits, and now and then something that times it."""

    def __init__(self, admit: Admit, traffic: TrafficByClass) -> None:
        """Time `admit` by act and class."""
        self._admit = admit
        self._traffic = traffic
        self._frames = 0

    @property
    def admit(self) -> Admit:
        """Return what admits or refuses the envelopes of one frame."""
        self._frames += 1
        return self._admit if self._frames % ONE_IN else self._timed

    def _timed(self, sender: Sender, raw: bytes) -> Waiting | None:
        began = perf_counter()
        waiting = self._admit(sender, raw)
        if waiting is not None:
            return self._wait(waiting, began, sender, raw)
        self._took(perf_counter() - began, sender, raw)
        return None

    async def _wait(self, waiting: Waiting, began: float, sender: Sender, raw: bytes) -> None:
        await waiting
        self._took(perf_counter() - began, sender, raw)

    def _took(self, seconds: float, sender: Sender, raw: bytes) -> None:
        try:
            act = head_of(raw).act
        except DecodeError:
            act = 0
        self._traffic.of(sender.member.tenant.name).took(act, seconds)
