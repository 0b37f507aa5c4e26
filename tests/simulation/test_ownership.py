"""One award for each call, whatever the weather was, and what it takes to get a second one.

`python -m tests.simulation.ownership_world --seeds 10000` plays more of them.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.directories import Broken
from tests.simulation.ownership_mutants import MUTANTS
from tests.simulation.ownership_world import Weather, World, main

SEEDS_FEW = 25
SEEDS_MANY = 600
SEEDS_FOR_A_MUTANT = 400
SEEDS_FOR_A_DOUBLE = 300


def play(weather: Weather, first: int, seeds: int) -> list[World]:
    return [World(seed, weather).run() for seed in range(first, first + seeds)]


@pytest.mark.parametrize("first", range(1, 300, SEEDS_FEW))
def test_no_call_is_awarded_twice_and_every_call_ends(first: int) -> None:
    play("all", first, SEEDS_FEW)


@pytest.mark.slow
def test_a_rolling_upgrade_loses_no_call_and_makes_nobody_call_again() -> None:
    worlds = play("gateways leave", 1, 100)
    assert sum(world.inherited for world in worlds) > 20


@pytest.mark.slow
def test_no_call_is_awarded_twice_in_hundreds_of_weathers() -> None:
    worlds = play("all", 1_000, SEEDS_MANY)
    assert sum(world.decisions for world in worlds) > 2 * SEEDS_MANY


@pytest.mark.slow
def test_an_etcd_that_is_away_for_a_while_makes_no_second_award_of_calls_that_come_again() -> None:
    """Agents lose gateways that live on, and some sleep; who told unwritten writes first."""
    worlds = play("etcd stumbles", 1, SEEDS_MANY)
    assert sum(world.blind for world in worlds) > SEEDS_MANY / 20, "awards told unwritten"
    assert sum(len(world.again) for world in worlds) > SEEDS_MANY / 4, "calls came again"
    assert sum(world.doubles for world in worlds) == 0


@pytest.mark.slow
def test_a_second_award_takes_an_etcd_that_is_away_for_all_and_a_lost_gateway_besides() -> None:
    """Neither failure does it alone, however often; both at once do in one of a thousand.

    The gateway has to be lost for good, with what it could not write.
    """
    well = play("etcd is well", 1, SEEDS_FOR_A_DOUBLE)
    assert sum(len(world.again) for world in well) > SEEDS_FOR_A_DOUBLE / 4, "calls came again"
    assert sum(world.doubles for world in well) == 0
    found = play("nobody is lost", 1, SEEDS_FOR_A_DOUBLE)
    assert sum(world.blind for world in found) > SEEDS_FOR_A_DOUBLE / 20, "awards told unwritten"
    assert sum(world.doubles for world in found) == 0
    both = (World(seed, "etcd is away").run() for seed in range(1_500, 2_000))
    assert any(world.doubles for world in both)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_planted_mistake_is_found(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    part, name, instead, weather = MUTANTS[mistake]
    monkeypatch.setattr(part, name, instead)
    with pytest.raises(Broken):
        play(weather, 1, SEEDS_FOR_A_MUTANT)


def test_a_seed_plays_the_same_every_time() -> None:
    first, second = World(7).run(), World(7).run()
    assert (first.story, first.decisions) == (second.story, second.decisions)


def test_a_failing_seed_is_named_with_its_last_events(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part, name, instead, weather = MUTANTS["tells before it writes"]
    monkeypatch.setattr(part, name, instead)
    assert main(["--seeds", "100", "--weather", weather]) == 1
    said: list[Any] = capsys.readouterr().out.splitlines()
    assert said[-1].startswith("seed ") and "opens" in " ".join(said)


def test_seeds_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "3"]) == 0
    assert capsys.readouterr().out.startswith("3 seeds from 1 hold, ")
