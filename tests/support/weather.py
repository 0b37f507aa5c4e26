"""What may happen to the frames of a connection by itself, drawn from a seed.

A `Weather` says how likely what is; a `Forecast` draws one `Fate` for each frame of one
direction of one connection. The same seed and the same frames give the same fates.
"""

from __future__ import annotations

import enum
import random
from dataclasses import dataclass


class Cut(enum.Enum):
    """How a connection ends."""

    RESET = "reset"
    """Both sides get a RST, and what was under way is lost."""
    FINISH = "finish"
    """Both sides get a FIN, as from a proxy that stops."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How likely what is for each frame, and how bad it is then. The default is calm."""

    delay: float = 0.0
    """Seconds that every frame takes at least."""
    jitter: float = 0.0
    """Seconds that it may take beyond; frames keep their order."""
    cut_share: float = 0.0
    """Of all frames: how many end the connection, half of them within the frame."""
    stall_share: float = 0.0
    """Of all frames: before how many the direction stands still for a while."""
    stall_seconds: float = 1.0
    duplicate_share: float = 0.0
    """Of the DATA frames that hold whole messages: how many are sent twice."""
    bytes_per_second: float = 0.0
    """How fast bytes may go in each direction; 0 is as fast as they come."""


CALM = Weather()


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one frame."""

    delay: float = 0.0
    stall: float = 0.0
    cut: Cut | None = None
    kept: float = 1.0
    """Which share of the frame still passes before a cut."""
    is_doubled: bool = False


class Forecast:
    """Draws the fates of one direction's frames."""

    def __init__(self, seed: str) -> None:
        """Draw from a seed."""
        self._chance = random.Random(seed)

    def fate(self, weather: Weather) -> Fate:
        """Draw what happens to the next frame.

        Every draw is made for every frame, so that one kind of weather does not shift what
        another kind does.
        """
        draw = self._chance.random
        jitter, cut, how, within, kept, stall, double = (draw() for _ in range(7))
        return Fate(
            delay=weather.delay + jitter * weather.jitter,
            stall=weather.stall_seconds if stall < weather.stall_share else 0.0,
            cut=None if cut >= weather.cut_share else (Cut.RESET if how < 0.5 else Cut.FINISH),
            kept=kept if within < 0.5 else 0.0,
            is_doubled=double < weather.duplicate_share,
        )
