"""The paper's figures 3 to 7 drawn of a run, with the points that its tables name beside ours.

Figures 3, 4 and 5 show events, latency by round and latency by agent for low, medium and high;
6 and 7 the runs of two and of twelve hours, minute by minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from loadtest.experiments.knee import arms, rate_of
from loadtest.experiments.published import TABLES, Published, Range
from loadtest.experiments.tally import Tally
from loadtest.figures import percentile
from loadtest.plots import bars, lines

FIGURE = {"table1": 3, "table2": 4, "table3": 5, "table4": 6, "table5": 7}
PUBLISHED = "published"
SERIES_MAX = 7
"""More profiles than that are not told apart in one picture."""


def drawn(name: str, tallies: Sequence[Tally]) -> Mapping[str, str]:
    """Return the pictures of an experiment, as SVG by the name of the file."""
    shown = [tally for tally in tallies if tally.case.pacing == "poisson" and tally.offer_ms]
    if name == "workers":
        return _by_workers(tallies)
    if not shown:
        return {}
    if name in ("table1", "table2", "table3"):
        return _short(name, shown)
    if name == "faults":
        return _trade_off(tallies)
    pictures: dict[str, str] = {}
    for number, tally in enumerate(shown[:SERIES_MAX], 1):
        prefix = f"figure-{FIGURE[name]}" if name in FIGURE else name
        pictures |= _long(f"{prefix}-{number}", name, tally)
    return pictures


def _short(name: str, tallies: Sequence[Tally]) -> dict[str, str]:
    """Return events and latencies by the number of contractors."""
    rate = min(tally.case.rate for tally in tallies)
    shown = [tally for tally in tallies if tally.case.rate == rate]
    sizes = sorted({tally.case.contractors for tally in shown})
    places = [f"n={size}" for size in sizes]
    profiles = list(dict.fromkeys(tally.case.profile for tally in shown))[:SERIES_MAX]
    told = {one.contractors: one for one in TABLES[name]}
    figure = f"figure-{FIGURE[name]}"

    def ours(column: str) -> dict[str, list[float | None]]:
        return {
            profile: [
                _mean(
                    [
                        tally.figures()[column]
                        for tally in shown
                        if tally.case.profile == profile and tally.case.contractors == size
                    ]
                )
                for size in sizes
            ]
            for profile in profiles
        }

    most = max(sizes)
    by_agent = {
        profile: next(
            (
                _agents(tally)
                for tally in shown
                if tally.case.profile == profile and tally.case.contractors == most
            ),
            [],
        )
        for profile in profiles
    }
    published = [told.get(size, Published(size)) for size in sizes]
    return {
        f"{figure}-events.svg": bars(
            f"Offers in a run, {rate:g} calls a second",
            "offers",
            places,
            {PUBLISHED: [_number(one.offers) for one in published], **ours("offers")},
        ),
        f"{figure}-rounds.svg": bars(
            "Latency by round: call to offer, the mean",
            "ms",
            places,
            {PUBLISHED: [_middle(one) for one in published], **ours("round_mean_ms")},
        ),
        f"{figure}-agents.svg": bars(
            f"Latency by agent, n={most}: call to offer, the mean",
            "ms",
            [str(at) for at in range(1, most + 1)],
            {
                PUBLISHED: [told[most].agent_mean_ms if most in told else None] * most,
                **by_agent,
            },
        ),
    }


def _long(prefix: str, name: str, tally: Tally) -> dict[str, str]:
    """Return a run minute by minute, and by agent."""
    minutes = sorted(tally.minutes.items())
    timed = [(at, sorted(one.offer_ms)) for at, one in minutes if one.offer_ms]
    told = next((one for one in TABLES.get(name, ()) if tally.case.level in one.note), None)
    case = f"{tally.case.profile}, n={tally.case.contractors}"
    series: dict[str, list[tuple[float, float]]] = {
        f"p{percent}": [(float(at), percentile(ordered, percent)) for at, ordered in timed]
        for percent in (50, 95)
    }
    last = float(max(at for at, _ in timed)) or 1.0
    if told is not None and told.p95_ms is not None:
        series[f"{PUBLISHED} p95"] = [(0.0, told.p95_ms[0]), (last, told.p95_ms[0])]
    published = [told.agent_mean_ms if told else None] * tally.case.contractors
    return {
        f"{prefix}-latency.svg": lines(f"Call to offer, {case}", "minute", "ms", series),
        f"{prefix}-events.svg": lines(
            f"Calls and offers in each minute, {case}",
            "minute",
            "in a minute",
            {
                "calls": [(float(at), float(one.calls)) for at, one in minutes],
                "offers": [(float(at), float(one.offers)) for at, one in minutes],
            },
        ),
        f"{prefix}-agents.svg": bars(
            f"Call to offer by agent, {case}",
            "ms",
            [str(at) for at in range(1, tally.case.contractors + 1)],
            {PUBLISHED: published, "ours": _agents(tally)},
        ),
    }


def _trade_off(tallies: Sequence[Tally]) -> dict[str, str]:
    """Return what each policy gives and takes, by what goes wrong."""
    faults = list(dict.fromkeys(tally.case.faults.name for tally in tallies))
    profiles = [
        profile
        for profile in dict.fromkeys(tally.case.profile for tally in tallies)
        if profile.startswith("flow/")
    ]
    pictures = {}
    for column, title, up in (
        ("completeness", "Answers that were there at the close", "part"),
        ("decision_p50_ms", "Call to outcome, the median", "ms"),
        ("utility", "What is awarded: 1 is the best offer there could be", "part"),
    ):
        series = {
            profile: [
                _mean(
                    [
                        tally.figures()[column]
                        for tally in tallies
                        if tally.case.profile == profile and tally.case.faults.name == fault
                    ]
                )
                for fault in faults
            ]
            for profile in profiles
        }
        pictures[f"faults-{column.replace('_', '-')}.svg"] = bars(title, up, faults, series)
    return pictures


def _by_workers(tallies: Sequence[Tally]) -> dict[str, str]:
    """Return the processor over the rate, and the highest rate, by the number of workers."""
    used: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for tally in tallies:
        cpu = tally.figures()["gateway_cpu"]
        judging = tally.case.judging
        if judging is not None and isinstance(cpu, float):
            points = used.setdefault(judging.weight, {}).setdefault(judging.name, [])
            points.append((rate_of(tally), cpu))
    by_weight = arms(tallies)
    counts = sorted({arm.judging.workers for group in by_weight.values() for arm in group})
    most: dict[str, list[float | None]] = {
        weight: [
            next((arm.rate for arm in group if arm.judging.workers == count), None)
            for count in counts
        ]
        for weight, group in by_weight.items()
    }
    title = "The event loop's part of a core"
    return {
        "workers-most.svg": bars(
            "The highest rate", "rounds/s", [f"{count} workers" for count in counts], most
        ),
        **{
            f"workers-cpu-{weight.replace(' ', '-')}.svg": lines(title, "rounds/s", "part", series)
            for weight, series in used.items()
            if any(rate for points in series.values() for rate, _ in points)
        },
    }


def _agents(tally: Tally) -> list[float | None]:
    return [
        fmean(agent.offer_ms) if agent.offer_ms else None
        for _, agent in sorted(tally.agents.items())
    ]


def _middle(told: Published) -> float | None:
    if told.round_mean_ms is not None:
        return told.round_mean_ms
    spread: Range | None = told.mean_ms
    return None if spread is None else fmean(spread)


def _number(value: int | None) -> float | None:
    return None if value is None else float(value)


def _mean(values: Sequence[float | int | str | None]) -> float | None:
    known = [float(value) for value in values if isinstance(value, int | float)]
    return fmean(known) if known else None
