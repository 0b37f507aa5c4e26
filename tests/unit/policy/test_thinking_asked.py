"""Who is asked to decide, or to confirm, may think for as long again, and no longer."""

from __future__ import annotations

from collections.abc import Callable

from policy.contract_net import Phase
from tests.support.plays import (
    TIME_UP,
    Play,
    accept,
    confirmation,
    offer,
    refusal,
    thinking,
)

Make = Callable[..., Play]


def _asked(play: Make) -> Play:
    """Return a play in which alice, who decides within 30 s, was asked at 2."""
    return (
        play(decider="initiator", agents="bob carol")
        .at(1, offer("bob", 30))
        .then("relay to alice")
        .at(2, refusal("carol"))
        .then("relay to alice", "show alice bob until 32")
    )


def test_an_initiator_that_decides_may_think_twice_as_long_as_the_call_says(play: Make) -> None:
    """Those that offered are bound meanwhile, and could read so much in the call."""
    (
        _asked(play)
        .at(3, thinking("alice", 10))
        .then()
        .is_in(Phase.CLOSED, due=32)
        .at(30, thinking("alice", 10, "more"))
        .then()
        .is_in(Phase.CLOSED, due=40)
        .at(39, thinking("alice", 3600, "all"))
        .then()
        .is_in(Phase.CLOSED, due=62)
        .at(40, thinking("bob"))
        .then("refuse bob ALREADY_ANSWERED")
        .at(61, accept("bob"))
        .told("accept bob at 30")
    )
    _asked(play).at(30, thinking("alice", 3600)).then().at(62, TIME_UP).then(
        "reject bob: not_decided", "outcome no_award: not_decided"
    )


def test_an_initiator_that_is_asked_again_has_all_its_time_again(play: Make) -> None:
    """A winner has let it down, which is not its fault."""
    (
        play(decider="initiator", agents="bob carol", policy={"confirm": True})
        .at(1, offer("bob", 30))
        .then("relay to alice")
        .at(2, offer("carol", 40))
        .then("relay to alice", "show alice bob carol until 32")
        .at(30, thinking("alice", 3600))
        .then()
        .at(50, accept("bob"))
        .then("accept bob at 30")
        .at(51, refusal("bob", "no"))
        .then("relay to alice", "show alice bob carol until 81")
        .at(52, thinking("alice", 3600, "again"))
        .then()
        .is_in(Phase.CLOSED, due=111)
        .at(111, TIME_UP)
        .told("reject carol: not_decided")
    )


def test_a_winner_that_is_asked_to_confirm_may_think_twice_as_long(play: Make) -> None:
    (
        play(agents="bob carol dave", policy={"confirm": True}, max_awards=2)
        .at(1, offer("bob", 30))
        .then("relay to alice")
        .at(1, offer("carol", 40))
        .then("relay to alice")
        .at(2, offer("dave", 50))
        .then("relay to alice", "accept bob at 30", "accept carol at 40")
        .is_in(Phase.CONFIRMING, due=12)
        .at(5, thinking("bob", 3600))
        .then("relay to alice")
        .is_in(Phase.CONFIRMING, due=12)
        .at(6, thinking("dave"))
        .then("refuse dave ALREADY_ANSWERED")
        .at(6, thinking("alice"))
        .then("refuse alice WRONG_STATE")
        .at(12, confirmation("carol"))
        .then("relay to alice")
        .is_in(Phase.CONFIRMING, due=22)
        .at(13, thinking("carol"))
        .then("refuse carol ALREADY_ANSWERED")
        .at(22, TIME_UP)
        .then("cancel bob: not_confirmed", "accept dave at 50")
        .at(23, thinking("bob", msg_id="late"))
        .then("refuse bob LATE")
        .at(24, thinking("dave", 1, "short"))
        .then("relay to alice")
        .is_in(Phase.CONFIRMING, due=32)
        .at(25, confirmation("dave"))
        .told()
    )
