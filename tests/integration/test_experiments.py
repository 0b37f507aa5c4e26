"""Experiments in real time: a gateway process, its workers, agents on streams."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from gateway.replaying import Replay, lines_of
from loadtest import scenes
from loadtest.experiments import knee, live
from loadtest.experiments.cases import Case, Judging
from loadtest.experiments.claims import all_hold, safety
from loadtest.experiments.programme import Wish
from loadtest.experiments.running import run
from loadtest.experiments.weighty import settings_of
from loadtest.run_records import RunRecord

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


async def test_big_offers_and_a_schema_of_the_tenant_are_judged_in_workers(tmp_path: Path) -> None:
    """C2: two workers, one case with all there is and one with calls at their own time."""
    seconds = live.LOOK_SECONDS_MIN + 0.2
    big = Case(
        *("flow/high", 3, 1.0, seconds),
        pacing="in flight",
        in_flight=2,
        judging=Judging("big offers", 2),
    )
    own = Case("flow/high", 3, 5.0, seconds, judging=Judging("own schema", 2))
    assert settings_of(big) == settings_of(own)
    with (
        RunRecord(tmp_path, {}) as record,
        scenes.gateway(tmp_path, None, **settings_of(big)) as gateway,
    ):
        tallies = [
            await live.play(case, f"case-{number}", record, gateway)
            for number, case in enumerate((big, own))
        ]
    assert all_hold(safety(tallies)), [tally.figures() for tally in tallies]
    for tally in tallies:
        assert tally.judged_in_workers == tally.offers == 3 * tally.rounds > 0
        assert tally.frames_per_call is not None
        assert tally.frames_per_call > 3
        figures = tally.figures()
        assert isinstance(figures["workers_cpu"], float)
        assert 0 <= figures["workers_cpu"] < 2, "a few offers take less than the system counts"
    (arm,) = knee.arms(tallies)["big offers"]
    assert arm.rate > 0
