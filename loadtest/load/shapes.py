"""How a load changes over a run: a function of the time since it began, and of nothing else.

| shape | agents | calls | streams |
|---|---|---|---|
| ramp | ten steps, from a tenth to all | as many as the agents that are there make | |
| spike | all | a fifth; all in the middle fifth of the run | |
| soak | all | all | |
| storm | all | all | all are cut off at once, at a third and at two thirds of the run |
"""

from __future__ import annotations

import math
from dataclasses import dataclass

SHAPES = ("ramp", "spike", "soak", "storm")
RAMP_STEPS = 10
SPIKE_FROM, SPIKE_TO = 0.4, 0.6
QUIET_SHARE = 0.2
STORMS_AT = (1 / 3, 2 / 3)


@dataclass(frozen=True, slots=True)
class Moment:
    """What a load is at one moment."""

    agents_share: float
    """Of all agents, over 0 to 1."""
    calls_share: float
    """Of the calls that the agents who are there make, over 0 to 1."""
    storms: int
    """How often all streams have been cut off so far."""
    stretch: str
    """What this part of the run is called in reports."""


def moment(shape: str, seconds: float, at: float) -> Moment:
    """Return what a run of so many seconds is after `at` seconds. Raises ValueError."""
    done = min(max(at / seconds, 0.0), 1.0)
    match shape:
        case "ramp":
            step = min(math.floor(done * RAMP_STEPS) + 1, RAMP_STEPS)
            return Moment(step / RAMP_STEPS, 1.0, 0, f"{step * 100 // RAMP_STEPS} % of the agents")
        case "spike":
            if SPIKE_FROM <= done < SPIKE_TO:
                return Moment(1.0, 1.0, 0, "the spike")
            return Moment(1.0, QUIET_SHARE, 0, "before" if done < SPIKE_FROM else "after")
        case "soak":
            return Moment(1.0, 1.0, 0, "all of it")
        case "storm":
            storms = sum(done >= storm_at for storm_at in STORMS_AT)
            return Moment(1.0, 1.0, storms, f"after storm {storms}" if storms else "before")
        case _:
            raise ValueError(f"there is no shape {shape!r}; there are {', '.join(SHAPES)}")
