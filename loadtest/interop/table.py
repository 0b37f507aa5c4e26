"""Whether games agree with those inside NegMAS, and the rows that say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from loadtest.interop.games import Game, Result
from loadtest.interop.live import Played


def same(game: Game, result: Result) -> bool:
    """Tell whether a game ended as it did inside NegMAS, with the same agreement."""
    known = game.result
    return (known.agreement, known.ended_by) == (result.agreement, result.ended_by)


def agrees(game: Game, played: Played) -> bool:
    """Tell whether both agents heard what NegMAS says, and one hash of the terms."""
    mine, yours = played.terms_sha256
    hashed = mine == yours and bool(mine) is (game.result.agreement is not None)
    return hashed and same(game, played.called) and same(game, played.answered)


def rows_of(
    games: Sequence[Game], pure: Sequence[bool], live: Sequence[Played], seconds: float
) -> list[tuple[str, str]]:
    """Return the table: one row a way of playing, one a strategy."""
    agreed = [agrees(game, played) for game, played in zip(games, live, strict=True)]
    ends = Counter(game.result.ended_by for game in games)
    moves = sum(len(game.moves) for game in games)
    rows = [
        (
            "games, inside NegMAS",
            f"{len(games)}: {ends['agreement']} agreements, {ends['rounds']} ran out of rounds",
        ),
        ("same end through the protocol, in process", f"{sum(pure)} of {len(games)}"),
        ("same end over two gateways, for both agents", f"{sum(agreed)} of {len(games)}"),
        (
            "over the gateways",
            f"{moves:,} moves in {seconds:.0f} s, {moves / seconds:,.0f} a second with strategies",
        ),
    ]
    for name in dict.fromkeys(game.one for game in games):
        mine = [n for n, game in enumerate(games) if name in (game.one, game.two)]
        reached = sum(games[n].result.agreement is not None for n in mine)
        alike, turns = sum(agreed[n] for n in mine), _mean_turns(games, mine)
        figures = f"{alike} of {len(mine)} the same; {reached} agreements; {turns:.0f} turns each"
        rows.append((name.removesuffix("Negotiator"), figures))
    return rows


def _mean_turns(games: Sequence[Game], numbers: Sequence[int]) -> float:
    return sum(len(games[n].moves) for n in numbers) / len(numbers)
