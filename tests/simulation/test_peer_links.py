"""What gateways send each other is handled once and in order, or handed back, in any weather."""

from __future__ import annotations

import pytest

from tests.simulation.peer_mistakes import MISTAKES, Mistake
from tests.simulation.peer_play import BrokenLinks, PeerPlay

SEEDS_FEW = 10
SEEDS_MANY = 500
SEEDS_FOR_A_MISTAKE = 500


@pytest.mark.parametrize("first", range(1, 101, SEEDS_FEW))
def test_everything_arrives_once_and_in_order_or_is_handed_back(first: int) -> None:
    for seed in range(first, first + SEEDS_FEW):
        PeerPlay(seed).run()


@pytest.mark.slow
def test_nothing_is_lost_between_gateways_in_hundreds_of_weathers() -> None:
    outcomes = [PeerPlay(seed).run() for seed in range(1_000, 1_000 + SEEDS_MANY)]
    assert sum(one.handled for one in outcomes) > 20 * SEEDS_MANY, "there was something to lose"
    assert sum(one.handed_back for one in outcomes) > 5 * SEEDS_MANY
    assert sum(one.relayed for one in outcomes) > 5 * SEEDS_MANY
    assert sum(one.cuts for one in outcomes) > SEEDS_MANY


def test_a_seed_plays_the_same_links_each_time() -> None:
    assert PeerPlay(5).run() == PeerPlay(5).run() != PeerPlay(6).run()


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES, ids=str)
def test_a_mistake_in_the_links_is_found(mistake: Mistake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mistake.part, mistake.method, mistake.wrong)
    with pytest.raises(BrokenLinks):
        _play_all()


def _play_all() -> None:
    for seed in range(1, 1 + SEEDS_FOR_A_MISTAKE):
        PeerPlay(seed).run()
