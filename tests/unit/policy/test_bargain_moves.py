"""What an event means in both protocols between two, before either looks at it."""

from __future__ import annotations

from typing import Any

import pytest

from policy.events import RefusalReceived
from policy.states import Phase
from tests.support import plays
from tests.support.bargains import CONCESSION, OFFERS, Bargain, both, leave, make_bargain, propose

either = pytest.mark.parametrize("protocol", [OFFERS, CONCESSION])


def opened(protocol: str, **options: Any) -> Bargain:
    game = Bargain(make_bargain(protocol, first="responder", **options))
    game.unclaimed = []
    return game


@either
@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (leave("bob"), ""),
        (RefusalReceived("agent://bob", "no", "too dear"), " (too dear)"),
        (plays.cancellation("bob", reason="no need"), " (no need)"),
        (plays.not_understood("bob"), " (not_understood)"),
    ],
    ids=lambda given: type(given).__name__,
)
def test_who_is_to_move_ends_in_its_own_words(protocol: str, event: Any, reason: str):
    game = opened(protocol)
    game.at(1, event).then("relay to alice", *both(f"no_award, end{reason}"))


@either
def test_the_initiator_takes_its_call_back_whoever_is_to_move(protocol: str):
    game = opened(protocol)
    game.at(1, plays.cancellation()).then("relay to bob", *both("cancelled, end (cancelled)"))


@either
def test_an_act_after_a_deadline_that_nobody_heard_finds_it_passed(protocol: str):
    game = opened(protocol, turn_within=2)
    game.at(3, propose("bob", 5)).then(*both("no_award, turn_timeout"), "refuse bob LATE")


@either
def test_a_timer_that_rings_too_early_and_an_act_that_comes_again_change_nothing(protocol: str):
    game = opened(protocol)
    game.at(1, plays.TIME_UP).then()
    game.at(2, plays.thinking("bob", 1.0)).then("relay to alice")
    before = game.state
    game.at(3, plays.thinking("bob", 1.0)).then()
    assert game.state == before


@either
def test_it_matters_only_of_who_is_to_move_that_it_is_gone(protocol: str):
    game = opened(protocol)
    game.at(1, plays.gone("carol")).then()
    game.at(2, plays.gone("bob")).then(*both("no_award, end (unreachable)"))
    assert game.state.phase is Phase.NO_AWARD
