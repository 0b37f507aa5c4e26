"""What a revised call may say, and what becomes of the round before it (N-2.3, N-2.4)."""

from __future__ import annotations

import pytest

from policy.effects import Relay, Settle, Tell
from policy.events import AcceptReceived, Event
from policy.issues import issues_of
from policy.iterated_contract_net import FIXED
from policy.stakes import Need, Stakes
from policy.states import Phase
from tests.support.iterations import Make, closed, iterated, second
from tests.support.plays import (
    offer,
    refusal,
    revision,
    settled,
    thinking,
)


def test_rounds_follow_one_after_the_other_under_one_id(play: Make) -> None:
    """N-2.3: the same conversation, the round strictly one more; the gateway counts if left out."""
    made = closed(play)
    for round_ in (1, 3):
        made.at(2, revision("dave", round_)).then("refuse alice WRONG_STATE")
    (
        made.at(2, revision("dave carol", 2))
        .told("reject bob: not_invited")
        .at(3, offer("dave", 6, "old", fields={"value": 6, "round": 1}))
        .then("refuse dave WRONG_STATE")
        .at(3, offer("dave", 6, "dave-2", fields={"value": 6, "round": 2}))
        .told()
        .at(3, refusal("carol"))
        .told("show alice dave until 33")
        .at(4, revision("dave", msg_id="third"))
        .told()
        .is_in(Phase.OPEN, 100)
    )
    assert made.state.terms.round == 3
    assert made.state.terms.call.negotiation_id == made.call.negotiation_id
    assert made.state.terms.call.msg_id == made.call.msg_id


@pytest.mark.parametrize(
    ("direction", "reserve", "fields", "fair"),
    [
        ("procure", 9.0, {"reserve": 8}, True),
        ("procure", 9.0, {"reserve": 9}, True),
        ("procure", 9.0, {"reserve": 9.5}, False),
        ("procure", None, {"reserve": 9}, True),
        ("procure", 9.0, {}, True),
        ("allocate", 7.0, {"reserve": 8}, True),
        ("allocate", 7.0, {"reserve": 6}, False),
        ("procure", 9.0, {"reserve": None}, True),
        ("procure", None, {"issues": [{"name": "price", "type": "number", "min": 1, "max": 9}]}, 1),
        (
            "procure",
            None,
            {"issues": [{"name": "price", "type": "number", "min": 1, "max": 99}]},
            0,
        ),
        ("procure", None, {"issues": [{"name": "other", "type": "number", "min": 1, "max": 9}]}, 0),
    ],
)
def test_a_monotone_call_asks_for_no_less_in_each_round(
    play: Make, direction: str, reserve: float | None, fields: dict[str, object], fair: bool
) -> None:
    """N-2.4: the reserve is no laxer, the issues are no wider; without the promise both may be."""
    issues = issues_of([{"name": "price", "type": "number", "min": 0, "max": 10}])
    for monotone in (True, False):
        options = {"rounds_max": 2, "monotone": monotone}
        made = iterated(play, direction=direction, reserve=reserve, options=options, issues=issues)
        made.at(1, offer("bob", 8, fields={"terms": {"price": 8}})).told()
        made.at(1, refusal("carol")).told().at(1, refusal("dave")).told("show alice bob until 31")
        made.at(2, revision("bob", 2, **fields))
        made.then("relay to bob" if fair or not monotone else "refuse alice OPTIONS_INVALID")


def test_a_revision_holds_in_its_round(play: Make) -> None:
    """Reserve and issues are those of the new call, what it leaves out those of the one before."""
    wide = [{"name": "price", "type": "number", "min": 0, "max": 10}]
    narrow = [{"name": "price", "type": "number", "min": 0, "max": 5}]
    made = closed(play, issues=issues_of(wide), reserve=9.0)
    made.at(2, revision("dave", 2, issues=narrow)).told(
        "reject carol: not_invited", "reject bob: not_invited"
    )
    assert made.state.terms.call.reserve == 9.0
    (
        made.at(3, offer("dave", 6, "dave-2", fields={"terms": {"price": 6}}))
        .then("refuse dave TERMS_INVALID")
        .at(3, offer("dave", 5, "dave-3", fields={"terms": {"price": 5}}))
        .told("show alice dave until 33")
    )


