"""Ours and the floor are played in turn, and one cannot be disturbed by the other's state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from loadtest import rounds, targets
from loadtest.comparison import Plan, compare
from loadtest.conducting import RoundsFailed
from loadtest.peers.orders import Found

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
def test_peers_join_in_after_both_and_take_turns_among_themselves(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text(
        "#!/bin/sh\n"
        """echo '{"rounds": 5, "seconds": 1, "to_last_offer": [1], "to_last_outcome": [2]}'\n"""
    )
    program.chmod(0o700)
    peers = [Found("nats", program, {}), Found("a2a", program, {})]
    plan = replace(PLAN, in_flight=(1,), peers=peers, peers_everywhere=True)
    told: list[str] = []
    (one,) = uvloop.run(compare([targets.floor()], plan, tmp_path, told.append))
    assert [line.split()[2] for line in told] == ["floor", "nats", "a2a", "floor", "a2a", "nats"]
    assert one.targets["nats"]["rounds_per_second"] == 5.0
    assert len(one.repeats["a2a"]) == 2
    ratio = one.ratio("rounds_per_second", "a2a")
    assert ratio == 5.0 / one.targets["floor"]["rounds_per_second"]


@pytest.mark.slow
def test_a_peer_that_fails_is_left_out_and_the_others_go_on(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 'it fell' >&2; exit 1\n")
    program.chmod(0o700)
    peers = [Found("nats", program, {})]
    plan = replace(PLAN, in_flight=(1,), peers=peers, peers_everywhere=True)
    told: list[str] = []
    (one,) = uvloop.run(compare([targets.floor()], plan, tmp_path, told.append))
    assert list(one.targets) == ["floor"]
    assert len(one.repeats["floor"]) == 2
    assert [line for line in told if "left out" in line] == [
        "nats is left out of this case: nats, 2 contractors, 1 in flight: it fell"
    ]


def test_peers_play_twelve_contractors_unless_they_were_named() -> None:
    plan = replace(PLAN, peers=[Found("nats", Path("python"), {})])
    assert [plan.has_peers(n, f) for n, f in ((12, 1), (12, 32), (12, 8), (50, 1))] == [
        *(True, True, False, False)
    ]
    assert replace(plan, peers_everywhere=True).has_peers(50, 8)
    assert not PLAN.has_peers(12, 1)
    longer = replace(plan, peers_everywhere=True)
    assert longer.seconds_expected(2) > plan.seconds_expected(2) == PLAN.seconds_expected(2)


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
