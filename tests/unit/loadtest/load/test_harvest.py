"""The record of a run holds every round, and its summary says what must not be believed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from loadtest.load import page
from loadtest.load.conductor import Loaded
from loadtest.load.gauges import COUNTERS, Gauges, Sample
from loadtest.load.harvest import Harvest, gathered, summary_of
from loadtest.run_records import RunRecord
from tests.unit.loadtest.load.plans import plan

MACHINE = {"cores": 2, "python": "3.11.7", "commit": "abc", "libraries": {"grpcio": "1"}}


def _report(at: float, **changed: Any) -> dict[str, Any]:
    quiet: dict[str, Any] = {
        "at": at,
        "agents": 20,
        "rounds": [],
        "more_rounds": 0,
        "streams": [],
        "refused": {},
        "endings": {},
        "called": 0,
        "called_again": 0,
        "repeats": 0,
        "open": 0,
        "unfinished": 0,
        "lag_ms": 1.5,
        "storms": 0,
        "cpu_seconds": 1.0,
        "last": False,
    }
    return {**quiet, **changed}


REPORTS = [
    _report(0.25, streams=[["agent://alice-w0g0000", 0, 5.0, False, False]]),
    _report(4.0, rounds=[[1, "w0g0000", 1.0, 9, 8.0, 10.0], [2, "w0g0001", 3.0, 9, 9.0, 20.0]]),
    _report(7.0, storms=1, streams=[["agent://alice-w0g0000", 0, 250.0, True, True]]),
    _report(9.0, rounds=[[3, "w0g0000", 8.0, 9, 20.0, 30.0]], storms=1),
    _report(11.0, last=True),
]


def _loaded(folder: Path, reports: list[dict[str, Any]], **changed: Any) -> Loaded:
    """Return a run of one worker of which these reports were kept."""
    lines = "".join(json.dumps(report) + "\n" for report in reports)
    (folder / "driver-0.jsonl").write_text(lines)
    samples = [
        Sample(at, cpu, 100 << 20, 40, dict.fromkeys(COUNTERS, at * 100))
        for at, cpu in ((0.0, 1.0), (4.0, 2.0), (8.0, 4.0))
    ]
    gauges = Gauges([], 1, [(8.0, 2.0)], [samples, samples])
    generator = {"cpu_seconds": 2.0, "drivers_cpu_seconds": 1.0, "cores_busy": 0.25}
    etcd: dict[str, object] = {"version": "3.5.16", "cpu_seconds": 0.5}
    locust: list[dict[str, str | float]] = [
        {
            "type": "round",
            "name": "decision",
            "requests": 3,
            "failures": 0,
            "per_second": 0.3,
            "p50_ms": 20.0,
            "p95_ms": 30.0,
            "p99_ms": 30.0,
        }
    ]
    return Loaded(plan(folder, **changed), gauges, etcd, locust, 0, generator)


def _taken(folder: Path, loaded: Loaded) -> tuple[Harvest, dict[str, Any]]:
    run = folder / "run"
    run.mkdir()
    with RunRecord(run, {}) as record:
        harvest = gathered(loaded, record)
        summary = summary_of(loaded, harvest)
        record.finish(summary)
    return harvest, summary


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as table:
        return list(csv.DictReader(table))


def test_rounds_belong_to_the_stretch_in_which_they_were_due(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path, REPORTS, shape="storm", seconds=9.0)
    _, summary = _taken(tmp_path, loaded)
    rounds = {name: one["rounds"] for name, one in summary["stretches"].items()}
    assert rounds == {"before": 1, "after storm 1": 1, "after storm 2": 1}
    assert summary["stretches"]["after storm 2"]["decision_p99_ms"] == 30.0


def test_the_record_is_whole(tmp_path: Path) -> None:
    _taken(tmp_path, _loaded(tmp_path, REPORTS))
    run = tmp_path / "run"
    rounds = _rows(run / "rounds.csv")
    assert [row["decision_ms"] for row in rounds] == ["10.0", "20.0", "30.0"]
    (agent,) = _rows(run / "agents.csv")
    assert (agent["role"], agent["streams"], agent["resumed"]) == ("initiator", "2", "1")
    (minute,) = _rows(run / "per_minute.csv")
    assert (minute["rounds"], minute["decision_p50_ms"]) == ("3", "20.0")
    assert minute["gateway_cores_busy"] == "0.75"
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert [event["kind"] for event in events] == [
        *("stream_opened", "decided", "decided", "all_streams_cut", "stream_returned", "decided")
    ]
    assert json.loads((run / "summary.json").read_text())["events"] == 6


def test_the_steady_rate_leaves_out_the_first_fifth_and_what_ends_late(tmp_path: Path) -> None:
    _, summary = _taken(tmp_path, _loaded(tmp_path, REPORTS))
    assert summary["steady_rounds_per_second"] == 2 / 8.0
    assert summary["steady_by_gateway"][0]["cpu_share"] == 0.5
    assert summary["by_gateway"][0]["cpu_share"] == 0.375


def test_a_run_in_order_has_nothing_wrong_and_no_doubts(tmp_path: Path) -> None:
    _, summary = _taken(tmp_path, _loaded(tmp_path, REPORTS))
    assert (summary["wrong"], summary["doubts"]) == ([], [])


@pytest.mark.parametrize(
    ("what", "changed", "sentence"),
    [
        ("wrong", {"unfinished": 2}, "2 rounds never ended"),
        ("wrong", {"refused": {"RATE_LIMITED": 3}}, "3 messages were refused: RATE_LIMITED 3"),
        (
            "wrong",
            {"rounds": [[4, "w0g0000", 9.0, 7, 8.0, 9.0]]},
            "1 rounds ended without all offers",
        ),
        ("doubts", {"lag_ms": 80.0}, "calls were up to 80 ms late at the generator (p99)"),
        ("doubts", {"cpu_seconds": 10.5}, "a driver used 95% of a core: take more workers"),
        ("doubts", {"more_rounds": 7}, "7 rounds were counted, and their times not kept"),
    ],
)
def test_what_spoils_a_run_is_said(
    what: str, changed: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    reports = [*REPORTS[:-1], {**REPORTS[-1], **changed}]
    loaded = _loaded(tmp_path, reports)
    _, summary = _taken(tmp_path, loaded)
    assert summary[what] == [sentence]
    assert sentence in page.of_run("make load", MACHINE, loaded.plan, summary)


def test_a_driver_that_said_no_last_word_is_missed(tmp_path: Path) -> None:
    _, summary = _taken(tmp_path, _loaded(tmp_path, REPORTS[:-1]))
    assert summary["wrong"] == ["1 of 1 drivers ended early; locust.log says why"]


def test_the_agents_of_all_drivers_count_together(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path, REPORTS, workers=2)
    other = [_report(0.5, agents=7), _report(5.0, agents=18), _report(11.5, agents=0, last=True)]
    (tmp_path / "driver-1.jsonl").write_text("".join(json.dumps(one) + "\n" for one in other))
    _, summary = _taken(tmp_path, loaded)
    assert summary["agents"] == 38


def test_a_run_without_rounds_is_wrong(tmp_path: Path) -> None:
    _, summary = _taken(tmp_path, _loaded(tmp_path, [REPORTS[0], REPORTS[-1]]))
    assert summary["wrong"] == ["no round ended"]
