"""The knee is computed from what was played, and what limits the rate is named or missed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.experiments import knee
from loadtest.experiments.cases import Case, Judging, Weight
from loadtest.experiments.claims import Claim
from loadtest.experiments.tally import Minute, Tally
from loadtest.run_records import RunRecord

BIG: Weight = "big offers"
SECONDS = 10.0


@pytest.fixture
def record(tmp_path: Path) -> Iterator[RunRecord]:
    with RunRecord(tmp_path, {}) as record:
        yield record


def most(record: RunRecord, workers: int, rate: float, loop: float = 0.5, **used: float) -> Tally:
    """Return a case of so many workers."""
    judging = Judging(BIG, workers)
    case = Case("flow/high", 12, 1.0, SECONDS, pacing="in flight", in_flight=16, judging=judging)
    rounds = round(rate * SECONDS)
    tally = Tally(case, record, calls=rounds, rounds=rounds, within=rounds, offers=12 * rounds)
    tally.judged_in_workers = 12 * rounds if workers else 0
    tally.frames_per_call = 60.0
    shares = {"workers_cpu": 0.4, "own_cpu": 0.3, "machine_cpu": 0.5, **used}
    tally.minutes[0] = Minute(gateway_cpu=loop, **shares)  # type: ignore[arg-type]  # all floats
    return tally


def verdicts(made: list[Claim]) -> dict[str, bool | None]:
    return {claim.what.partition(" (")[0]: claim.holds for claim in made}


@pytest.mark.parametrize(
    ("rates", "at"),
    [
        ({0: 30, 1: 50, 2: 52, 4: 53, 8: 54}, 1),
        ({0: 30, 1: 30, 2: 60, 4: 65, 8: 64}, 2),
        ({0: 60, 1: 50, 2: 40, 4: 30, 8: 20}, 0),
        ({0: 10, 1: 20, 2: 40, 4: 80, 8: 160}, 8),
    ],
)
def test_the_knee_is_where_no_more_workers_bring_a_tenth(
    record: RunRecord, rates: dict[int, float], at: int
) -> None:
    """One worker that is no better than none is no knee, when two are."""
    group = knee.arms([most(record, count, rate) for count, rate in rates.items()])[BIG]
    assert knee.knee_of(group).judging.workers == at


def test_the_line_of_a_number_of_workers_has_the_highest_rate_and_what_each_call_costs(
    record: RunRecord,
) -> None:
    tallies = [most(record, 1, 20, 0.9), most(record, 1, 25), most(record, 1, 24, 0.9)]
    (line,) = knee.by_workers(tallies)
    assert line["case"] == "big offers, 1 worker"
    assert (line["rounds_per_second"], line["in_flight"]) == (25.0, 16)
    assert line["gateway_ms_a_call"] == pytest.approx(0.5 / 25 * 1e3)
    assert line["frames_a_call"] == 60.0
    assert line["workers_ms_a_call"] == pytest.approx(0.4 / 25 * 1e3)
    assert set(knee.COLUMNS) == line.keys() - {"case"}


def test_beyond_the_knee_the_loop_or_all_cores_have_to_be_full(
    record: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knee, "CORES", 2)

    def beyond(loop: float, **used: float) -> bool | None:
        tallies = [most(record, 0, 30, 0.9), most(record, 1, 50), most(record, 2, 51, loop, **used)]
        return verdicts(knee.scales(tallies))["C2: beyond the knee a processor is full"]

    assert beyond(0.95) is True
    assert beyond(0.8, workers_cpu=0.8, own_cpu=0.3) is True
    assert beyond(0.6, machine_cpu=0.6) is False, "something else holds it up"
    assert beyond(0.6, workers_cpu=0.1, own_cpu=0.9) is None, "the agents are what is full"
    assert beyond(0.6, machine_cpu=0.99) is None, "others have what is left"


def test_where_the_most_workers_are_still_better_the_knee_is_not_claimed(record: RunRecord) -> None:
    made = knee.scales([most(record, 1, 20), most(record, 2, 40)])
    assert [claim.holds for claim in made if "knee" in claim.what] == [None]


def test_offers_that_did_not_go_where_they_should_fail_c2(record: RunRecord) -> None:
    what = "C2: every offer is judged in a worker, and none where the loop judges"
    inline, sent = most(record, 0, 30), most(record, 1, 50)
    assert verdicts(knee.scales([inline, sent]))[what] is True
    sent.judged_in_workers = sent.offers - 1
    assert verdicts(knee.scales([inline, sent]))[what] is False
    sent.judged_in_workers, inline.judged_in_workers = sent.offers, 1
    assert verdicts(knee.scales([inline, sent]))[what] is False
    sent.judged_in_workers = inline.judged_in_workers = None
    assert verdicts(knee.scales([inline, sent]))[what] is None
