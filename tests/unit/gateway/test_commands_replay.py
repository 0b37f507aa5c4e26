"""`llmx replay`: what it says, and that its exit code tells the truth."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.commands.replay import replay

RECORDED = Path(__file__).parent / "recorded"
GOOD = RECORDED / "version-2.jsonl"


def broken(folder: Path) -> Path:
    """Return records of which the first one does something else by now."""
    file = folder / "records.jsonl"
    file.write_bytes(GOOD.read_bytes().replace(b'"value":35.5', b'"value":99.5', 1))
    return file


def test_what_is_the_same_is_one_line_and_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert replay([GOOD], as_json=False) == 0
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "12 records of 37 events in 1 file (contract-net 12): 12 the same to the byte" in said


def test_versions_mix(capsys: pytest.CaptureFixture[str]) -> None:
    assert replay([RECORDED / "version-1.jsonl", GOOD], as_json=False) == 0
    said = capsys.readouterr().out
    assert "2 files" in said and "12 played, with nothing to compare" in said
    assert "12 copies" in said


def test_what_differs_is_shown_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay([broken(tmp_path)], as_json=False) == 1
    said = capsys.readouterr().out
    assert "records.jsonl, line 1: munich-1.1.000001: step 3 (OfferReceived)" in said
    assert "asks now for [{" in said and "1 DIFFERENT" in said


def test_a_program_gets_what_differs_and_a_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay([broken(tmp_path), tmp_path / "records.jsonl"], as_json=True) == 1
    *told, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert {one["result"] for one in told} == {"differs"}
    assert told[0]["differences"][0]["step"] == 3
    assert summary["kind"] == "summary" and summary["good"] is False
    assert summary["results"] == {"differs": 2, "same": 11, "copy": 11}


def test_a_file_that_is_not_there_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert replay([Path("nowhere.jsonl")], as_json=False) == 2
    assert "nowhere.jsonl: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("as_json", [False, True])
def test_no_record_proves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"\n")
    assert replay([empty], as_json=as_json) == 1
    assert "there is no record" in capsys.readouterr().err


def test_records_of_a_protocol_of_one_s_own_play_when_it_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "house_rules.py").write_text(
        "from dataclasses import replace\n"
        "from policy.protocols import PROTOCOLS\n"
        'PROTOCOL = replace(PROTOCOLS["contract-net"], name="house-rules")\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "records.jsonl"
    ours = GOOD.read_bytes().replace(b'"protocol":"contract-net"', b'"protocol":"house-rules"')
    file.write_bytes(ours)
    assert replay([file], as_json=False) == 1
    assert "the protocol house-rules is not known here" in capsys.readouterr().out
    assert replay([file], as_json=False, protocols="house_rules:PROTOCOL") == 0
    assert replay([file], as_json=False, protocols="house_rules:NOTHING") == 2
