"""Games that were recorded inside NegMAS, played by our protocol, and the table of all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from loadtest.interop import __main__ as program
from loadtest.interop.games import (
    STEPS,
    Game,
    Move,
    Result,
    Script,
    load,
    outcome_of,
    save,
    terms_of,
    through_the_protocol,
)
from loadtest.interop.live import Played
from loadtest.interop.table import agrees, rows_of, same

GAMES = load(Path(__file__).parent / "recorded" / "negmas_games.jsonl")
"""Each of eight strategies against each, as NegMAS 0.16.0 plays them."""


def test_every_pair_of_eight_strategies_is_recorded() -> None:
    pairs = {(game.one, game.two) for game in GAMES}
    assert len(pairs) == len(GAMES) == 64
    assert {game.result.ended_by for game in GAMES} == {"agreement", "rounds"}
    assert sum(game.result.agreement is not None for game in GAMES) == 57


@pytest.mark.parametrize("game", GAMES, ids=lambda game: f"{game.one}-{game.two}")
def test_a_game_ends_as_it_did_inside_negmas(game: Game) -> None:
    """N-3.6: the same agreement in the same turn, or no rounds left."""
    result = through_the_protocol(Script(game, True), Script(game, False))
    assert same(game, result)
    assert result.turns == len(game.moves)


def scripted(*moves: Move, ended_by: str) -> Game:
    agreed = moves[-1].outcome if ended_by == "agreement" else None
    return Game("one", "two", 0, moves, Result(agreed, ended_by, len(moves)))


OFFER = Move("offer", (3, "eu", 1))


def test_a_party_that_ends_it_ends_it_for_both() -> None:
    game = scripted(OFFER, Move("end"), ended_by="end")
    assert through_the_protocol(Script(game, True), Script(game, False)) == game.result


def test_a_script_hears_when_the_other_leaves_the_record() -> None:
    game = scripted(OFFER, Move("accept", OFFER.outcome), ended_by="agreement")
    other = scripted(Move("offer", (4, "eu", 1)), Move("end"), ended_by="end")
    with pytest.raises(AssertionError, match="the record has"):
        through_the_protocol(Script(other, True), Script(game, False))


def test_a_game_is_over_with_its_last_round() -> None:
    game = scripted(*[OFFER] * STEPS, ended_by="rounds")
    assert through_the_protocol(Script(game, True), Script(game, False)) == game.result


def test_values_keep_their_types_on_the_way() -> None:
    assert outcome_of(terms_of((3, "eu", 0))) == (3, "eu", 0)


def test_games_are_read_as_they_were_written(tmp_path: Path) -> None:
    games = [GAMES[0], scripted(OFFER, Move("end"), ended_by="end")]
    save(games, tmp_path / "games")
    assert load(tmp_path / "games") == games


def played(game: Game, called: Result | None = None, other_hash: str = "x") -> Played:
    agreed = "x" if game.result.agreement is not None else ""
    return Played(called or game.result, game.result, (agreed, agreed and other_hash))


def test_a_game_that_differs_is_counted_as_one_that_differs() -> None:
    game = scripted(OFFER, Move("accept", OFFER.outcome), ended_by="agreement")
    assert agrees(game, played(game))
    assert not agrees(game, played(game, Result((4, "eu", 1), "agreement", 2)))
    assert not agrees(game, played(game, Result(None, "rounds", 2)))
    assert not agrees(game, played(game, other_hash="y"))
    without = scripted(OFFER, Move("end"), ended_by="end")
    assert agrees(without, played(without))


def test_the_table_tells_how_many_are_the_same() -> None:
    games = [
        scripted(OFFER, Move("accept", OFFER.outcome), ended_by="agreement"),
        scripted(*[OFFER] * STEPS, ended_by="rounds"),
    ]
    wrong = Result((4, "eu", 1), "agreement", 2)
    rows = dict(rows_of(games, [True, True], [played(games[0], wrong), played(games[1])], 2.0))
    assert rows["games, inside NegMAS"] == "2: 1 agreements, 1 ran out of rounds"
    assert rows["same end over two gateways, for both agents"] == "1 of 2"
    assert rows["one"] == "1 of 2 the same; 1 agreements; 31 turns each"


def test_without_negmas_the_program_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "find_spec", lambda name: None)
    assert program.main([]) == 1
    assert "make negmas" in capsys.readouterr().err
    assert "negmas" not in sys.modules


def test_a_wrong_option_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.parse(["--seeds", "0"])
    assert "--seeds must be" in capsys.readouterr().err
