"""Which messages of a round ask for something, and with which turn."""

from __future__ import annotations

from collections.abc import Callable

from policy.asking import with_turns
from policy.effects import Effect, Finish, Relay, Tell, Turn
from tests.support.plays import Play, accept, offer

Make = Callable[..., Play]


def _turns(effects: list[Effect]) -> list[Turn]:
    return [one.turn for one in effects if isinstance(one, Tell) and one.turn is not None]


def test_a_choice_and_a_confirmation_are_asked_for_and_nothing_else(play: Make) -> None:
    made = play(decider="initiator", agents="bob", policy={"confirm": True})
    made.at(1, offer("bob", 9)).told("show alice bob until 31")
    _, effects = made.history[-1]
    (turn,) = _turns(with_turns(effects, made.state, 1, 4, "call-2"))
    assert (turn.round, turn.rounds_left, turn.answer_by, turn.deadline) == (1, 4, 31, 61)
    assert (turn.own_last_msg_id, turn.offer_id, turn.offer_value) == ("call-2", "bob-offer", 9)
    made.at(2, accept("bob")).told("accept bob at 9")
    (turn,) = _turns(with_turns(made.history[-1][1], made.state, 2, 4, "yes"))
    assert (turn.answer_by, turn.deadline, turn.own_last_msg_id) == (12, 22, "bob-offer")
    assert turn.offer_id == ""


def test_of_offers_that_cannot_win_none_stands(play: Make) -> None:
    made = play(decider="initiator", agents="bob", reserve=5.0)
    made.at(1, offer("bob", 9)).told("show alice bob until 31")
    (turn,) = _turns(with_turns(made.history[-1][1], made.state, 1))
    assert turn.offer_id == ""
    assert turn.offer_value is None


def test_what_asks_for_nothing_stays_the_same_effect(play: Make) -> None:
    made = play(agents="bob").at(1, offer("bob", 9)).told("accept bob at 9")
    effects: list[Effect] = [*made.history[-1][1], Relay("agent://bob"), Finish({})]
    assert all(a is b for a, b in zip(with_turns(effects, made.state, 1), effects, strict=True))
