"""Winners that confirm, or do not, awards that the store has written already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from policy.contract_net import Phase
from policy.stakes import Credit, Need, Stakes
from tests.support.plays import (
    TIME_UP,
    Play,
    confirmation,
    not_settled,
    offer,
    refusal,
    settled,
)

Make = Callable[..., Play]

GPU = Stakes((Need("gpu", 4, 60.0),), Credit("initiator"), within=5.0)
UNITS = Stakes((Need("gpu", 4, 60.0),), within=5.0)
WINNER_PAYS = Stakes((), Credit("winner", "vision"), within=5.0)


def _confirming(play: Make, agents: str = "bob carol", **fields: Any) -> Play:
    """Return a play in which bob's award is written, and he is asked to confirm it."""
    made = play(agents=agents, stakes=UNITS, policy={"confirm": True}, **fields)
    for number, name in enumerate(agents.split(), 3):
        made.at(1, offer(name, 10.0 * number))
        made.unclaimed = []
    return made.at(2, settled(1)).then("accept bob at 30").is_in(Phase.CONFIRMING, due=12)


def test_a_winner_confirms_an_award_that_is_written_already(play: Make) -> None:
    (
        _confirming(play)
        .at(3, confirmation("bob"))
        .then(
            "relay to alice",
            "reject carol: outbid",
            "outcome committed: awarded, bob at 30",
            "capture 1/1",
        )
    )


def test_what_a_silent_winner_holds_goes_back_before_the_next_is_asked_for(play: Make) -> None:
    (
        _confirming(play)
        .at(12, TIME_UP)
        .then("cancel bob: not_confirmed", "release 1/1: not_confirmed", "settle 2: carol 4 gpu")
        .at(13, settled(2, "2/1"))
        .then("accept carol at 40")
        .at(14, refusal("carol"))
        .then("relay to alice", "release 2/1: not_confirmed", "outcome no_award: not_confirmed")
    )


def _two(play: Make) -> Play:
    """Return a play in which bob is asked to confirm, and carol's award is being written."""
    made = play(agents="bob carol dave erin", stakes=UNITS, policy={"confirm": True}, max_awards=2)
    for name, value in (("bob", 30), ("carol", 40), ("dave", 50), ("erin", 60)):
        made.at(1, offer(name, value))
        made.unclaimed = []
    made.at(2, not_settled(1, "RESOURCE_GONE", "carol")).then(
        "reject carol: RESOURCE_GONE", "settle 2: bob 4 gpu, dave 4 gpu"
    )
    made.at(3, settled(2, "2/1", "2/2")).then("accept bob at 30", "accept dave at 50")
    return made.at(4, refusal("dave", "no")).then(
        "relay to alice", "release 2/2: not_confirmed", "settle 3: erin 4 gpu"
    )


def test_one_winner_confirms_while_the_award_of_another_is_written(play: Make) -> None:
    made = _two(play).is_in(Phase.SETTLING, due=9)
    made.at(5, confirmation("bob")).then("relay to alice").is_in(Phase.SETTLING)
    made.at(6, settled(3, "3/1")).then("accept erin at 60").is_in(Phase.CONFIRMING)
    made.at(7, confirmation("erin")).then(
        "relay to alice",
        "outcome committed: awarded, bob at 30, erin at 60",
        "capture 2/1 3/1",
    )


def test_an_award_that_stands_is_made_though_another_is_not_written(play: Make) -> None:
    made = _two(play).at(5, confirmation("bob")).then("relay to alice")
    made.at(9, TIME_UP).then(
        "release 3/1: not_settled",
        "reject erin: not_settled",
        "outcome committed: awarded, bob at 30",
        "capture 2/1",
    )


def test_an_award_that_stands_is_made_though_the_store_refuses_for_all(play: Make) -> None:
    made = _two(play).at(5, confirmation("bob")).then("relay to alice")
    made.at(6, not_settled(3, "STORE_UNAVAILABLE")).then(
        "reject erin: STORE_UNAVAILABLE", "outcome committed: awarded, bob at 30", "capture 2/1"
    )


def test_a_winner_lets_go_while_the_award_of_another_is_written(play: Make) -> None:
    """Its unit goes to the next best once the store has answered."""
    made = _two(play)
    made.at(5, refusal("bob", "no")).then("relay to alice", "release 2/1: not_confirmed")
    made.at(6, settled(3, "3/1")).then("accept erin at 60").is_in(Phase.CONFIRMING)
    made.at(7, confirmation("erin")).told("capture 3/1")


def test_a_confirmation_that_does_not_come_is_noticed_while_the_store_is_asked(play: Make) -> None:
    made = play(
        agents="bob carol dave",
        stakes=UNITS,
        policy={"confirm": True},
        max_awards=2,
        confirm_within=4,
    )
    for name, value in (("bob", 30), ("carol", 40), ("dave", 50)):
        made.at(1, offer(name, value))
        made.unclaimed = []
    made.at(2, settled(1, "1/1", "1/2")).then("accept bob at 30", "accept carol at 40")
    made.at(3, refusal("carol", "no"))
    made.then("relay to alice", "release 1/2: not_confirmed", "settle 2: dave 4 gpu")
    made.is_in(Phase.SETTLING, due=6)
    made.at(6, TIME_UP).then("cancel bob: not_confirmed", "release 1/1: not_confirmed")
    made.is_in(Phase.SETTLING, due=8)
    made.at(8, TIME_UP).told("release 2/1: not_settled", "reject dave: not_settled")
    assert made.outcome["reason"] == "not_settled"


def test_both_deadlines_may_pass_at_once(play: Make) -> None:
    made = play(
        agents="bob carol dave erin",
        stakes=UNITS,
        policy={"confirm": True},
        max_awards=2,
        confirm_within=6,
    )
    for name, value in (("bob", 30), ("carol", 40), ("dave", 50), ("erin", 60)):
        made.at(1, offer(name, value))
        made.unclaimed = []
    made.at(2, settled(1, "1/1", "1/2")).then("accept bob at 30", "accept carol at 40")
    made.at(3, refusal("carol", "no"))
    made.then("relay to alice", "release 1/2: not_confirmed", "settle 2: dave 4 gpu")
    made.at(8, TIME_UP).then(
        "cancel bob: not_confirmed",
        "release 2/1: not_settled",
        "reject dave: not_settled",
        "release 1/1: not_confirmed",
        "settle 3: erin 4 gpu",
    )
    made.at(9, settled(3, "3/1")).then("accept erin at 60")
    made.at(9, confirmation("erin")).told("capture 3/1")
