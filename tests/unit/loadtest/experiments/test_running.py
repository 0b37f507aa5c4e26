"""An experiment leaves a run record and a report, and its exit code tells the truth."""

from __future__ import annotations

import csv
import hashlib
import json
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from gateway import cli
from loadtest.experiments import programme
from loadtest.experiments.claims import Claim
from loadtest.experiments.programme import EXPERIMENTS, Wish
from loadtest.experiments.running import run
from loadtest.experiments.tally import Tally
from loadtest.run_records import TABLES

SMALL = Wish(simulated=True, seeds=1, seconds=20.0, warm_up=2.0, rate=0.2)
OPTIONS = ("--simulated", "--seeds", "1", "--seconds", "20", "--warm-up", "2", "--rate", "0.2")


def quiet(_: str) -> None:
    """Say nothing."""


def test_a_run_leaves_its_six_files_its_records_and_a_report(tmp_path: Path) -> None:
    result = run("table3", SMALL, tmp_path, quiet)
    assert result.is_good
    there = {path.name for path in result.folder.iterdir()}
    six = {"config.json", "events.jsonl", "summary.json", *(f"{name}.csv" for name in TABLES)}
    assert there >= {*six, "records.jsonl", "report.md", "report.html", "figure-5-events.svg"}
    summary = json.loads((result.folder / "summary.json").read_text())
    events = (result.folder / "events.jsonl").read_bytes()
    assert summary["events_sha256"] == hashlib.sha256(events).hexdigest() == result.events_sha256
    assert summary["events"] == events.count(b"\n") > 50
    assert summary["good"] is True
    for name in TABLES:
        with (result.folder / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["case"] for row in rows} == {case["case"] for case in summary["cases"]}, name
    report = (result.folder / "report.md").read_text()
    assert "`offer` is call due" in report, "it says which latency is which"
    for picture in result.folder.glob("*.svg"):
        assert f"({picture.name})" in report
        assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_the_same_seed_gives_the_same_hash_in_another_folder(tmp_path: Path) -> None:
    """E1: same seed and simulated clock, identical events.jsonl."""
    wish = replace(SMALL, profile="flow/low")
    first, again = (run("table1", wish, tmp_path / name, quiet) for name in ("a", "b"))
    other = run("table1", replace(wish, seed=2), tmp_path, quiet)
    assert first.events_sha256 == again.events_sha256 != other.events_sha256
    written = [(one.folder / "rounds.csv").read_bytes() for one in (first, again)]
    assert written[0] == written[1]


def test_the_command_says_what_it_found(tmp_path: Path) -> None:
    words = ["experiment", "run", "table2", *OPTIONS, "--profile", "proto/medium"]
    told = CliRunner().invoke(cli.app, [*words, "--out", str(tmp_path)])
    assert told.exit_code == 0, told.output
    assert "Published / ours" in told.stdout
    assert "confirms" in told.stdout
    assert str(tmp_path) in told.stdout.replace("\n", "")


def test_what_does_not_hold_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(tallies: Sequence[Tally]) -> list[Claim]:
        return [Claim("the sky falls", len(tallies) < 1, "it does not")]

    broken = replace(EXPERIMENTS["table5"], judges=(fails,))
    monkeypatch.setitem(programme.EXPERIMENTS, "table5", broken)
    words = ["experiment", "run", "table5", *OPTIONS, "--out", str(tmp_path)]
    told = CliRunner().invoke(cli.app, words)
    assert told.exit_code == 1
    assert "FAILS" in told.stdout


def test_one_that_is_stopped_leaves_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of a run would be taken for one by whoever reads `runs/*/rounds.csv`."""

    def stopped(tallies: Sequence[Tally]) -> list[Claim]:
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    broken = replace(EXPERIMENTS["table5"], judges=(stopped,))
    monkeypatch.setitem(programme.EXPERIMENTS, "table5", broken)
    words = ["experiment", "run", "table5", *OPTIONS, "--out", str(tmp_path)]
    told = CliRunner().invoke(cli.app, words)
    assert told.exit_code == 128 + signal.SIGINT
    assert "stopped" in told.stderr and not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_page_without_a_place_is_told_before_anything_is_run(tmp_path: Path) -> None:
    words = ["experiment", "run", "table5", *OPTIONS, "--out", str(tmp_path / "x")]
    told = CliRunner().invoke(cli.app, [*words, "--page", str(tmp_path / "none.md")])
    assert told.exit_code == 1
    assert "none.md: No such file" in told.stderr and not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["table9"],
        ["table1", "--rate", "0"],
        ["table1", "--seconds", "-1"],
        ["table1", "--warm-up", "-1"],
        ["table1", "--contractors", "100"],
        ["table1", "--profile", "flow/high"],
        ["workers", "--simulated"],
        ["workers", "--rate", "10"],
    ],
)
def test_what_is_not_right_ends_with_2_and_leaves_nothing(tmp_path: Path, words: list[str]) -> None:
    told = CliRunner().invoke(cli.app, ["experiment", "run", *words, "--out", str(tmp_path / "x")])
    assert told.exit_code == 2
    assert not (tmp_path / "x").exists()
