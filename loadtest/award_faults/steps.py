"""The steps of an award at which a gateway is killed, in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Plot = Literal["paid at once", "work done", "work failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One moment in the life of an award."""

    name: str
    words: str
    plot: Plot = "paid at once"
    """What happens otherwise: only then is the step reached."""


STEPS = (
    Step("asked", "before the award is written"),
    Step("writing", "while it is written"),
    Step("written", "written, before the engine hears of it"),
    Step("heard", "the engine has heard, before anybody is told"),
    Step("half-told", "one agent is told, the others are not"),
    Step("told", "all are told, and nothing has left the gateway"),
    Step("sent", "all are told, a moment later"),
    Step("owed", "the work is done, before it is paid", "work done"),
    Step("paying", "while it is paid", "work done"),
    Step("paid", "paid, before the gateway notes it", "work done"),
    Step("failed", "the work has failed, before all is given back", "work failed"),
    Step("returning", "while it is given back", "work failed"),
    Step("returned", "given back, before the gateway notes it", "work failed"),
)
BY_NAME = {step.name: step for step in STEPS}
