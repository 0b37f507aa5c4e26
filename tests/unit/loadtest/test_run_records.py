"""Run records are read by anybody: one header, one type a column, the same keys in each line."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import pytest

from loadtest.run_records import Happened, RunError, RunRecord, new_folder


def test_a_run_is_read_without_our_code(tmp_path: Path) -> None:
    with RunRecord(tmp_path, {"experiment": "x", "where": tmp_path}) as record:
        record.happened(Happened(0.5, "call_sent", "one", 1, "agent://alice", "m1"))
        record.happened(Happened(1.0, "offer_heard", "one", 1, "agent://bob", "m2", 40.25, "late"))
        record.row("rounds", {"round": 1, "decision_ms": 1.25, "complete": True, "winner": "b,c"})
        record.row("rounds", {"round": 2, "decision_ms": None, "complete": False, "winner": ""})
        record.row("rounds", {"round": 3, "decision_ms": float("nan"), "complete": 1, "winner": ""})
        record.finish({"good": True})
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert len({tuple(line) for line in lines}) == 1, "every line has the same keys"
    assert lines[1]["value"] == 40.25
    with (tmp_path / "rounds.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["decision_ms"] for row in rows] == ["1.25", "", ""]
    assert [row["complete"] for row in rows][:2] == ["true", "false"]
    assert rows[0]["winner"] == "b,c"
    summary = json.loads((tmp_path / "summary.json").read_text())
    whole = hashlib.sha256((tmp_path / "events.jsonl").read_bytes()).hexdigest()
    assert summary == {"good": True, "events": 2, "events_sha256": whole}
    assert json.loads((tmp_path / "config.json").read_text())["where"] == str(tmp_path)


def test_rows_of_other_columns_are_refused(tmp_path: Path) -> None:
    """A reader would take one column for another."""
    with RunRecord(tmp_path, {}) as record:
        record.row("agents", {"agent": "a", "offers": 1})
        with pytest.raises(RunError, match="awards"):
            record.row("agents", {"agent": "a", "awards": 1})
        with pytest.raises(RunError, match="their order"):
            record.row("agents", {"offers": 1, "agent": "a"})


def test_a_run_that_breaks_off_keeps_what_it_has_and_no_summary(tmp_path: Path) -> None:
    with RunRecord(tmp_path, {}) as record:
        record.happened(Happened(0.5, "call_sent"))
    assert (tmp_path / "events.jsonl").read_text().count("\n") == 1
    assert not (tmp_path / "summary.json").exists()


def test_a_long_run_writes_only_the_kinds_of_events_that_it_wants(tmp_path: Path) -> None:
    with RunRecord(tmp_path, {}, {"call_sent"}) as record:
        for kind in ("call_sent", "call_heard", "call_sent"):
            record.happened(Happened(0.5, kind))
    assert (tmp_path / "events.jsonl").read_text().count('"kind":"call_sent"') == 2
    assert record.events_total == 2


def test_every_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    names = [new_folder(tmp_path / "runs", "table1-seed1").name for _ in range(3)]
    assert names == ["table1-seed1", "table1-seed1-2", "table1-seed1-3"]
