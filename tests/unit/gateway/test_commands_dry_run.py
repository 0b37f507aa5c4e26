"""`llmx ctl policy set … --dry-run`: what it says, without a gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.commands.dry_run import dry_run

TRACE = Path(__file__).parent / "recorded" / "version-2.jsonl"
LOW = '{"profile": "flow/low"}'


def test_a_program_gets_every_negotiation_and_a_summary(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert dry_run("quick", LOW, [TRACE], as_json=True) == 0
    *told, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert len(told) == 12 and {one["kind"] for one in told} == {"rehearsal"}
    first = told[0]
    assert first["then"]["winners"] == ["agent://carol"] and first["then"]["price"] == 35.5
    assert first["now"]["winners"] == ["agent://bob"] and first["now"]["policy"] == "quick@1"
    assert first["same"] is False
    assert summary["compared"] == 12 and summary["other_winner"] == 3
    assert summary["mean_seconds"]["now"] < summary["mean_seconds"]["then"]


def test_a_person_sees_what_would_have_been_another_decision(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert dry_run("quick", LOW, [TRACE], as_json=False) == 0
    said = capsys.readouterr().out
    assert "munich-1.1.000001" in said and "munich-1.2.000002" not in said
    assert "3 another winner" in said and "mean price" in said


def test_a_profile_that_cannot_be_says_what_could(capsys: pytest.CaptureFixture[str]) -> None:
    for parameters in ('{"quorum": -1}', '{"quorom": 1}', '{"profile": "x"}', "{", "nowhere.json"):
        assert dry_run("quick", parameters, [TRACE], as_json=False) == 2
    assert "quorum" in capsys.readouterr().err


def test_a_trace_that_is_not_there_or_empty_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dry_run("quick", LOW, [Path("nowhere.jsonl")], as_json=False) == 2
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    assert dry_run("quick", LOW, [empty], as_json=False) == 1
    said = capsys.readouterr().err
    assert "nowhere.jsonl: No such file" in said and "there is no record" in said


def test_a_line_that_cannot_be_read_is_named_and_the_others_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(TRACE.read_bytes()[:-20])
    assert dry_run("quick", LOW, [torn], as_json=False) == 1
    said = capsys.readouterr()
    assert "torn.jsonl, line 12" in said.err and "11 of 11" in said.out


def test_what_cannot_be_compared_is_told_with_why_and_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [json.loads(line) for line in TRACE.read_text().splitlines()]
    for line in lines[:4]:
        line["call"]["protocol"] = "alternating-offers"
    lines[4]["call"]["protocol"] = "dutch"
    trace = tmp_path / "mixed.jsonl"
    trace.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert dry_run("quick", LOW, [trace], as_json=False) == 0
    said = capsys.readouterr().out
    ids = [line["call"]["negotiation_id"] for line in lines]
    why = "in alternating-offers the two parties decide, whatever the profile"
    assert f"4 not compared: {why} ({', '.join(ids[:3])}, …)" in said
    assert f"its moves are not known here ({ids[4]})" in said
    assert dry_run("quick", LOW, [trace], as_json=True) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["reason"] for one in told[:2]] == [why, why]
