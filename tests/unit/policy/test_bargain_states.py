"""What an operator is shown of a bargain."""

from __future__ import annotations

from tests.support.bargains import CONCESSION, Bargain, make_bargain, propose, take

ALICE, BOB = "agent://alice", "agent://bob"


def test_the_view_tells_who_is_to_move_and_what_stands():
    game = Bargain(make_bargain())
    game.unclaimed = []
    view = game.state.view()
    assert (view.offers, view.answered, view.round, view.closed_by) == (0, 0, 1, "")
    assert view.parties == {ALICE: "waits", BOB: "to_move"}
    game.at(1, propose("bob", 60))
    view = game.state.view()
    assert (view.offers, view.answered, view.round, view.values) == (1, 1, 2, {BOB: 60})
    assert view.parties == {ALICE: "to_move", BOB: "waits"}


def test_the_view_tells_how_it_ended():
    game = Bargain(make_bargain())
    game.unclaimed = []
    game.at(1, propose("bob", None, terms={"price": 1}))
    game.unclaimed = []
    game.at(1, take("alice", "bob-terms"))
    view = game.state.view()
    assert (view.closed_by, view.reason, view.values) == ("agreement", "agreement", {})
    assert view.parties == {ALICE: "won", BOB: "won"}


def test_the_view_shows_nothing_that_is_sealed():
    game = Bargain(make_bargain(CONCESSION))
    game.unclaimed = []
    game.at(1, propose("alice", 2))
    assert game.state.view().values == {}
    game.at(12, propose("bob", 3))
    view = game.state.view()
    assert view.parties == {ALICE: "lost", BOB: "lost"}
    assert view.closed_by == "deadline"


def test_a_bargain_tells_its_state_in_words():
    game = Bargain(make_bargain())
    game.unclaimed = []
    assert repr(game.state) == (
        "<Bargain g.0.n open: round 1 of 100, agent://bob to move, due at 10>"
    )
    game.at(12, propose("bob", 3))
    assert repr(game.state).endswith("no_award: round 1 of 100, nobody to move, due at 42>")