@pytest.mark.parametrize("name", FIXED)
def test_what_holds_for_all_rounds_is_not_revised(play: Make, name: str) -> None:
    closed(play).at(2, revision("dave", 2, **{name: "x"})).then("refuse alice OPTIONS_INVALID")


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (revision("dave", by="bob"), "NOT_A_PARTY"),
        (revision("dave", by="mallory"), "NOT_A_PARTY"),
        (revision("dave", closes_at=2.0), "DEADLINE_INVALID"),
        (revision("dave", issues=[{"name": "x", "type": "enum"}]), "OPTIONS_INVALID"),
    ],
)
def test_a_revised_call_that_cannot_be_opened_changes_nothing(
    play: Make, event: Event, code: str
) -> None:
    made = closed(play)
    before = made.state
    name = event.sender.removeprefix("agent://")
    made.at(2, event).then(f"refuse {name} {code}")
    assert made.history[-1][0] is before


def test_a_window_bounds_every_round(play: Make) -> None:
    """The profile's window is counted from each call; the deadline is the new call's."""
    made = closed(play, policy={"window": 4.0})
    made.at(2, revision("dave", 2, closes_at=50.0, deadline=50.0))
    made.told("reject carol: not_invited", "reject bob: not_invited").is_in(Phase.OPEN, 6)
    made.at(3, thinking("dave", 30)).then("relay to alice").is_in(Phase.OPEN, 33)


def test_an_offer_that_is_called_again_holds_nothing_any_more(play: Make) -> None:
    """And what a later round asks the store for has a number of its own."""
    stakes = Stakes((Need("gpu", 4, 60.0),), within=5.0)
    made = iterated(play, agents="bob carol", stakes=stakes)
    made.at(1, offer("bob", 9, hold=True)).then("hold bob 4 gpu", "relay to alice")
    made.at(1, offer("carol", 8)).told("show alice carol bob until 31")
    made.at(2, revision("bob", 2)).then(
        "reject carol: not_invited", "release hold-1/bob: revised", "relay to bob"
    )
    made.at(3, offer("bob", 7, "bob-2", hold=True)).then(
        "hold bob 4 gpu", "relay to alice", "show alice bob until 33"
    )
    made.at(4, AcceptReceived("agent://alice", "yes", "bob-2"))
    (settle,) = made.unclaimed
    assert isinstance(settle, Settle)
    assert settle.number > 1
    assert settle.stakes[0].instead_of.endswith("hold-2/bob")
    made.unclaimed = []
    made.at(5, settled(settle.number, f"{settle.number}/1"))
    assert made.state.phase is Phase.COMMITTED
    made.unclaimed = []
    made.at(6, settled(1, "1/1")).then("release 1/1: late")


def test_everybody_is_told_how_many_rounds_are_left(play: Make) -> None:
    """The turn of a call names the offer that it answers, that of a choice the best one."""
    made = second(play, policy={"confirm": True})
    turns = [effect.turn for effect in made.history[0][1] if isinstance(effect, Relay)]
    assert {(turn.round, turn.rounds_left, turn.answer_by) for turn in turns if turn} == {
        (1, 2, 10)
    }
    revised = {e.recipient: e.turn for e in made.history[-1][1] if isinstance(e, Relay)}
    for name in ("carol", "dave"):
        turn = revised[f"agent://{name}"]
        assert turn is not None
        assert (turn.round, turn.rounds_left, turn.answer_by) == (2, 1, 100)
        assert turn.own_last_msg_id == f"{name}-offer"
    made.at(3, offer("carol", 6, "carol-2")).told().at(3, offer("dave", 5, "dave-2"))
    made.told("show alice dave carol until 33")
    asked = [effect.turn for effect in made.history[-1][1] if isinstance(effect, Tell)]
    assert asked[0] is not None
    assert (asked[0].offer_id, asked[0].offer_sender, asked[0].offer_value) == (
        "dave-2",
        "agent://dave",
        5,
    )
    assert (asked[0].rounds_left, asked[0].answer_by, asked[0].deadline) == (1, 33, 63)
    assert asked[0].own_last_msg_id == "call-carol-dave"
