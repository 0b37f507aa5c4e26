"""An experiment in real time: a gateway process, agents on streams, a policy that is switched."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from gateway.replaying import Replay, lines_of
from loadtest.experiments.programme import Wish
from loadtest.experiments.running import run

pytestmark = pytest.mark.slow


def test_a_policy_is_switched_under_load_and_every_record_plays_again(tmp_path: Path) -> None:
    """C4 and C5 by the gateway itself, with the run record that the simulation leaves too."""
    said: list[str] = []
    wish = Wish(seconds=3.0, rate=10.0, contractors=3)
    result = run("switch", wish, tmp_path, said.append)
    verdicts = {claim.what: (claim.holds, claim.seen) for claim in result.claims}
    assert len(verdicts) == 9
    assert result.is_good, verdicts
    with (result.folder / "rounds.csv").open(newline="") as file:
        rounds = list(csv.DictReader(file))
    assert {row["policy"] for row in rounds} == {"lab/live@1", "lab/live@2"}
    for row in rounds:
        assert (row["state"], row["lost"], row["double_finals"]) == ("committed", "0", "0")
        assert float(row["decision_ms"]) > 0
        assert float(row["msg_mean_ms"]) > 0
        assert float(row["ack_mean_ms"]) > 0
    summary = json.loads((result.folder / "summary.json").read_text())
    assert summary["mode"] == "live"
    assert len(rounds) < summary["cases"][0]["offers"] <= 3 * len(rounds)
    replay = Replay()
    assert all(replay.judge(line).is_good for line in lines_of([result.folder / "records.jsonl"]))
    assert replay.summary.lines == len(rounds)
    assert any("to go" in line for line in said)
