"""Ours and the floor are played in turn, and one cannot be disturbed by the other's state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from loadtest import rounds, targets
from loadtest.comparison import Plan, compare
from loadtest.conducting import RoundsFailed

PLAN = Plan(
    contractors=(2,),
    in_flight=(1, 4),
    seconds=5.0,
    rounds_max=30,
    warm_up_seconds=0.01,
    repeats=2,
    server_core=None,
)


@pytest.mark.slow
def test_every_case_is_played_by_both_and_the_first_takes_turns(tmp_path: Path) -> None:
    floor = targets.floor()
    told: list[str] = []
    both = [replace(floor, name="ours"), floor]
    compared = uvloop.run(compare(both, PLAN, tmp_path, told.append))
    assert [(one.contractors, one.in_flight) for one in compared] == [(2, 1), (2, 4)]
    for one in compared:
        assert {name: len(figures) for name, figures in one.repeats.items()} == {
            "ours": 2,
            "floor": 2,
        }
        assert one.ratio("rounds_per_second")
    players = [line.split()[2] for line in told]
    assert players == ["ours", "floor", "ours", "floor", "floor", "ours", "floor", "ours"]


@pytest.mark.slow
def test_a_case_that_fails_names_the_server_and_the_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The floor awards nothing, so Alice waits in vain when she does not decide herself.
    monkeypatch.setattr(rounds, "STALL_SECONDS_MAX", 0.1)
    mute = replace(targets.floor(), initiator_decides=False)
    plan = replace(PLAN, in_flight=(1,), repeats=1, seconds=0.05)
    with pytest.raises(RoundsFailed, match="floor, 2 contractors, 1 in flight"):
        uvloop.run(compare([mute], plan, tmp_path, print))


def test_the_time_that_a_plan_takes_is_said_beforehand() -> None:
    assert 4 < PLAN.seconds_expected(targets=1) / 5 < 6
