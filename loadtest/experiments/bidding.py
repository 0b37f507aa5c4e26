"""What a contractor does with a call, drawn from the seed, the round and the contractor.

Nothing else has a say: not the clock, not the order in which calls arrive. So the same agents
answer alike in simulated time and in real time, and whoever knows the seed knows what the best
offer would have been.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from statistics import NormalDist
from typing import Any, Literal

from loadtest.experiments.cases import Case, Faults
from loadtest.messages import SCHEMA

VALUE_MIN, VALUE_MAX = 40.0, 100.0
"""Prices of identical contractors, uniform: the lowest wins."""
SLOW_SECONDS_MAX = 120.0
LATE_SECONDS = (0.05, 1.0)
"""How long after the deadline a late offer is sent."""

Kind = Literal["offer", "silent", "malformed"]


@dataclass(frozen=True, slots=True)
class Bid:
    """What one contractor does with one call."""

    kind: Kind
    value: float
    """The price that it asks, or would ask."""
    delay: float
    """Seconds after it heard the call."""
    repeat: Literal["", "message", "offer"] = ""
    """Does the same message come twice, or the same offer in another message?"""


def bid(case: Case, number: int, contractor: int) -> Bid:
    """Return what a contractor does with the call of a round."""
    chance = Random(f"{case.seed} {number} {contractor}")
    faults = case.faults
    value = round(chance.uniform(VALUE_MIN, VALUE_MAX), 3)
    # Every draw is made whatever the others say, so that faults do not change the values.
    dice = [chance.random() for _ in range(5)]
    delay = _thinking(faults, chance)
    deaf = faults.deaf and Random(f"deaf {case.seed} {number}").random() < faults.deaf
    if deaf or dice[0] < faults.no_reply:
        return Bid("silent", value, delay)
    if dice[1] < faults.late:
        first, last = LATE_SECONDS
        return Bid("offer", value, case.reply_within + first + (last - first) * dice[4])
    kind: Kind = "malformed" if dice[2] < faults.malformed else "offer"
    if dice[3] < faults.duplicate:
        return Bid(kind, value, delay, "message" if dice[4] < 0.5 else "offer")
    return Bid(kind, value, delay)


def _thinking(faults: Faults, chance: Random) -> float:
    """Return the seconds that a model thinks, lognormal by its median and its 99th percentile."""
    drawn = chance.gauss(0, 1)
    if not faults.slow_median:
        return 0.0
    sigma = math.log(faults.slow_p99 / faults.slow_median) / NormalDist().inv_cdf(0.99)
    return min(SLOW_SECONDS_MAX, faults.slow_median * math.exp(sigma * drawn))


def bids(case: Case, number: int) -> list[Bid]:
    """Return what every contractor does with the call of a round."""
    return [bid(case, number, index) for index in range(case.contractors)]


def utility(price: float | None, asked: list[float]) -> float:
    """Return what an award is worth: 1 at the lowest price asked, 0 at the highest, 0 for none."""
    if price is None:
        return 0.0
    best, worst = min(asked), max(asked)
    return 1.0 if worst == best else (worst - price) / (worst - best)


def call_payload(case: Case) -> dict[str, Any]:
    """Return the content of a call."""
    return {
        "$schema": SCHEMA,
        "act": "cfp",
        "round": 1,
        "reply_within": case.reply_within,
        "policy": case.profile,
        "task": {"kind": "gpu-lease", "resource": "H100", "units": 4, "minutes": 30},
        "text": "Four H100 for half an hour, tonight, in one rack.",
    }


def offer_payload(made: Bid) -> dict[str, Any]:
    """Return the content of an offer, or of what should have been one."""
    payload: dict[str, Any] = {
        "$schema": SCHEMA,
        "act": "offer",
        "round": 1,
        "value": made.value,
        "conditions": {"start_in": 120, "minutes": 30},
        "text": "Available now in one rack, not shared with others.",
    }
    if made.kind == "malformed":
        payload["value"] = f"about {made.value:g} credits"
    return payload
