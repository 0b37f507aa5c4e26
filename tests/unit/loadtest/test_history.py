"""A regression is told from noise, and from a machine that was busy."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from loadtest import history
from loadtest.history import CannotTell, compared

MACHINE = {"processor": "P", "cores": 2, "python": "3.11.7", "load_before": 0.1, "commit": "abc"}
SETTINGS = {"quick": False, "seconds": 3.0, "server_core": 0, "client_core": 1}


def _run(rounds: float, cpu: float = 4.0, **machine: Any) -> dict[str, Any]:
    ratios = {"rounds_per_second": rounds, "server_cpu_s_per_1000_rounds": cpu}
    return {
        "machine": {**MACHINE, **machine},
        "settings": copy.copy(SETTINGS),
        "cases": [{"contractors": 12, "in_flight": 32, "ours_over_floor": ratios}],
    }


STEADY = [_run(0.40), _run(0.41), _run(0.39), _run(0.40)]


def _changed(runs: list[dict[str, Any]]) -> dict[str, str]:
    return {
        one.figure: "worse" if one.is_worse else "better"
        for one in compared(runs)
        if one.is_worse or one.is_better
    }


def test_fewer_rounds_than_ever_are_worse() -> None:
    assert _changed([*STEADY, _run(0.33)]) == {"rounds_per_second": "worse"}


def test_of_rounds_more_is_better_and_of_cpu_less() -> None:
    assert _changed([*STEADY, _run(0.50, cpu=3.0)]) == {
        "rounds_per_second": "better",
        "server_cpu_s_per_1000_rounds": "better",
    }
    assert _changed([*STEADY, _run(0.40, cpu=5.0)]) == {"server_cpu_s_per_1000_rounds": "worse"}


def test_within_a_tenth_nothing_has_changed() -> None:
    assert _changed([*STEADY, _run(0.37, cpu=4.3)]) == {}


def test_a_figure_that_always_jumps_may_jump() -> None:
    """By three of its own deviations: a fifth is nothing to one that wanders by a fifth."""
    wild = [_run(0.30), _run(0.40), _run(0.50), _run(0.35), _run(0.45)]
    assert _changed([*wild, _run(0.32)]) == {}
    assert _changed([*wild, _run(0.10)]) == {"rounds_per_second": "worse"}


@pytest.mark.parametrize(
    "odd",
    [
        _run(0.9, processor="Q"),
        _run(0.9, python="3.13.1"),
        _run(0.9, load_before=1.5),
        _run(0.9, cores_awake=True),
        {**_run(0.9), "settings": {**SETTINGS, "quick": True}},
    ],
    ids=["another processor", "another CPython", "a busy machine", "cores awake", "other settings"],
)
def test_runs_that_cannot_be_compared_are_left_out(odd: dict[str, Any]) -> None:
    runs = [odd, odd, odd, odd, *STEADY, _run(0.40)]
    assert _changed(runs) == {}
    assert {one.runs for one in compared(runs)} == {4}


@pytest.mark.parametrize(
    ("runs", "why"),
    [
        ([], "no run"),
        ([_run(0.4), _run(0.4), _run(0.4)], "2 earlier runs are alike"),
        ([*STEADY, _run(0.4, load_before=6.5)], "the machine was busy"),
    ],
    ids=["nothing", "too little", "busy"],
)
def test_what_cannot_be_told_is_said(runs: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(CannotTell, match=why):
        compared(runs)


@pytest.mark.parametrize(
    ("last", "code"), [(_run(0.40), 0), (_run(0.20), 1), (_run(0.40, load_before=9), 2)]
)
def test_the_exit_code_tells(
    last: dict[str, Any], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("".join(json.dumps(run) + "\n" for run in [*STEADY, last]))
    assert history.main(["--history", str(path)]) == code
    shown = capsys.readouterr()
    assert ("WORSE   n=12" in shown.out) == (code == 1)


def test_a_broken_line_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(json.dumps(STEADY[0]) + "\n{\n")
    assert history.main(["--history", str(path)]) == 2
    assert "line 2" in capsys.readouterr().err
    assert history.main(["--history", str(tmp_path / "none")]) == 2
