"""NegMAS's side: what two parties want, a mirror of its engine for each, and the engine itself.

A mirror is a mechanism in which this party is a real strategy and the other one a dummy that is
never asked: what the other does is executed as an action when it is heard. Both mirrors have the
same ids, the same number of steps and one offer a step, so that time passes alike in both; calls
are synchronous, so that nothing runs in threads.
"""

from __future__ import annotations

import random
import warnings
from typing import Any

from loadtest.interop.games import STEPS, Game, Move, Outcome, Result

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of libraries that it imports and we do not use
    from negmas.outcomes import make_issue, make_os
    from negmas.preferences import LinearAdditiveUtilityFunction
    from negmas.preferences.value_fun import TableFun
    from negmas.sao import ResponseType, SAOMechanism, SAOResponse, negotiators

STRATEGIES = (
    "AspirationNegotiator",
    "BoulwareTBNegotiator",
    "ConcederTBNegotiator",
    "LinearTBNegotiator",
    "NaiveTitForTatNegotiator",
    "FirstOfferOrientedTBNegotiator",
    "CABNegotiator",
    "ToughNegotiator",
)
"""Strategies of NegMAS that draw nothing: two games of the same seed are the same game."""

ONE, TWO = "one", "two"
PRICES = 11
REGIONS = ("ap", "eu", "us")
GPUS = 4


class Mirror:
    """One party: a real strategy, and what it knows of the other by hearing."""

    def __init__(self, strategy: str, seed: int, begins: bool, steps: int = STEPS) -> None:
        """Play `strategy`; the seed draws what both parties want."""
        self._own, self._other = (ONE, TWO) if begins else (TWO, ONE)
        self._mechanism = _mechanism(steps)
        for name in (ONE, TWO):
            if name == self._own:
                _join(self._mechanism, name, strategy, seed)
            else:
                self._mechanism.add(negotiators.ControlledSAONegotiator(id=name, name=name))

    def move(self) -> Move:
        """Let the strategy move, and return what it did."""
        standing = self._mechanism.state.current_offer
        return _done(_stepped(self._mechanism), standing)

    def hear(self, move: Move) -> None:
        """Let the dummy do what the other party did."""
        response = {
            "offer": ResponseType.REJECT_OFFER,
            "accept": ResponseType.ACCEPT_OFFER,
            "end": ResponseType.END_NEGOTIATION,
        }[move.act]
        outcome = None if move.act == "end" else move.outcome
        _stepped(self._mechanism, {self._other: SAOResponse(response, outcome)})

    def result(self) -> Result:
        """Return how the game ended for this party, once it is over."""
        return _result(self._mechanism)


def in_process(one: str, two: str, seed: int, steps: int = STEPS) -> Game:
    """Play a game inside NegMAS, both parties in one engine."""
    mechanism = _mechanism(steps)
    for name, strategy in ((ONE, one), (TWO, two)):
        _join(mechanism, name, strategy, seed)
    moves: list[Move] = []
    while not mechanism.state.ended and len(moves) < steps:
        standing = mechanism.state.current_offer
        moves.append(_done(_stepped(mechanism), standing))
    return Game(one, two, seed, tuple(moves), _result(mechanism))


def utilities_of(seed: int) -> tuple[Any, Any]:
    """Return what two parties want, drawn by the seed: prices are opposed, the rest is not.

    Each is worth 0 to 1, and no agreement up to 0.45.
    """
    chance = random.Random(seed)
    space = _space()
    return _utility(chance, space, True), _utility(chance, space, False)


def _utility(chance: random.Random, space: Any, wants_high: bool) -> Any:
    price = {n: (n if wants_high else PRICES - 1 - n) / (PRICES - 1) for n in range(PRICES)}
    region = {name: round(chance.random(), 3) for name in REGIONS}
    gpus = {n: round(chance.random(), 3) for n in range(GPUS)}
    weights = [chance.uniform(1, 3) for _ in range(3)]
    return LinearAdditiveUtilityFunction(
        values=[TableFun(price), TableFun(region), TableFun(gpus)],
        weights=[weight / sum(weights) for weight in weights],
        outcome_space=space,
        reserved_value=round(chance.uniform(0, 0.45), 3),
    )


def _space() -> Any:
    return make_os(
        [
            make_issue(PRICES, "price"),
            make_issue(list(REGIONS), "region"),
            make_issue(GPUS, "gpus"),
        ]
    )


def _mechanism(steps: int) -> Any:
    return SAOMechanism(
        outcome_space=_space(), n_steps=steps, one_offer_per_step=True, sync_calls=True
    )


def _join(mechanism: Any, name: str, strategy: str, seed: int) -> None:
    wants = utilities_of(seed)[0 if name == ONE else 1]
    mechanism.add(getattr(negotiators, strategy)(id=name, name=name), preferences=wants)


def _stepped(mechanism: Any, action: dict[str, Any] | None = None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers in utilities that are equal
        return mechanism.step(action) if action else mechanism.step()


def _done(state: Any, standing: Outcome | None) -> Move:
    """Return what was done in the step that led to a state."""
    if state.agreement is not None:
        return Move("accept", standing)
    if state.broken:
        return Move("end")
    return Move("offer", tuple(state.current_offer))


def _result(mechanism: Any) -> Result:
    """Return how a game ended; one whose steps are over learns it by the next."""
    turns = mechanism.state.step
    if not mechanism.state.ended:
        _stepped(mechanism)
    state = mechanism.state
    assert state.ended, "a game is over after its last step"
    if state.agreement is not None:
        return Result(tuple(state.agreement), "agreement", turns)
    return Result(None, "end" if state.broken else "rounds", turns)
