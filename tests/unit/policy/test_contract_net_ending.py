"""How a contract net ends: cancellations, reports, and acts that come in the wrong state."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policy.contract_net import HEARD, Phase
from policy.effects import Finish
from policy.events import DeadlinePassed, Event
from tests.support.plays import (
    TIME_UP,
    Play,
    accept,
    cancellation,
    confirmation,
    counter,
    gone,
    not_understood,
    offer,
    refusal,
    reject,
    report,
)

Make = Callable[..., Play]
AGENT = "agent://"


def _won(play: Make, **fields: object) -> Play:
    """Return a play in which bob has won against carol; dave refused."""
    return (
        play(**fields)
        .at(1, offer("bob", 30))
        .then("relay to alice")
        .at(2, offer("carol", 40))
        .then("relay to alice")
        .at(3, refusal("dave"))
        .then(
            "relay to alice",
            "accept bob at 30",
            "reject carol: outbid",
            "outcome committed: awarded, bob at 30",
        )
    )


def test_a_cancelled_negotiation_hears_from_everybody_who_was_at_work(play: Make) -> None:
    """N-1.9: each live participant owes inform or failure; no accept is sent any more."""
    (
        play(agents="bob carol dave erin frank")
        .at(1, offer("bob", 30))
        .then("relay to alice")
        .at(1, refusal("carol"))
        .then("relay to alice")
        .at(1, gone("dave"))
        .then()
        .at(1, offer("frank", 30, revocable=True))
        .then("relay to alice")
        .at(1, cancellation("frank"))
        .then("relay to alice")
        .at(2, cancellation(reason="changed my mind"))
        .then(
            "cancel bob: changed my mind",
            "cancel erin: changed my mind",
            "outcome cancelled: changed my mind",
        )
        .shows(closed_by="cancel", ranking=[], offers=1)
        .at(3, report("bob"))
        .then("relay to alice")
        .at(3, report("bob"))
        .then()
        .at(3, report("carol"))
        .then("refuse carol WRONG_STATE")
        .at(3, report("bob", msg_id="twice"))
        .then("refuse bob WRONG_STATE")
        .at(3, not_understood("erin"))
        .then("relay to alice")
        .at(4, offer("erin", 1))
        .then("reject erin: late")
        .at(4, cancellation(msg_id="again"))
        .then("refuse alice WRONG_STATE")
        .at(4, cancellation())
        .then()
        .at(4, confirmation("bob"))
        .then("refuse bob WRONG_STATE")
        .is_in(Phase.CANCELLED)
    )


def test_a_cancel_reaches_whoever_may_believe_to_have_won(play: Make) -> None:
    """N-1.9: while winners confirm, all who have offered and not had their last word are live."""
    (
        play(policy={"confirm": True})
        .at(1, offer("bob", 30))
        .then("relay to alice")
        .at(1, offer("carol", 40))
        .then("relay to alice")
        .at(1, offer("dave", 50))
        .then("relay to alice", "accept bob at 30")
        .at(2, refusal("bob", "no"))
        .then("relay to alice", "accept carol at 40")
        .at(3, cancellation())
        .then("cancel carol: cancelled", "cancel dave: cancelled", "outcome cancelled: cancelled")
        .at(4, confirmation("carol"))
        .then("refuse carol WRONG_STATE")
    )


def test_work_that_is_under_way_can_be_cancelled_until_it_is_done(play: Make) -> None:
    """N-1.9: any time before completion; the award was logged once and is not again."""
    made = (
        _won(play)
        .at(4, cancellation())
        .then("cancel bob: cancelled", "outcome cancelled: cancelled, bob at 30")
    )
    made.at(5, report("bob", succeeded=False)).then("relay to alice").is_in(Phase.CANCELLED)
    finishes = [e for _, effects in made.history for e in effects if isinstance(e, Finish)]
    assert [finish.outcome["state"] for finish in finishes] == ["committed"]


def test_what_is_done_cannot_be_cancelled(play: Make) -> None:
    """N-1.9"""
    _won(play).at(4, report("bob")).then("relay to alice").at(5, cancellation()).then(
        "refuse alice WRONG_STATE"
    )


def test_a_winner_reports_once(play: Make) -> None:
    """N-1.10: exactly one terminal report, and only from an accepted participant."""
    (
        _won(play)
        .at(4, report("carol"))
        .then("refuse carol WRONG_STATE")
        .at(4, report("alice"))
        .then("refuse alice NOT_A_PARTY")
        .at(5, report("bob"))
        .then("relay to alice")
        .is_in(Phase.DONE, due=35)
        .at(6, report("bob"))
        .then()
        .at(6, report("bob", msg_id="more"))
        .then("refuse bob ALREADY_ANSWERED")
    )


def test_work_is_done_when_every_winner_has_reported(play: Make) -> None:
    """N-1.10: one failure among them makes the whole a failure."""
    (
        _won(play, max_awards=1, report_within=20)
        .is_in(Phase.COMMITTED, due=23)
        .at(5, report("bob", succeeded=False))
        .then("relay to alice")
        .is_in(Phase.FAILED, due=35)
    )
    (
        play(agents="bob carol", max_awards=2, report_within=20)
        .at(1, offer("bob", 1))
        .then("relay to alice")
        .at(1, offer("carol", 2))
        .told("accept bob at 1", "accept carol at 2")
        .at(2, report("bob", succeeded=False))
        .then("relay to alice")
        .is_in(Phase.COMMITTED, due=21)
        .at(3, report("carol"))
        .then("relay to alice")
        .is_in(Phase.FAILED, due=33)
    )


def test_a_report_that_does_not_come_in_time_is_a_failure(play: Make) -> None:
    """N-1.10: the initiator is told, and a report after that is late."""
    (
        _won(play, report_within=5)
        .at(8, TIME_UP)
        .then("failure to alice: not_reported bob")
        .is_in(Phase.FAILED, due=38)
        .at(9, report("bob"))
        .then("refuse bob LATE")
    )


def test_a_winner_that_cannot_be_reached_has_failed(play: Make) -> None:
    """N-1.10: nothing will come from it; of others it makes no difference."""
    (
        _won(play)
        .at(4, gone("carol"))
        .then()
        .at(4, gone("bob"))
        .then("failure to alice: unreachable bob")
        .is_in(Phase.FAILED)
    )


def _in_every_phase(play: Make) -> dict[Phase, Play]:
    lapse = {"confirm": True}
    return {
        Phase.OPEN: play(),
        Phase.CLOSED: play(agents="bob carol", decider="initiator")
        .at(1, offer("bob", 1))
        .told()
        .at(1, refusal("carol"))
        .told("show alice bob until 31"),
        Phase.CONFIRMING: play(agents="bob carol", policy=lapse)
        .at(1, offer("bob", 1))
        .told()
        .at(1, refusal("carol"))
        .told("accept bob at 1"),
        Phase.COMMITTED: _won(play),
        Phase.DONE: _won(play).at(4, report("bob")).told(),
        Phase.FAILED: _won(play).at(4, report("bob", succeeded=False)).told(),
        Phase.CANCELLED: play()
        .at(1, cancellation())
        .told("cancel bob: cancelled", "cancel carol: cancelled", "cancel dave: cancelled"),
        Phase.NO_AWARD: play().at(10, TIME_UP).told(),
    }


@pytest.mark.parametrize(
    ("event", "code", "phases"),
    [
        (counter("bob"), "WRONG_STATE", set(Phase)),
        (accept("bob"), "WRONG_STATE", set(Phase) - {Phase.CLOSED}),
        (reject("bob"), "WRONG_STATE", set(Phase) - {Phase.CLOSED}),
        (accept("bob", by="carol"), "NOT_A_PARTY", set(Phase)),
        (reject("bob", by="carol"), "NOT_A_PARTY", set(Phase)),
        (accept("bob", by="mallory"), "NOT_A_PARTY", set(Phase)),
        (confirmation("carol"), "WRONG_STATE", set(Phase)),
        (confirmation("alice"), "NOT_A_PARTY", set(Phase)),
        (report("carol"), "WRONG_STATE", set(Phase) - {Phase.CANCELLED}),
        (
            report("bob", msg_id="early"),
            "WRONG_STATE",
            {Phase.OPEN, Phase.CLOSED, Phase.CONFIRMING},
        ),
        (
            cancellation(msg_id="more"),
            "WRONG_STATE",
            {Phase.DONE, Phase.FAILED, Phase.CANCELLED, Phase.NO_AWARD},
        ),
    ],
)
def test_an_act_that_is_not_allowed_is_refused_and_changes_nothing(
    play: Make, event: Event, code: str, phases: set[Phase]
) -> None:
    """N-1.12: the state stays the very same object."""
    for phase, made in _in_every_phase(play).items():
        if phase not in phases:
            continue
        before = made.is_in(phase).state
        made.at(5, event).then(f"refuse {event.sender.removeprefix(AGENT)} {code}")
        assert made.history[-1][0] is before


def test_the_phases_say_what_they_hear() -> None:
    """N-1.12: every phase has its row."""
    assert set(HEARD) == set(Phase)
    assert not any(
        DeadlinePassed in heard
        for phase, heard in HEARD.items()
        if phase in {Phase.DONE, Phase.FAILED, Phase.CANCELLED, Phase.NO_AWARD}
    )
