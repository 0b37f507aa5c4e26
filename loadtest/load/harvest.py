"""What the drivers kept, brought home: the files of the run, and the figures of the report.

The reports of all drivers are read in the order of their time and written as `loadtest.run_records`
does for every run. A round belongs to the stretch and the minute in which it was due.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtest.figures import PERCENTILES, percentile
from loadtest.load.conductor import Loaded
from loadtest.load.gauges import Sample, figures_of
from loadtest.load.plan import LoadPlan
from loadtest.load.shapes import moment
from loadtest.run_records import Happened, RunRecord

LAG_MS_MAX = 50.0
"""A generator that is later than that with its calls is itself what is measured."""
BUSY_MAX = 0.9
"""So is one whose process fills a core."""
WARM_UP_SHARE = 0.2
"""What part of a run is left out of its steady rate: agents come, and buffers fill."""


@dataclass(slots=True)
class Stretch:
    """The rounds that were due in one part of the run."""

    offers_ms: list[float] = field(default_factory=list)
    decision_ms: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Minute:
    """What happened within one minute."""

    offers_ms: list[float] = field(default_factory=list)
    decision_ms: list[float] = field(default_factory=list)
    refused: int = 0
    streams: int = 0


@dataclass(slots=True)
class Harvest:
    """Everything that the drivers of a run have seen."""

    stretches: dict[str, Stretch] = field(default_factory=dict)
    minutes: defaultdict[int, Minute] = field(default_factory=lambda: defaultdict(Minute))
    connects_ms: list[float] = field(default_factory=list)
    returns_ms: list[float] = field(default_factory=list)
    resumed: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)
    agents: dict[str, dict[str, Any]] = field(default_factory=dict)
    steady_rounds: int = 0
    """How many rounds ended after the warm-up and before the end of the plan."""
    short_of_offers: int = 0
    """How many rounds ended with fewer offers than contractors."""
    unfinished: int = 0
    more_rounds: int = 0
    """Rounds that were counted only."""
    repeats: int = 0
    lag_ms: float = 0.0
    """The worst p99 of a quarter of a second."""
    agents_most: int = 0
    """Of all drivers together, at once."""
    drivers_ended: int = 0
    """How many drivers have said their last word."""
    driver_cpu_share: float = 0.0
    """Of the busiest driver, over the run."""

    def rounds(self) -> int:
        """Return how many rounds ended."""
        return self.more_rounds + sum(len(one.decision_ms) for one in self.stretches.values())


def gathered(loaded: Loaded, record: RunRecord) -> Harvest:
    """Read what the drivers kept and write it to the record, all but its summary."""
    plan = loaded.plan
    harvest = Harvest()
    storms = 0
    here: dict[int, int] = {}
    for worker, report in _in_order(plan):
        if report["storms"] > storms:
            storms = report["storms"]
            record.happened(Happened(report["at"], "all_streams_cut", value=float(storms)))
        _take_streams(harvest, record, report)
        _take_rounds(harvest, record, plan, worker, report)
        minute = harvest.minutes[int(report["at"] // 60)]
        for code, count in report["refused"].items():
            harvest.refused[code] += count
            minute.refused += count
            record.happened(Happened(report["at"], "refused", value=float(count), word=code))
        for reason, count in report["endings"].items():
            harvest.endings[reason] += count
        harvest.lag_ms = max(harvest.lag_ms, report["lag_ms"])
        here[worker] = report["agents"]
        harvest.agents_most = max(harvest.agents_most, sum(here.values()))
        if report["last"]:
            harvest.drivers_ended += 1
            harvest.unfinished += report["unfinished"]
            harvest.repeats += report["repeats"]
            share = report["cpu_seconds"] / max(report["at"], 1e-9)
            harvest.driver_cpu_share = max(harvest.driver_cpu_share, share)
    for agent_id, seen in sorted(harvest.agents.items()):
        record.row("agents", {"agent": agent_id, **seen})
    for number in sorted(harvest.minutes):
        record.row("per_minute", _minute_row(number, harvest.minutes[number], loaded))
    return harvest


def summary_of(loaded: Loaded, harvest: Harvest) -> dict[str, Any]:
    """Return the figures of a run, and what a reader must know before believing them."""
    plan = loaded.plan
    steady_seconds = plan.seconds * (1 - WARM_UP_SHARE)
    return {
        "gateways": len(loaded.gauges.samples),
        "agents": harvest.agents_most,
        "rounds": harvest.rounds(),
        "steady_rounds_per_second": harvest.steady_rounds / steady_seconds,
        "stretches": {
            name: {
                "rounds": len(one.decision_ms),
                **percentiles("last_offer", one.offers_ms),
                **percentiles("decision", one.decision_ms),
            }
            for name, one in harvest.stretches.items()
        },
        "streams": {
            "connects": len(harvest.connects_ms),
            **percentiles("connect", harvest.connects_ms),
            "returns": len(harvest.returns_ms),
            **percentiles("return", harvest.returns_ms),
            "resumed": harvest.resumed,
            "endings": dict(harvest.endings.most_common(8)),
        },
        "refused": dict(harvest.refused),
        "unfinished": harvest.unfinished,
        "short_of_offers": harvest.short_of_offers,
        "repeats": harvest.repeats,
        "by_gateway": [figures_of(samples) for samples in loaded.gauges.samples],
        "steady_by_gateway": [
            figures_of(steady(samples, plan.seconds)) for samples in loaded.gauges.samples
        ],
        "etcd": loaded.etcd,
        "generator": {
            **loaded.generator,
            "busiest_driver_share": harvest.driver_cpu_share,
            "lag_p99_ms": harvest.lag_ms,
        },
        "locust": loaded.locust,
        "wrong": wrong_with(plan, harvest),
        "doubts": doubts_of(plan, harvest),
    }


def wrong_with(plan: LoadPlan, harvest: Harvest) -> list[str]:
    """Return what must not happen and did."""
    found = []
    if lost := plan.workers - harvest.drivers_ended:
        found.append(f"{lost} of {plan.workers} drivers ended early; locust.log says why")
    if harvest.unfinished:
        found.append(f"{harvest.unfinished} rounds never ended")
    if harvest.refused:
        codes = ", ".join(f"{code} {count}" for code, count in harvest.refused.most_common())
        found.append(f"{harvest.refused.total()} messages were refused: {codes}")
    if harvest.short_of_offers:
        found.append(f"{harvest.short_of_offers} rounds ended without all offers")
    if not harvest.rounds():
        found.append("no round ended")
    return found


def doubts_of(plan: LoadPlan, harvest: Harvest) -> list[str]:
    """Return why the figures may be those of the generator and not of the gateways."""
    doubts = []
    if plan.calls_per_second and harvest.lag_ms > LAG_MS_MAX:
        doubts.append(f"calls were up to {harvest.lag_ms:.0f} ms late at the generator (p99)")
    if harvest.driver_cpu_share > BUSY_MAX:
        doubts.append(f"a driver used {harvest.driver_cpu_share:.0%} of a core: take more workers")
    if harvest.more_rounds:
        doubts.append(f"{harvest.more_rounds} rounds were counted, and their times not kept")
    return doubts


def steady(samples: Sequence[Sample], seconds: float) -> Sequence[Sample]:
    """Return the samples between the warm-up and the end of a plan; all, if those are too few."""
    within = [one for one in samples if seconds * WARM_UP_SHARE <= one.at <= seconds]
    return within if len(within) >= 2 else samples


def percentiles(name: str, values: list[float]) -> dict[str, float | None]:
    """Return p50, p95, p99 and the most, None when there is nothing."""
    ordered = sorted(values)
    found: dict[str, float | None] = {
        f"{name}_p{percent}_ms": percentile(ordered, percent) if ordered else None
        for percent in PERCENTILES
    }
    found[f"{name}_max_ms"] = ordered[-1] if ordered else None
    return found


def _in_order(plan: LoadPlan) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield all reports with their workers, in the order of their time."""

    def of(worker: int) -> Iterator[tuple[float, int, dict[str, Any]]]:
        with Path(plan.folder, f"driver-{worker}.jsonl").open() as lines:
            for line in lines:
                report = json.loads(line)
                yield report["at"], worker, report

    merged = heapq.merge(*(of(worker) for worker in range(plan.workers)), key=lambda one: one[:2])
    for _, worker, report in merged:
        yield worker, report


