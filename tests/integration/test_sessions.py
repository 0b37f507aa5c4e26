"""Idle sessions cost little, a storm of them passes, and a slow consumer is alone in its trouble.

The figures belong to docs/reliability.md; here it is only that everything happens which is
measured there, so the stretches between are as short as they may be.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateways import ROOT, environment

SECONDS_MAX = 240.0


def _measured(command: str, tmp_path: Path) -> dict[str, Any]:
    """Run a measurement as a person would and return its result."""
    out = tmp_path / "result.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", *command.split(), "--out", str(out)),
            *("--server-core", "any", "--client-core", "any"),
        ],
        env=environment(tmp_path),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("`python -m ")
    result: dict[str, Any] = json.loads(out.read_text())
    return result


@pytest.mark.slow
def test_a_crowd_that_was_cut_off_resumes_and_misses_nothing(tmp_path: Path) -> None:
    result = _measured("loadtest.sessions --quick --seconds 0.4", tmp_path)
    cut, crash = result["cut"], result["crash"]
    count = result["plan"]["sessions"]
    assert cut["welcomed"] == cut["resumed"] == crash["welcomed"] == count
    assert cut["heard"]["messages"] == count
    assert crash["resumed"] == 0
    rounds = [result["without"], result["with"], cut["during"], crash["during"], crash["after"]]
    assert [one["unfinished"] for one in rounds] == [0] * len(rounds)
    assert result["memory"]["bytes_per_session"] < 200 * 1024


@pytest.mark.slow
def test_who_stops_reading_is_warned_then_disconnected_and_comes_back(tmp_path: Path) -> None:
    crowd = "--agents 24 --rate 20 --outbox 500 --seconds 1.5 --repeats 1"
    result = _measured(f"loadtest.slow_consumer {crowd}", tmp_path)
    (seen,) = result["watched"]
    assert 0 < seen["warned_after"] <= seen["closed_after"]
    assert any("agent://consumer" in line for line in result["log"])
    assert result["reading"]["unfinished"] == result["stopped"]["unfinished"] == 0
    assert result["consumer"]["welcomes"] >= 2
