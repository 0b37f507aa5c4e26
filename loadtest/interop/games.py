"""Games of alternating offers: their moves, their ends, and how our protocol plays them.

A game is what two players do in turn, the first begins. An outcome is a tuple, one value for each
of `ISSUES`; on the wire it is an object of terms. A player says what it does and hears what the
other does; it is a mirror of NegMAS's engine, or the script of a game that was recorded there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from policy.acceptance import PROFILES
from policy.alternating_offers import open_call, step
from policy.call import Call
from policy.effects import Finish, Refuse
from policy.events import AcceptReceived, CounterReceived, Event, RefusalReceived

ISSUES = ("price", "region", "gpus")
STEPS = 60
"""How many turns a game has, in NegMAS and here."""
INITIATOR, RESPONDER = "agent://one", "agent://two"

Outcome = tuple[int | str, ...]
Terms = Mapping[str, int | str]


@dataclass(frozen=True, slots=True)
class Move:
    """What a player does in its turn."""

    act: Literal["offer", "accept", "end"]
    outcome: Outcome | None = None
    """What it offers, or what it accepts."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a game ended."""

    agreement: Outcome | None
    ended_by: str
    """ "agreement", "end" or "rounds"."""
    turns: int


@dataclass(frozen=True, slots=True)
class Game:
    """A game as it was played inside NegMAS."""

    one: str
    """The strategy that begins."""
    two: str
    seed: int
    """Draws what both want."""
    moves: tuple[Move, ...]
    result: Result


class Player(Protocol):
    """One party of a game."""

    def move(self) -> Move:
        """Return what it does in its turn."""

    def hear(self, move: Move) -> None:
        """Learn what the other has done."""


class Script:
    """Does what one party of a recorded game did; raises AssertionError when the other does not."""

    def __init__(self, game: Game, begins: bool) -> None:
        """Play the party that begins, or the other one."""
        self._moves = iter(game.moves[0 if begins else 1 :: 2])
        self._others = iter(game.moves[1 if begins else 0 :: 2])

    def move(self) -> Move:
        """Return the next move of the record."""
        return next(self._moves)

    def hear(self, move: Move) -> None:
        """Compare with the record."""
        expected = next(self._others)
        assert move == expected, f"{move}, and the record has {expected}"


def terms_of(outcome: Iterable[int | str]) -> Terms:
    """Return an outcome as the terms of a message."""
    return dict(zip(ISSUES, outcome, strict=True))


def outcome_of(terms: Mapping[str, Any]) -> Outcome:
    """Return the outcome that terms name; values keep their types."""
    return tuple(terms[name] for name in ISSUES)


def rules(steps: int = STEPS) -> dict[str, object]:
    """Return the rules of a game as a call says them."""
    return {"max_rounds": steps, "first": "initiator"}


def through_the_protocol(one: Player, two: Player, steps: int = STEPS) -> Result:
    """Let two players bargain through the pure step function; `one` begins."""
    call = Call(
        negotiation_id="interop.0.game",
        initiator=INITIATOR,
        msg_id="call",
        eligible=(RESPONDER,),
        acceptance=PROFILES["flow/high"],
        closes_at=1.0,
        opened_at=0.0,
        protocol="alternating-offers",
        options=rules(steps),
    )
    state, _ = open_call(call, 0.0)
    players = {INITIATOR: one, RESPONDER: two}
    for turn in range(1, steps + 1):
        (agent,) = state.to_move
        move = players[agent].move()
        standing = "" if state.standing is None else state.standing.offer_id
        state, effects = step(state, _event(agent, f"m{turn}", move, standing), 0.0)
        assert not any(isinstance(effect, Refuse) for effect in effects), effects
        players[call.initiator if agent == RESPONDER else RESPONDER].hear(move)
        outcome = next((effect.outcome for effect in effects if isinstance(effect, Finish)), None)
        if outcome is not None:
            return result_of(outcome, turn)
    raise AssertionError("the last round ends a game")


def _event(agent: str, msg_id: str, move: Move, standing: str) -> Event:
    if move.act == "accept":
        return AcceptReceived(agent, msg_id, standing)
    if move.act == "end" or move.outcome is None:
        return RefusalReceived(agent, msg_id)
    return CounterReceived(agent, msg_id, terms_of(move.outcome), offer_id=standing)


def result_of(outcome: Mapping[str, Any], turns: int) -> Result:
    """Return the result that an outcome of ours tells."""
    agreement = outcome.get("agreement")
    agreed = None if agreement is None else outcome_of(agreement["terms"])
    return Result(agreed, outcome["ended_by"], turns)


def save(games: Sequence[Game], path: Path) -> None:
    """Write games down, one a line."""
    path.write_text("".join(json.dumps(_plain(game)) + "\n" for game in games), "utf-8")


def _plain(game: Game) -> dict[str, Any]:
    said = asdict(game)
    said["moves"] = [[move.act, *(move.outcome or ())] for move in game.moves]
    return said


def load(path: Path) -> list[Game]:
    """Read games that were written down."""
    return [_game(json.loads(line)) for line in path.read_text("utf-8").splitlines()]


def _game(said: dict[str, Any]) -> Game:
    moves = tuple(Move(act, tuple(outcome) or None) for act, *outcome in said["moves"])
    ended = said["result"]
    agreement = None if ended["agreement"] is None else tuple(ended["agreement"])
    result = Result(agreement, ended["ended_by"], ended["turns"])
    return Game(said["one"], said["two"], said["seed"], moves, result)
