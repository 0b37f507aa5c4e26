"""Games of strategies that nobody here wrote, over a cluster of two gateways.

The moves were recorded inside NegMAS; here each agent says what its strategy said there, and
hears what the other's did, or the test fails. `make negmas` plays with the strategies themselves.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.clusters import cluster
from loadtest.interop.games import load
from loadtest.interop.live import over_gateways, scripts_of
from loadtest.interop.table import agrees

RECORDED = Path(__file__).parents[1] / "unit" / "loadtest" / "recorded" / "negmas_games.jsonl"
PAIRS = {
    ("AspirationNegotiator", "BoulwareTBNegotiator"),
    ("ConcederTBNegotiator", "LinearTBNegotiator"),
    ("NaiveTitForTatNegotiator", "AspirationNegotiator"),
    ("CABNegotiator", "FirstOfferOrientedTBNegotiator"),
    ("ToughNegotiator", "ToughNegotiator"),
    ("LinearTBNegotiator", "NaiveTitForTatNegotiator"),
}


@pytest.mark.slow
async def test_games_end_over_two_gateways_as_they_did_inside_negmas(tmp_path: Path) -> None:
    """N-3.5: and both agents hear one hash of the terms."""
    games = [game for game in load(RECORDED) if (game.one, game.two) in PAIRS]
    assert len(games) == len(PAIRS)
    with cluster(tmp_path, 2, None) as gateways:
        await gateways.formed()
        played = await over_gateways(gateways, games, scripts_of)
    assert [agrees(game, one) for game, one in zip(games, played, strict=True)] == [True] * 6
    assert {one.called.ended_by for one in played} == {"agreement", "rounds"}
