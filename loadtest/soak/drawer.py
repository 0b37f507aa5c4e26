"""What chance does to one protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from loadtest.soak.chance import Draw
from policy.call import Call
from policy.events import Event

Play = tuple[Call, tuple[tuple[float, Event], ...]]
"""A negotiation: its call, and its events with their times."""


@dataclass(frozen=True, slots=True)
class Drawer:
    """What chance does to one protocol."""

    call: Callable[[Random, int], Call]
    """Draws a call; one that the protocol objects to is drawn again."""
    event: Draw
    typical: Callable[[], Play] | None = None
    """Returns a negotiation as most of them are, to be timed."""
