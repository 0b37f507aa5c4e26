"""NegMAS itself as the oracle; `make negmas` installs it and runs this.

The name of this file keeps it out of `make test`, where the recorded games stand for it.
"""

from __future__ import annotations

import asyncio
import warnings
from pathlib import Path

import pytest

from loadtest.clusters import cluster
from loadtest.interop.games import Game, Move, load, through_the_protocol
from loadtest.interop.live import over_gateways
from loadtest.interop.mirror import STRATEGIES, Mirror, in_process, utilities_of
from loadtest.interop.table import agrees, same

RECORDED = Path(__file__).parents[1] / "unit" / "loadtest" / "recorded" / "negmas_games.jsonl"
RANDOM = "TopFractionNegotiator"


def mirrors_of(game: Game) -> tuple[Mirror, Mirror]:
    return Mirror(game.one, game.seed, True), Mirror(game.two, game.seed, False)


@pytest.mark.parametrize("one", STRATEGIES)
@pytest.mark.parametrize("two", STRATEGIES)
def test_a_pair_agrees_here_as_it_does_inside_negmas(one: str, two: str) -> None:
    """NegMAS (i): and what was recorded is still what NegMAS does."""
    game = in_process(one, two, 0)
    assert game in load(RECORDED)
    players = mirrors_of(game)
    results = [through_the_protocol(*players), *(player.result() for player in players)]
    assert all(same(game, result) for result in results)


def test_pairs_agree_over_two_gateways(tmp_path: Path) -> None:
    """NegMAS (i): pairs over a live two-gateway cluster, agreement equal to in-process."""
    games = [in_process(one, STRATEGIES[0], 3) for one in STRATEGIES]

    async def play() -> None:
        await gateways.formed()
        played = await over_gateways(gateways, games, mirrors_of)
        assert all(agrees(game, one) for game, one in zip(games, played, strict=True))

    with cluster(tmp_path, 2, None) as gateways:
        asyncio.run(play())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("one", STRATEGIES)
def test_nobody_agrees_to_less_than_no_agreement_is_worth(one: str, seed: int) -> None:
    """NegMAS (ii): utilities ≥ reserved value for each side."""
    game = in_process(one, STRATEGIES[2], seed)
    agreed = through_the_protocol(*mirrors_of(game)).agreement
    for wants in utilities_of(seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert agreed is None or float(wants(agreed)) >= float(wants.reserved_value) - 1e-9


def test_when_the_rounds_run_out_both_mirrors_know_it() -> None:
    """NegMAS (iii): timeout: both mirrors `timedout`."""
    game = in_process("ToughNegotiator", "ToughNegotiator", 0)
    players = mirrors_of(game)
    assert through_the_protocol(*players).ended_by == "rounds"
    assert [player.result().ended_by for player in players] == ["rounds", "rounds"]


def test_an_end_breaks_the_mirror() -> None:
    """NegMAS (iv): END → broken."""
    mirror = Mirror(STRATEGIES[0], 0, begins=True)
    assert mirror.move().act == "offer"
    mirror.hear(Move("end"))
    assert mirror.result().ended_by == "end"


@pytest.mark.parametrize("begins", [True, False])
def test_a_strategy_answers_a_call_with_its_best_deal(begins: bool) -> None:
    """NegMAS (v): AspirationNegotiator answers a call with the best outcome for the time."""
    wants = utilities_of(4)[0 if begins else 1]
    asked = Mirror("AspirationNegotiator", 4, begins)
    if not begins:
        asked.hear(Move("offer", (10, "eu", 0)))
    move = asked.move()
    assert move.act == "offer" and move.outcome is not None
    best = max(float(wants(outcome)) for outcome in wants.outcome_space.enumerate())
    assert float(wants(move.outcome)) > best - 0.02


@pytest.mark.parametrize("seed", range(5))
def test_strategies_that_draw_agree_with_each_other_at_least(seed: int) -> None:
    """NegMAS (vi): random strategies: only that both sides agree on the same result."""
    one, two = Mirror(RANDOM, seed, True), Mirror("ConcederTBNegotiator", seed, False)
    result = through_the_protocol(one, two)
    ends = {(r.agreement, r.ended_by) for r in (result, one.result(), two.result())}
    assert len(ends) == 1
