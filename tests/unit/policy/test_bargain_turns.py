"""What a party is told with its turn, and how others are answered."""

from __future__ import annotations

from typing import Any

import pytest

from policy.alternating_offers import open_call
from policy.bargain_turns import HEARD, is_heard, turn_of, unheard
from policy.effects import Turn
from policy.events import CommitmentReceived, RevisedCallReceived
from policy.states import Phase
from tests.support import plays
from tests.support.bargains import CONCESSION, Bargain, make_bargain, propose

ALICE, BOB = "agent://alice", "agent://bob"


def test_a_party_is_told_its_turn_and_what_stands():
    game = Bargain(make_bargain(max_rounds=5, turn_within=3))
    game.unclaimed = []
    assert turn_of(game.state, ALICE) is None
    assert turn_of(game.state, BOB) == Turn(1, 4, 3, 10)
    game.at(1, propose("bob", 60))
    expected = Turn(2, 3, 4, 10, "call", "bob-60", BOB, 60)
    assert turn_of(game.state, ALICE) == expected
    game.unclaimed = []
    game.at(2, propose("alice", None, terms={"price": 1}))
    assert turn_of(game.state, BOB) == Turn(3, 2, 5, 10, "bob-60", "alice-terms", ALICE, None)


def test_in_monotonic_concession_the_deal_of_the_other_stands():
    game = Bargain(make_bargain(CONCESSION))
    game.unclaimed = []
    game.at(1, propose("alice", 2), propose("bob", 9))
    assert turn_of(game.state, ALICE) == Turn(2, 98, 10, 10, "alice-2", "bob-9", BOB, 9)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (plays.TIME_UP, None),
        (plays.gone("carol"), None),
        (plays.malformed("carol"), None),
        (plays.probe(1), None),
        (plays.settled(1), None),
        (plays.refusal("carol"), "NOT_A_PARTY"),
        (plays.confirmation("bob"), "WRONG_STATE"),
        (CommitmentReceived(BOB, "m", "0" * 64), "WRONG_STATE"),
        (RevisedCallReceived(ALICE, "m", 2, (BOB,), 9, 9), "WRONG_STATE"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_means_nothing_here_is_answered_if_anybody_waits(event: Any, code: str | None):
    state, _ = open_call(make_bargain(), 0.0)
    assert [effect.code for effect in unheard(state, event)] == ([code] if code else [])  # type: ignore[union-attr]


def test_strangers_and_probes_are_not_heard():
    state, _ = open_call(make_bargain(), 0.0)
    assert is_heard(propose("bob", 1), state)
    assert is_heard(plays.TIME_UP, state)
    assert not is_heard(propose("carol", 1), state)
    assert not is_heard(plays.offer("bob", 1, probe=True), state)
    assert not is_heard(plays.confirmation("bob"), state)


def test_the_legal_moves_name_every_phase_that_is_reached():
    assert set(HEARD) == {Phase.OPEN, Phase.COMMITTED, Phase.NO_AWARD, Phase.CANCELLED}
    assert [phase for phase, heard in HEARD.items() if heard] == [Phase.OPEN]