def _take_streams(harvest: Harvest, record: RunRecord, report: Mapping[str, Any]) -> None:
    for agent_id, gateway, milliseconds, came_back, resumed in report["streams"]:
        (harvest.returns_ms if came_back else harvest.connects_ms).append(milliseconds)
        harvest.resumed += resumed
        harvest.minutes[int(report["at"] // 60)].streams += 1
        seen = harvest.agents.setdefault(
            agent_id,
            {
                "gateway": f"gateway-{gateway + 1}",
                "role": "initiator" if "//alice-" in agent_id else "contractor",
                "streams": 0,
                "resumed": 0,
                "longest_ms": 0.0,
            },
        )
        seen["streams"] += 1
        seen["resumed"] += int(resumed)
        seen["longest_ms"] = max(seen["longest_ms"], float(milliseconds))
        record.happened(
            Happened(
                report["at"],
                "stream_returned" if came_back else "stream_opened",
                agent=agent_id,
                value=milliseconds,
                word="resumed" if resumed else "",
            )
        )


def _take_rounds(
    harvest: Harvest, record: RunRecord, plan: LoadPlan, worker: int, report: Mapping[str, Any]
) -> None:
    contractors = plan.group_agents - 1
    harvest.more_rounds += report["more_rounds"]
    for number, group, due_at, offers, offers_ms, decision_ms in report["rounds"]:
        name = moment(plan.shape, plan.seconds, due_at).stretch
        stretch = harvest.stretches.setdefault(name, Stretch())
        ended_at = due_at + decision_ms / 1e3
        for place in (stretch, harvest.minutes[int(due_at // 60)]):
            place.decision_ms.append(decision_ms)
            if offers:
                place.offers_ms.append(offers_ms)
        harvest.steady_rounds += plan.seconds * WARM_UP_SHARE <= ended_at < plan.seconds
        harvest.short_of_offers += offers < contractors
        record.row(
            "rounds",
            {
                "driver": worker,
                "round": number,
                "group": group,
                "stretch": name,
                "due_at": due_at,
                "contractors": contractors,
                "offers": offers,
                "last_offer_ms": offers_ms if offers else None,
                "decision_ms": decision_ms,
            },
        )
        record.happened(
            Happened(ended_at, "decided", case=name, round=number, agent=group, value=decision_ms)
        )


def _minute_row(number: int, minute: Minute, loaded: Loaded) -> dict[str, float | int | None]:
    """Return a minute's line; memory and CPU are those of all gateways together."""
    offers, decisions = sorted(minute.offers_ms), sorted(minute.decision_ms)
    within = [
        [sample for sample in samples if number * 60 <= sample.at < (number + 1) * 60]
        for samples in loaded.gauges.samples
    ]
    return {
        "minute": number,
        "rounds": len(decisions),
        "last_offer_p50_ms": percentile(offers, 50),
        "decision_p50_ms": percentile(decisions, 50),
        "decision_p95_ms": percentile(decisions, 95),
        "decision_p99_ms": percentile(decisions, 99),
        "refused": minute.refused,
        "streams_opened": minute.streams,
        "gateway_cores_busy": sum(map(_cores_busy, within)),
        "gateway_mib": sum(one[-1].resident_bytes for one in within if one) / 2**20,
        "gateway_files": sum(one[-1].open_files for one in within if one),
    }


def _cores_busy(samples: list[Sample]) -> float:
    if len(samples) < 2:
        return 0.0
    seconds = samples[-1].at - samples[0].at
    return (samples[-1].cpu_seconds - samples[0].cpu_seconds) / seconds
