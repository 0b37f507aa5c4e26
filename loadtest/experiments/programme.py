"""Which cases each experiment has, and what is claimed of them.

`EXPERIMENTS` is the list. Simulated time runs what the paper ran, at once; real time runs it
shorter and faster by default, because the paper's rates give three calls in two minutes. `full` is
E1 and E2 to the letter, which takes hours of real time; `Wish` changes either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from loadtest.experiments import claims, endurance, knee, paper_claims
from loadtest.experiments.cases import (
    FAMILIES,
    HEALTHY,
    LIVE_PROFILE,
    POPULATIONS,
    Case,
    Faults,
    Judging,
    Switch,
    Weight,
)
from loadtest.experiments.claims import Claim
from loadtest.experiments.published import RATES, SECONDS
from loadtest.experiments.tally import Tally

RATES_MORE = (1.0,)
RATES_FULL = (1.0, 10.0, 100.0)
LEVEL_OF = {"table1": "low", "table2": "medium", "table3": "high"}
FLOW = ("flow/low", "flow/medium", "flow/high")
MOST = 12
FLOW_CLOSED_RATE = 0.5
RATES_LOAD = (5.0, 20.0, 50.0, 100.0, 200.0, 400.0)
WORKERS: dict[Weight, tuple[int, ...]] = {
    "small offers": (0,),
    "big offers": (0, 1, 2, 4, 8),
    "own schema": (1, 2, 4, 8),
}
"""What judges, by what is judged: small offers by the way, a tenant's schema never without one."""
IN_FLIGHT = (1, 4, 16)
"""Open rounds of 12 offers: at the most two dozen for each of 8 workers, fewer than `queue_max`."""
FAULTY_PROFILES = (
    *(f"{family}/{level}" for family in FAMILIES for level in ("low", "medium", "high")),
    "proto/low-timeout",
    "proto/high-multiple",
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What whoever runs an experiment wants otherwise; None leaves it as it is."""

    simulated: bool = False
    full: bool = False
    seed: int = 1
    """The first one; others count up from it."""
    seeds: int | None = None
    rate: float | None = None
    seconds: float | None = None
    warm_up: float | None = None
    contractors: int | None = None
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment of `llmx experiment run`."""

    title: str
    cases: Callable[[Wish], list[Case]]
    judges: Sequence[Callable[[Sequence[Tally]], list[Claim]]] = field(default=(claims.safety,))
    seeds: int = 1
    keeps_records: bool = True
    """Are negotiations recorded, and played again in the end?"""
    kinds: frozenset[str] | None = None
    """Which events are written; None: all."""
    columns: Sequence[str] = ("calls", "rounds", "completeness", "decision_p50_ms", "utility")
    """What of each line stands in a page, where nothing is published to compare with."""
    in_short: Callable[[Sequence[Tally]], list[Mapping[str, Any]]] | None = None
    """The lines of a page, "case" and figures; None: a line for each case."""
    only_live: bool = False
    """Says simulated time nothing of it?"""


def cases_of(experiment: Experiment, wish: Wish) -> list[Case]:
    """Return the cases to run, with what was wished for."""
    cases = experiment.cases(wish)
    changes = {
        "rate": wish.rate,
        "seconds": wish.seconds,
        "warm_up": wish.warm_up,
        "contractors": wish.contractors,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    seeds = wish.seeds or (experiment.seeds if wish.simulated or wish.full else 1)
    wished = [
        replace(case, seed=wish.seed + number, **given)  # type: ignore[arg-type]  # as their fields
        for case in cases
        if wish.profile in (None, case.profile)
        for number in range(seeds)
    ]
    return list(dict.fromkeys(wished))


def _short(name: str) -> Callable[[Wish], list[Case]]:
    """Return the cases of tables 1 to 3."""

    def cases(wish: Wish) -> list[Case]:
        if wish.simulated or wish.full:
            more = RATES_FULL if wish.full else RATES_MORE
            rates, seconds, warm_up = (RATES[name], *more), SECONDS[name], 120.0
        else:
            rates, seconds, warm_up = (2.0,), 8.0, 2.0
        return [
            Case(f"{family}/{LEVEL_OF[name]}", size, rate, seconds, warm_up=warm_up)
            for rate in rates
            for family in FAMILIES
            for size in POPULATIONS
        ]

    return cases


def _two_hours(wish: Wish) -> list[Case]:
    """Return the cases of table 4, and those in which the next call waits for the outcome."""
    seconds, rate, warm_up = SECONDS["table4"], RATES["table4"], 120.0
    if not wish.simulated and not wish.full:
        seconds, rate, warm_up = 25.0, 10.0, 2.0  # 20 awards an agent, to judge how even
    cases = [
        Case("flow/medium", MOST, rate, seconds, warm_up=warm_up),
        Case("proto/medium", MOST, rate, seconds, warm_up=warm_up),
        *(Case("flow/high", size, rate, seconds, warm_up=warm_up) for size in POPULATIONS[::-1]),
    ]
    if wish.simulated or wish.full:
        slow = _slow(wish)
        cases += [
            Case(
                profile,
                MOST,
                FLOW_CLOSED_RATE,
                seconds,
                reply_within=30.0,
                faults=slow,
                pacing="after outcome",
            )
            for profile in FLOW
        ]
    return cases


def _twelve_hours(wish: Wish) -> list[Case]:
    if wish.simulated or wish.full:
        return [Case("flow/high", MOST, RATES["table5"], SECONDS["table5"], warm_up=120.0)]
    return [Case("flow/high", MOST, 10.0, 30.0, warm_up=2.0)]


def faults_of(wish: Wish) -> list[Faults]:
    """Return what goes wrong, one thing at a time."""
    return [
        HEALTHY,
        Faults("no reply 10 %", no_reply=0.1),
        Faults("no reply 30 %", no_reply=0.3),
        _slow(wish),
        Faults("duplicates 20 %", duplicate=0.2),
        Faults("malformed 5 %", malformed=0.05),
        Faults("late 10 %", late=0.1),
    ]


def _slow(wish: Wish) -> Faults:
    """Return agents that think as models do; in short runs of real time ten times as fast."""
    if wish.simulated or wish.full:
        return Faults("slow 2 s, p99 20 s", slow_median=2.0, slow_p99=20.0)
    return Faults("slow 0.2 s, p99 2 s", slow_median=0.2, slow_p99=2.0)


def _faulty(wish: Wish) -> list[Case]:
    at_length = wish.simulated or wish.full
    rate, seconds, within = (1.0, 200.0, 30.0) if at_length else (5.0, 8.0, 3.0)
    profiles = FAULTY_PROFILES if at_length else FLOW
    return [
        Case(profile, MOST, rate, seconds, reply_within=within, faults=fault)
        for fault in faults_of(wish)
        for profile in profiles
    ]


def _switching(wish: Wish) -> list[Case]:
    at_length = wish.simulated or wish.full
    seconds = wish.seconds or (120.0 if at_length else 12.0)
    return [
        Case(
            LIVE_PROFILE,
            MOST,
            2.0 if at_length else 5.0,
            seconds,
            reply_within=30.0 if at_length else 5.0,
            faults=_slow(wish),
            switch=Switch(seconds / 2, "flow/high", "flow/low"),
        )
    ]


def _rates(wish: Wish) -> list[Case]:
    rates, seconds = (RATES_LOAD, 30.0) if wish.full else (RATES_LOAD[:4], 10.0)
    return [Case("flow/high", MOST, rate, seconds, warm_up=2.0) for rate in rates]


def _workers(wish: Wish) -> list[Case]:
    """Return more and more open rounds, for each number of workers."""
    seconds = 30.0 if wish.full else 5.0
    usual = Case("flow/high", MOST, 1.0, seconds, warm_up=1.0, pacing="in flight")
    return [
        replace(usual, in_flight=in_flight, judging=Judging(weight, count))
        for weight, counts in WORKERS.items()
        for count in counts
        for in_flight in IN_FLIGHT
    ]


def _soak(wish: Wish) -> list[Case]:
    return [Case("flow/high", MOST, 50.0, 1_800.0, warm_up=10.0)]


def _stricter_by_fault(tallies: Sequence[Tally]) -> list[Claim]:
    """Judge C1 among agents that think: without thinking all answer in the same millisecond."""
    return paper_claims.stricter([one for one in tallies if one.case.faults.slow_median])


ROUNDS_ONLY = frozenset({"call_sent", "outcome_heard", "refused"})
SHORT = (claims.safety, claims.healthy)
EXPERIMENTS: dict[str, Experiment] = {
    "table1": Experiment("Table 1 and Figure 3: low, two minutes", _short("table1"), SHORT, 3),
    "table2": Experiment("Table 2 and Figure 4: medium, two minutes", _short("table2"), SHORT, 3),
    "table3": Experiment("Table 3 and Figure 5: high, two minutes", _short("table3"), SHORT, 3),
    "table4": Experiment(
        "Table 4 and Figure 6: two hours",
        _two_hours,
        (
            claims.safety,
            lambda tallies: endurance.lasting(
                [one for one in tallies if one.case.pacing == "poisson"]
            ),
            _stricter_by_fault,
            paper_claims.lighter,
        ),
    ),
    "table5": Experiment(
        "Table 5 and Figure 7: twelve hours of high",
        _twelve_hours,
        (claims.safety, claims.healthy, endurance.lasting),
    ),
    "faults": Experiment(
        "What each policy gives and takes when agents fail",
        _faulty,
        (claims.safety, _stricter_by_fault),
    ),
    "switch": Experiment(
        "A policy is switched while negotiations are open",
        _switching,
        (claims.safety, paper_claims.switched),
    ),
    "rates": Experiment(
        "What a gateway's processor does at more and more calls a second",
        _rates,
        (claims.safety, paper_claims.bound_by_cpu),
        keeps_records=False,
        kinds=ROUNDS_ONLY,
        columns=("rounds", "gateway_cpu", "own_cpu", "offer_p95_ms", "own_lag_p99_ms"),
    ),
    "workers": Experiment(
        "How many rounds a second with 0, 1, 2, 4 and 8 validation workers",
        _workers,
        (claims.safety, knee.scales),
        keeps_records=False,
        kinds=ROUNDS_ONLY,
        columns=knee.COLUMNS,
        in_short=knee.by_workers,
        only_live=True,
    ),
    "soak": Experiment(
        "Half an hour at 50 calls a second",
        _soak,
        (claims.safety, claims.healthy, endurance.lasting),
        keeps_records=False,
        kinds=ROUNDS_ONLY,
        columns=("calls", "rounds", "lost", "double_finals", "offer_p50_ms", "offer_p95_ms"),
    ),
}
