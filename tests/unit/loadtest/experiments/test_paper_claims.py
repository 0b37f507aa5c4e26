"""C1, C2 and C4 fail when figures say otherwise; that they hold is tested where runs are played."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.experiments.cases import LEVELS, LIVE_PROFILE, Case, Switch
from loadtest.experiments.claims import Claim
from loadtest.experiments.paper_claims import bound_by_cpu, lighter, stricter, switched
from loadtest.experiments.tally import Minute, Tally
from loadtest.run_records import RunRecord


@pytest.fixture
def record(tmp_path: Path) -> Iterator[RunRecord]:
    with RunRecord(tmp_path, {}) as record:
        yield record


def holds(made: list[Claim]) -> list[bool | None]:
    return [claim.holds for claim in made]


def levels(record: RunRecord, times: tuple[float, ...], heard: tuple[int, ...]) -> list[Tally]:
    return [
        Tally(
            Case(f"flow/{level}", 10, 1.0, 60.0, pacing="after outcome"),
            record,
            calls=10,
            rounds=10,
            in_time=count,
            utility=float(count),
            accepts=round(1_000 / ms),
            decision_ms=array("d", [ms]),
        )
        for level, ms, count in zip(LEVELS, times, heard, strict=True)
    ]


def test_c1_fails_where_a_stricter_policy_is_not_later_or_hears_no_more(record: RunRecord) -> None:
    assert holds(stricter(levels(record, (1, 2, 3), (10, 50, 100)))) == [True, True, True]
    assert holds(stricter(levels(record, (1, 3, 2), (10, 50, 100)))) == [False, True, True]
    assert holds(stricter(levels(record, (1, 2, 3), (10, 100, 50)))) == [True, False, False]
    assert stricter(levels(record, (1, 2, 3), (10, 50, 100))[:2]) == []


def test_c1_fails_where_a_stricter_policy_sends_more(record: RunRecord) -> None:
    assert holds(lighter(levels(record, (1, 2, 3), (10, 50, 100)))) == [True]
    assert holds(lighter(levels(record, (3, 2, 1), (10, 50, 100)))) == [False]


def rates(record: RunRecord, used: dict[float, float]) -> list[Tally]:
    tallies = [Tally(Case("flow/high", 12, rate, 60.0), record) for rate in used]
    for tally, cpu in zip(tallies, used.values(), strict=True):
        tally.minutes[0] = Minute(gateway_cpu=cpu)
    return tallies


def test_c2_needs_three_rates_and_fails_where_more_calls_take_less(record: RunRecord) -> None:
    assert holds(bound_by_cpu(rates(record, {10: 0.1, 20: 0.2, 50: 0.48}))) == [True]
    assert holds(bound_by_cpu(rates(record, {10: 0.3, 20: 0.1, 50: 0.3}))) == [False]
    assert holds(bound_by_cpu(rates(record, {10: 0.1, 20: 0.2}))) == [None]


def test_c4_fails_for_a_round_that_changes_its_revision_or_hears_an_error(
    record: RunRecord,
) -> None:
    case = Case(LIVE_PROFILE, 5, 1.0, 60.0, switch=Switch(30, "flow/high", "flow/low"))
    old, new = f"{LIVE_PROFILE}@1", f"{LIVE_PROFILE}@2"

    def judged(
        policies: dict[str, tuple[float, float]], open_: dict[str, int], refused: dict[str, int]
    ) -> list[bool | None]:
        tally = Tally(case, record, refusals=Counter(refused), straddling=Counter(open_))
        tally.policies = policies
        return holds(switched([tally]))

    right = {old: (1.0, 29.0), new: (31.0, 59.0)}
    assert judged(right, {old: 3}, {"LATE": 4}) == [True, True, True]
    assert judged({old: (1.0, 40.0), new: (31.0, 59.0)}, {old: 3}, {}) == [False, True, True]
    assert judged({old: (1.0, 59.0)}, {old: 3}, {}) == [False, True, True]
    assert judged(right, {old: 2, new: 1}, {}) == [True, False, True]
    assert judged(right, {}, {}) == [True, None, True]
    assert judged(right, {old: 3}, {"POLICY_INVALID": 1}) == [True, True, False]
