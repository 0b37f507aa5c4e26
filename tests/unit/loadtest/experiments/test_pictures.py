"""Figures 3 to 7 are drawn of a run, with the published points beside ours."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from loadtest.experiments.cases import Case, Judging
from loadtest.experiments.pictures import drawn
from loadtest.experiments.simulated import play
from loadtest.experiments.tally import Minute, Tally
from loadtest.run_records import RunRecord


def played(folder: Path, *cases: Case) -> list[Tally]:
    with RunRecord(folder, {}) as record:
        return [play(case, f"case-{number}", record) for number, case in enumerate(cases)]


def words(picture: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(picture).iter() if one.text]


@pytest.mark.parametrize(("name", "figure"), [("table1", 3), ("table2", 4), ("table3", 5)])
def test_short_tables_are_drawn_by_population_with_the_published_bars(
    tmp_path: Path, name: str, figure: int
) -> None:
    level = {3: "low", 4: "medium", 5: "high"}[figure]
    tallies = played(tmp_path, *(Case(f"flow/{level}", n, 0.2, 30.0) for n in (5, 12)))
    pictures = drawn(name, tallies)
    assert set(pictures) == {
        f"figure-{figure}-{kind}.svg" for kind in ("events", "rounds", "agents")
    }
    for picture in pictures.values():
        assert {"published", f"flow/{level}"} <= set(words(picture))
    assert "36" in words(pictures[f"figure-{figure}-events.svg"]), "the published offers of 12"


def test_a_long_run_is_drawn_minute_by_minute(tmp_path: Path) -> None:
    pictures = drawn("table5", played(tmp_path, Case("flow/high", 12, 0.1, 240.0)))
    assert set(pictures) == {f"figure-7-1-{kind}.svg" for kind in ("latency", "events", "agents")}
    assert "published p95" in words(pictures["figure-7-1-latency.svg"])
    assert "4.58" in words(pictures["figure-7-1-agents.svg"])


def test_the_trade_off_is_drawn_by_what_goes_wrong(tmp_path: Path) -> None:
    tallies = played(tmp_path, *(Case(f"flow/{one}", 5, 0.2, 20.0) for one in ("low", "high")))
    pictures = drawn("faults", tallies)
    assert set(pictures) == {
        f"faults-{kind}.svg" for kind in ("completeness", "decision-p50-ms", "utility")
    }


def test_of_a_run_without_an_offer_nothing_is_drawn(tmp_path: Path) -> None:
    assert drawn("table1", played(tmp_path, Case("flow/low", 5, 1e-9, 1.0))) == {}


def test_workers_are_drawn_by_their_number_and_the_loop_over_the_rate(tmp_path: Path) -> None:
    tallies = []
    with RunRecord(tmp_path, {}) as record:
        for workers in (1, 2):
            judging = Judging("big offers", workers)
            for in_flight in (1, 16):
                case = Case(
                    *("flow/high", 12, 1.0, 10.0),
                    pacing="in flight",
                    in_flight=in_flight,
                    judging=judging,
                )
                tally = Tally(case, record, within=100 + in_flight)
                tally.minutes[0] = Minute(gateway_cpu=0.5)
                tallies.append(tally)
    pictures = drawn("workers", tallies)
    assert set(pictures) == {"workers-most.svg", "workers-cpu-big-offers.svg"}
    assert {"1 workers", "2 workers", "11.6"} <= set(words(pictures["workers-most.svg"]))
    assert "big offers, 2 workers" in words(pictures["workers-cpu-big-offers.svg"])
