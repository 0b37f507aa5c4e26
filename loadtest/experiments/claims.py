"""What must hold of any run, and of one whose agents are healthy, judged from its figures.

A claim holds, fails, or cannot be judged, and says in a sentence what it saw. In real time a
latency is not judged while the agents' own process was late for its calls: then the figure says
more about this machine than about the gateway.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import correlation, fmean
from typing import TypeVar

from loadtest.experiments.arrivals import (
    ARRIVALS_MIN,
    SIGNIFICANCE,
    dispersion,
    exponential_p_value,
    gaps_of,
)
from loadtest.experiments.tally import Tally
from loadtest.figures import percentile
from policy.acceptance import PROFILES

Key = TypeVar("Key")

R_SQUARED_MIN = 0.999
ARRIVALS_PER_WINDOW = 10.0
SCALING_MAX = 3.0
"""Mean offer latency with 12 contractors by that with 5."""
LAG_MS_MAX = 20.0
"""When this process was later than that for a call in a hundred, latencies are not judged."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that must hold."""

    what: str
    holds: bool | None
    """None: it could not be judged."""
    seen: str

    @property
    def verdict(self) -> str:
        return {True: "holds", False: "FAILS", None: "not judged"}[self.holds]


def all_hold(claims: Iterable[Claim]) -> bool:
    """Tell whether no claim fails."""
    return not any(claim.holds is False for claim in claims)


# ------------------------------------------------------------------ what holds of every run


def safety(tallies: Sequence[Tally]) -> list[Claim]:
    """Return what must hold whatever goes wrong with the agents."""
    lost = sum(tally.lost for tally in tallies)
    doubles = sum(tally.double_finals for tally in tallies)
    wrong = sum(tally.wrong_awards for tally in tallies)
    calls = sum(tally.calls for tally in tallies)
    rounds = sum(tally.rounds for tally in tallies)
    return [
        Claim("nothing is lost", lost == 0, f"{lost} outcomes or verdicts are missing"),
        Claim("no final comes twice", doubles == 0, f"{doubles} second outcomes or verdicts"),
        Claim(
            "no award goes to a malformed, late or repeated offer",
            wrong == 0,
            f"{wrong} of {rounds} awards",
        ),
        Claim("every call comes to an outcome", calls == rounds > 0, f"{rounds} of {calls}"),
    ]


def healthy(tallies: Sequence[Tally]) -> list[Claim]:
    """Return what must hold of rounds in which every agent answers."""
    odd = sum(tally.odd_offers for tally in tallies)
    empty = sum(tally.empty for tally in tallies)
    rounds = sum(tally.rounds for tally in tallies)
    return [
        Claim(
            "every round has as many offers as contractors",
            odd == 0,
            f"{odd} of {rounds} rounds have not",
        ),
        Claim("no round is empty", empty == 0, f"{empty} of {rounds} rounds"),
        *_finals(tallies),
        *_linear(tallies),
        *_scaling(tallies),
        *_poisson(tallies),
    ]


def _finals(tallies: Sequence[Tally]) -> list[Claim]:
    """Return who is told what: by each profile's own rule, once for every decided round."""
    claims = []
    for profile, group in grouped(tallies, lambda tally: tally.case.profile).items():
        rule = PROFILES.get(profile)
        if rule is None:
            continue
        rounds = sum(tally.rounds for tally in group)
        confirms, accepts, rejects = (
            sum(getattr(tally, name) for tally in group)
            for name in ("confirms", "accepts", "rejects")
        )
        due = (
            rounds if rule.confirm else 0,
            rounds,
            sum(tally.rounds * (tally.case.contractors - 1) for tally in group)
            if rule.final == "required"
            else 0,
        )
        claims.append(
            Claim(
                f"{profile}: confirms, accepts and rejects are {due[0]}, {due[1]} and {due[2]}",
                (confirms, accepts, rejects) == due,
                f"{confirms}, {accepts} and {rejects} in {rounds} rounds",
            )
        )
    return claims


def _linear(tallies: Sequence[Tally]) -> list[Claim]:
    """C3: offers grow with the contractors along a line."""
    points = [
        (float(size), fmean(tally.offers / tally.calls for tally in group if tally.calls))
        for size, group in sorted(grouped(tallies, lambda tally: tally.case.contractors).items())
        if any(tally.calls for tally in group)
    ]
    if len(points) < 3:
        return []
    r_squared = correlation([x for x, _ in points], [y for _, y in points]) ** 2
    return [
        Claim(
            "C3: offers grow along a line with the contractors",
            r_squared >= R_SQUARED_MIN,
            f"R² = {r_squared:.4f} over {len(points)} sizes",
        )
    ]


def _scaling(tallies: Sequence[Tally]) -> list[Claim]:
    """Latency grows at most as the published one, from the fewest contractors to the most."""
    claims = []
    for profile, group in grouped(tallies, lambda tally: tally.case.profile).items():
        sizes = grouped(
            [one for one in group if one.offer_ms], lambda tally: tally.case.contractors
        )
        if not {5, 12} <= sizes.keys():
            continue
        few, many = (fmean(ms for one in sizes[size] for ms in one.offer_ms) for size in (5, 12))
        claims.append(
            judged(
                group,
                f"{profile}: an offer takes at most {SCALING_MAX:g} times as long, 12 for 5",
                many / few <= SCALING_MAX,
                f"{few:.2f} and {many:.2f} ms, {many / few:.2f} times",
            )
        )
    return claims


def _stream(tally: Tally) -> tuple[float, int]:
    return tally.case.rate, tally.case.seed


def _poisson(tallies: Sequence[Tally]) -> list[Claim]:
    claims = []
    for (rate, seed), group in grouped(tallies, _stream).items():
        longest = max(group, key=lambda tally: len(tally.called_at))
        moments = sorted(longest.called_at)
        if len(moments) < ARRIVALS_MIN or longest.case.pacing != "poisson":
            continue
        p_value = exponential_p_value(gaps_of(moments), rate)
        window = ARRIVALS_PER_WINDOW / rate
        index = dispersion(moments, window, longest.case.seconds)
        spread = 3 * math.sqrt(2 / (longest.case.seconds // window))
        claims.append(
            Claim(
                f"calls at {rate:g} a second, seed {seed}, come as a Poisson process",
                p_value >= SIGNIFICANCE and abs(index - 1) <= spread,
                f"p = {p_value:.3f} of {len(moments)} gaps, variance {index:.2f} of the mean",
            )
        )
    return claims


def judged(tallies: Sequence[Tally], what: str, holds: bool, seen: str) -> Claim:
    """Return a claim about latency, not judged where this process itself was late."""
    lag = max((percentile(sorted(one.lag_ms), 99) for one in tallies if one.lag_ms), default=0.0)
    if lag > LAG_MS_MAX:
        return Claim(what, None, f"{seen}; but this process was late itself, p99 {lag:.0f} ms")
    return Claim(what, holds, seen)


def grouped(tallies: Iterable[Tally], key: Callable[[Tally], Key]) -> dict[Key, list[Tally]]:
    groups: dict[Key, list[Tally]] = defaultdict(list)
    for tally in tallies:
        groups[key(tally)].append(tally)
    return dict(groups)
