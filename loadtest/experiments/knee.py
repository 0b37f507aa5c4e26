"""How many validation workers are worth having: the highest rate with each number, and the knee.

With each number of workers more and more rounds are open at any time, so that the rate rises until
something is full. Calls at their own time would pile up beyond that, and what is measured then is
how a gateway sheds load. The knee is the fewest workers with which the highest rate is within a
tenth of that of any greater number.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.experiments.cases import Judging, Weight
from loadtest.experiments.claims import Claim, grouped
from loadtest.experiments.tally import Tally

GAIN_MIN = 0.1
"""What a further worker has to bring, of the rate before."""
FULL = 0.85
"""From this part of a core on a process with one loop has no more to give."""
MACHINE_FULL = 0.9
CORES = os.cpu_count() or 1
SHARES = ("gateway_cpu", "workers_cpu", "own_cpu", "machine_cpu")
COLUMNS = (
    *("rounds_per_second", "in_flight", *SHARES),
    *("gateway_ms_a_call", "workers_ms_a_call", "frames_a_call"),
)


@dataclass(frozen=True, slots=True)
class Arm:
    """One number of workers."""

    judging: Judging
    most: Tally
    """The case with the highest rate."""

    @property
    def rate(self) -> float:
        """Return the rounds a second."""
        return rate_of(self.most)

    def share(self, name: str) -> float:
        """Return what was used meanwhile, a part of a core; of the machine, of all cores."""
        used = self.most.figures()[name]
        return float(used) if isinstance(used, int | float) else 0.0

    def milliseconds(self, name: str) -> float:
        """Return what a round took of a processor."""
        return self.share(name) / self.rate * 1e3 if self.rate else 0.0


def rate_of(tally: Tally) -> float:
    """Return how many outcomes a second were heard while a case was measured."""
    return tally.within / tally.case.seconds


def arms(tallies: Sequence[Tally]) -> dict[Weight, list[Arm]]:
    """Return the numbers of workers, ascending, by what was judged."""
    found: dict[Weight, list[Arm]] = {}
    for judging, group in grouped(tallies, lambda tally: tally.case.judging).items():
        if judging is not None:
            found.setdefault(judging.weight, []).append(Arm(judging, max(group, key=rate_of)))
    return {
        weight: sorted(group, key=lambda arm: arm.judging.workers)
        for weight, group in found.items()
    }


def knee_of(group: Sequence[Arm]) -> Arm:
    """Return the fewest workers that no greater number beats by a tenth; there is one at least."""
    for at, arm in enumerate(group):
        if all(more.rate < arm.rate * (1 + GAIN_MIN) for more in group[at + 1 :]):
            return arm
    raise AssertionError("of the last none is greater")


def by_workers(tallies: Sequence[Tally]) -> list[Mapping[str, Any]]:
    """Return a line for each number of workers; milliseconds are of a processor."""
    return [
        {
            "case": arm.judging.name,
            "rounds_per_second": arm.rate,
            "in_flight": arm.most.case.in_flight,
            **{name: arm.share(name) for name in SHARES},
            "gateway_ms_a_call": arm.milliseconds("gateway_cpu"),
            "workers_ms_a_call": arm.milliseconds("workers_cpu"),
            "frames_a_call": arm.most.frames_per_call,
        }
        for group in arms(tallies).values()
        for arm in group
    ]


def scales(tallies: Sequence[Tally]) -> list[Claim]:
    """C2: the rate grows with the workers until a processor is full; where, is computed."""
    claims = [_judged_where(tallies)]
    for weight, group in arms(tallies).items():
        claims += _knee(weight, group) if len(group) > 1 else []
    return claims


def _judged_where(tallies: Sequence[Tally]) -> Claim:
    """Say whether offers went to the workers, by the gateway's own count."""
    asked = [one for one in tallies if one.judged_in_workers is not None and one.case.judging]
    inline = [one for one in asked if one.case.judging and not one.case.judging.workers]
    sent = [one for one in asked if one not in inline]
    went = sum(one.judged_in_workers or 0 for one in sent)
    stayed = sum(one.judged_in_workers or 0 for one in inline)
    offers = sum(one.offers for one in sent)
    return Claim(
        "C2: every offer is judged in a worker, and none where the loop judges",
        all((one.judged_in_workers or 0) >= one.offers > 0 for one in sent) and not stayed
        if asked
        else None,
        f"{went:,} judged in workers, {offers:,} offers measured; {stayed} of {len(inline)} "
        "cases without",
    )


def _knee(weight: Weight, group: Sequence[Arm]) -> list[Claim]:
    """Name the knee, and say what is full beyond it."""
    knee = knee_of(group)
    above = [arm for arm in group if arm.judging.workers > knee.judging.workers]
    rates = ", ".join(f"{arm.judging.workers}: {arm.rate:.0f}/s" for arm in group)
    named = Claim(
        f"C2: the knee is at {knee.judging.workers} workers, more gain under "
        f"{GAIN_MIN:.0%} ({weight})",
        True if above else None,
        rates if above else f"{rates}; the most that were tried",
    )
    if not above:
        return [named]
    after = above[0]
    loop, workers, own, machine = (after.share(name) for name in SHARES)
    seen = (
        f"with {after.judging.workers}: event loop {loop:.0%} of a core, workers {workers:.0%}, "
        f"agents {own:.0%}, of {CORES} cores"
    )
    holds: bool | None = loop >= FULL or loop + workers + own >= MACHINE_FULL * CORES
    if not holds and own >= FULL:
        holds, seen = None, f"{seen}; the agents have no more to give"
    elif not holds and machine >= MACHINE_FULL:
        holds, seen = None, f"{seen}; what is left of {machine:.0%} had others on this machine"
    return [named, Claim(f"C2: beyond the knee a processor is full ({weight})", holds, seen)]
