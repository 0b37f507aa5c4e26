"""What is run: one profile, so many contractors, calls at a rate, what goes wrong, a seed.

An experiment is a list of cases. A case says everything that its rounds depend on, so that two
runs of it differ only in what a clock says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Pacing = Literal["poisson", "after outcome", "in flight"]
Weight = Literal["small offers", "big offers", "own schema"]
CONTRACTORS_MAX = 99

LEVELS = ("low", "medium", "high")
FAMILIES = ("flow", "proto", "paper-replay")
POPULATIONS = (5, 9, 12)
LIVE_PROFILE = "lab/live"
"""The profile that `Switch` changes while calls name it."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong with answers; each part is of all answers, 0 to 1."""

    name: str = "none"
    no_reply: float = 0.0
    deaf: float = 0.0
    """Rounds that nobody answers at all, as half of the published ones with 12 contractors."""
    slow_median: float = 0.0
    """Seconds that a slow model thinks, the median; 0: agents answer at once."""
    slow_p99: float = 0.0
    duplicate: float = 0.0
    """Offers that come twice: half of them the same message, half another message."""
    malformed: float = 0.0
    """Offers that break their schema."""
    late: float = 0.0
    """Offers that come after the deadline of the call."""


HEALTHY = Faults()


@dataclass(frozen=True, slots=True)
class Switch:
    """A change of the profile that calls name, while they are open."""

    at: float
    """Seconds from the beginning of the measured part."""
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Judging:
    """What a gateway has to judge in offers, and how many processes do it."""

    weight: Weight
    """Big: above `validation.inline_bytes_max`; own schema: small, under one of the tenant's."""
    workers: int
    """Of the gateway; 0: its event loop judges by itself."""

    @property
    def name(self) -> str:
        """Return how a table calls it."""
        return f"{self.weight}, {self.workers} worker{'s' * (self.workers != 1)}"


@dataclass(frozen=True, slots=True)
class Case:
    """One cell of a table."""

    profile: str
    """As calls name it."""
    contractors: int
    rate: float
    """Calls a second, the mean."""
    seconds: float
    """How long calls are made and measured."""
    seed: int = 1
    warm_up: float = 0.0
    """Seconds of calls before, which count for nothing."""
    reply_within: float = 10.0
    faults: Faults = field(default=HEALTHY)
    pacing: Pacing = "poisson"
    """Poisson: calls come at their own time. After outcome: the next call comes a gap of the same
    law after the last outcome, so that who decides slowly calls less often. In flight: as many
    rounds are open at any time as `in_flight` says, which asks for all that there is."""
    in_flight: int = 0
    switch: Switch | None = None
    judging: Judging | None = None

    @property
    def name(self) -> str:
        """Return what tells the case from the others of its run."""
        pace = f"in flight={self.in_flight}" if self.in_flight else f"rate={self.rate:g}"
        parts = [self.profile, f"n={self.contractors}", pace, f"seed={self.seed}"]
        if self.faults.name != "none":
            parts.append(self.faults.name)
        if self.pacing == "after outcome":
            parts.append(self.pacing)
        if self.judging is not None:
            parts.append(self.judging.name)
        return " ".join(parts)

    @property
    def level(self) -> str:
        """Return "low", "medium" or "high"."""
        kind = self.profile.rpartition("/")[2]
        return next((level for level in LEVELS if kind.startswith(level)), "")

    def is_warm_up(self, at: float) -> bool:
        """Tell whether a round that was called at this time counts for nothing."""
        return at < self.warm_up
