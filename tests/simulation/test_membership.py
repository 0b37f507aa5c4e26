"""At most one gateway acts as the owner of a negotiation, and after healing everybody agrees.

`python -m tests.simulation.membership_world --seeds 10000` plays more than the tests do.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.simulation.membership_mutants import MUTANTS, SHOWN_BY
from tests.simulation.membership_world import Broken, World, main

SEEDS_FEW = 10
SEEDS_MANY = 600
SEEDS_FOR_A_MUTANT = 2_000


@pytest.mark.parametrize("first", range(1, 60, SEEDS_FEW))
def test_of_each_negotiation_one_gateway_is_the_owner_whatever_the_weather(first: int) -> None:
    for seed in range(first, first + SEEDS_FEW):
        World(seed).run()


@pytest.mark.slow
def test_of_each_negotiation_one_gateway_is_the_owner_in_thousands_of_weathers() -> None:
    takeovers = blind = 0
    for seed in range(1_000, 1_000 + SEEDS_MANY):
        world = World(seed).run()
        takeovers += world.takeovers
        blind += world.blind
    assert takeovers > SEEDS_MANY, "there was something to take over"
    assert blind > SEEDS_MANY, "while etcd was away, what ran went on"


def test_a_seed_plays_the_same_each_time() -> None:
    one, again, other = World(5).run(), World(5).run(), World(6).run()
    assert one.decisions == again.decisions != other.decisions
    assert one.store.log == again.store.log != other.store.log


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MUTANTS)
def test_a_planted_mistake_is_found(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    part, name, instead = MUTANTS[mistake]
    monkeypatch.setattr(part, name, instead)
    with pytest.raises(Broken):
        _play([SHOWN_BY.get(mistake, 1), *range(1, SEEDS_FOR_A_MUTANT)])


def _play(seeds: Iterable[int]) -> None:
    for seed in seeds:
        World(seed).run()


def test_a_failing_seed_is_named_with_its_last_events(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(*MUTANTS["claims_what_others_have"])
    assert main(["--seeds", "100", "--from", "2"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith("seed ") and "decide" in said[-1]
    assert any("begins to decide" in line for line in said)


def test_seeds_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "3"]) == 0
    assert capsys.readouterr().out.startswith("3 seeds from 1 hold, ")
