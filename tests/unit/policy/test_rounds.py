"""A state around a round of a contract net tells what the round tells."""

from __future__ import annotations

from collections.abc import Callable

from policy.rounds import TIME_UP, Around
from policy.states import Phase
from tests.support.plays import Play, offer

Make = Callable[..., Play]


def test_a_state_around_a_round_is_as_open_as_the_round(play: Make) -> None:
    made = play(agents="bob carol").at(1, offer("bob", 9)).told()
    around = Around(made.state)
    assert around.terms is made.state.terms
    assert (around.phase, around.due, around.is_final) == (Phase.OPEN, 10, False)


def test_an_act_finds_time_passed_once_it_comes_after_it(play: Make) -> None:
    """At the very instant it still counts, and a timer needs no other before it."""
    made = play(agents="bob")
    around, late = Around(made.state), offer("bob", 9)
    assert not around.is_overdue(late, 10)
    assert around.is_overdue(late, 10.5)
    assert not around.is_overdue(TIME_UP, 10.5)
    made.at(10, TIME_UP).told()
    assert not Around(made.state).is_overdue(late, 1_000)
