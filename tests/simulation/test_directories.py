"""After healing every gateway knows where every agent is, whatever the weather was.

`python -m tests.simulation.directories --seeds 10000` plays more of them.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.simulation.directories import Broken, World, main
from tests.simulation.directory_mutants import MUTANTS

SEEDS_FEW = 20
SEEDS_MANY = 2_000
SEEDS_FOR_A_MUTANT = 400


@pytest.mark.parametrize("first", range(1, 100, SEEDS_FEW))
def test_all_directories_agree_with_the_truth_when_the_weather_ends(first: int) -> None:
    for seed in range(first, first + SEEDS_FEW):
        World(seed).run()


@pytest.mark.slow
def test_all_directories_agree_after_thousands_of_weathers() -> None:
    told = sum(World(seed).run().told for seed in range(1_000, 1_000 + SEEDS_MANY))
    assert told > 20 * SEEDS_MANY, "there was something to agree on"


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_planted_mistake_is_found(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    part, instead = MUTANTS[mistake]
    monkeypatch.setattr(part, instead)
    with pytest.raises(Broken):
        _play(range(1, 1 + SEEDS_FOR_A_MUTANT))


def _play(seeds: Iterable[int]) -> None:
    for seed in seeds:
        World(seed).run()


def test_a_failing_seed_is_named_with_its_last_events(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(*MUTANTS["IgnoresWhoLeaves"])
    assert main(["--seeds", "100", "--from", "2"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith("seed ") and "hears" in said[-2]


def test_seeds_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "3"]) == 0
    assert capsys.readouterr().out.startswith("3 seeds from 1 hold, ")
