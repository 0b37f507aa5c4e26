"""States are values."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policy.contract_net import Phase
from policy.events import Event
from policy.protocols import PROTOCOLS
from policy.states import net_of
from tests.support.plays import (
    TIME_UP,
    Play,
    accept,
    cancellation,
    confirmation,
    gone,
    make_call,
    offer,
    refusal,
    thinking,
)

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


def shown(play: Play) -> dict[str, str]:
    """Return the word for each party, by its name."""
    return {agent[8:]: word for agent, word in play.state.view().parties.items()}


def happens(play: Play, now: float, *events: Event) -> None:
    """Let events happen, whatever they lead to."""
    for event in events:
        play.at(now, event)
        play.unclaimed = []


def test_an_operator_sees_where_every_party_of_an_open_round_stands(play: Make) -> None:
    made = play(agents="bob carol dave erin frank", profile="high")
    happens(made, 1, offer("bob", 3), refusal("carol"), thinking("dave"), gone("erin"))
    assert shown(made) == {
        "bob": "offered",
        "carol": "declined",
        "dave": "thinking",
        "erin": "gone",
        "frank": "called",
    }
    view = made.state.view()
    assert (view.offers, view.answered, view.values) == (1, 2, {}), "offers may be sealed"
    assert (view.closed_by, view.reason, view.round) == ("", "", 1)


def test_an_operator_sees_how_a_round_ended_and_at_which_values(play: Make) -> None:
    made = play(policy={"late": "record"})
    happens(made, 1, offer("bob", 3), offer("carol", 4))
    happens(made, 10, TIME_UP)
    happens(made, 11, offer("dave", 1))
    assert shown(made) == {"bob": "won", "carol": "lost", "dave": "late"}
    view = made.state.view()
    assert (view.offers, view.closed_by, view.reason) == (2, "deadline", "awarded")
    assert view.values["agent://bob"] == 3


def test_an_operator_sees_who_is_asked_and_who_has_withdrawn(play: Make) -> None:
    made = play(policy={"confirm": True}, decider="initiator", agents="bob carol dave")
    happens(made, 1, offer("bob", 3), offer("carol", 4, revocable=True), cancellation("carol"))
    happens(made, 10, TIME_UP)
    assert made.state.view().values == {"agent://bob": 3}
    happens(made, 11, accept("bob"))
    assert shown(made) == {"bob": "confirming", "carol": "withdrawn", "dave": "called"}
    happens(made, 12, confirmation("bob"))
    assert shown(made)["bob"] == "won"


def test_a_contract_net_is_found_in_what_is_built_around_it() -> None:
    made = PROTOCOLS["contract-net"].open_call(make_call(), 0.0)[0]
    assert net_of(made) is made
    rounds = PROTOCOLS["iterated-contract-net"]
    around, _ = rounds.open_call(make_call(decider="initiator", protocol=rounds.name), 0.0)
    net = net_of(around)
    assert net is not None and net is not around and net.terms.call.protocol == rounds.name
    bargain = PROTOCOLS["alternating-offers"]
    alone, _ = bargain.open_call(make_call(agents="bob", protocol=bargain.name), 0.0)
    assert net_of(alone) is None
