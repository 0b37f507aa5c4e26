"""States are values."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policy.contract_net import Phase
from tests.support.plays import TIME_UP, Play, offer

Make = Callable[..., Play]


def test_a_state_cannot_be_changed_and_says_where_it_stands(play: Make) -> None:
    made = play().at(1, offer("bob", 3)).told()
    with pytest.raises(AttributeError):
        made.state.due = 3.0  # type: ignore[misc]
    assert repr(made.state) == "<Negotiation g.0.n open: 1 offers, 1 of 3 answered, due at 10>"


def test_a_step_leaves_the_state_before_it_as_it_was(play: Make) -> None:
    made = play().at(1, offer("bob", 3)).told()
    before, words = made.state, repr(made.state)
    made.at(2, offer("carol", 4)).told().at(10, TIME_UP).told(
        "accept bob at 3", "reject carol: outbid"
    )
    assert repr(before) == words
    assert before.phase is Phase.OPEN


def test_what_awaits_nothing_is_final(play: Make) -> None:
    """An award whose work is reported on is not, until the report."""
    ended = play(agents="bob").at(1, offer("bob", 3)).told("accept bob at 3")
    assert ended.state.is_final
    awaited = play(agents="bob", report_within=5).at(1, offer("bob", 3)).told("accept bob at 3")
    assert not awaited.state.is_final
    awaited.at(6, TIME_UP).told("failure to alice: not_reported bob")
    assert awaited.state.is_final
