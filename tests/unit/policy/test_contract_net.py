"""The contract net, rule by rule (N-1.1 to N-1.12), and what we added to it."""

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
    make_call,
    malformed,
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


def test_answers_are_offers_and_refusals_and_one_of_the_offers_is_accepted(play: Make) -> None:
    """N-1.1: 0 <= n <= m, j + i = n, l + k = j."""
    outcome = _won(play).outcome
    assert outcome["eligible"] == 3
    assert outcome["offers"] + outcome["refusals"] == 3
    assert len(outcome["winners"]) == 1
    assert [entry["reason"] for entry in outcome["ranking"]] == ["won", "outbid"]


def test_several_offers_may_be_accepted_if_the_call_says_so(play: Make) -> None:
    """N-1.1: l may be 0, 1 or several; one is the default."""
    play(max_awards=2).at(1, offer("bob", 30)).then("relay to alice").at(
        1, offer("carol", 20)
    ).then("relay to alice").at(1, offer("dave", 25)).then(
        "relay to alice",
        "accept carol at 20",
        "accept dave at 25",
        "reject bob: outbid",
        "outcome committed: awarded, carol at 20, dave at 25",
    )


def test_every_message_bears_the_id_of_its_negotiation(play: Make) -> None:
    """N-1.2: and a message of the exchange's own is numbered within it."""
    made = _won(play)
    assert [tell.msg_id for tell in made.tells] == ["g.0.n:1", "g.0.n:2", "g.0.n:3"]
    assert [tell.in_reply_to for tell in made.tells] == ["bob-offer", "carol-offer", "call"]


def test_an_offer_after_the_deadline_is_rejected_as_late(play: Make) -> None:
    """N-1.3: never silently dropped, never a winner."""
    (
        play()
        .at(1, offer("bob", 30))
        .then("relay to alice")
        .at(10, TIME_UP)
        .then("accept bob at 30", "outcome committed: awarded, bob at 30")
        .shows(closed_by="deadline", complete=False)
        .at(11, offer("carol", 1))
        .then("reject carol: late")
        .at(12, offer("carol", 1))
        .then()
        .at(12, offer("carol", 1, "again"))
        .then("refuse carol ALREADY_ANSWERED")
        .at(13, offer("bob", 30))
        .then()
        .at(13, offer("bob", 1, "again"))
        .then("refuse bob ALREADY_ANSWERED")
    )


def test_an_offer_that_overtakes_the_timer_is_late_all_the_same(play: Make) -> None:
    """N-1.3, N-1.11: the clock closes the round, not the task that watches it."""
    play().at(1, offer("bob", 30)).then("relay to alice").at(10.1, offer("carol", 1)).then(
        "accept bob at 30", "outcome committed: awarded, bob at 30", "reject carol: late"
    )


def test_the_round_closes_when_everybody_has_answered(play: Make) -> None:
    """N-1.4: when n = m or at reply-by, whichever comes first."""
    _won(play).shows(closed_by="all_answered", complete=True, closed_at=3, decided_at=3)


def test_the_round_closes_at_the_deadline_without_those_who_did_not_answer(play: Make) -> None:
    """N-1.4"""
    play().at(2, offer("bob", 30)).then("relay to alice").at(10, TIME_UP).told(
        "accept bob at 30"
    ).shows(closed_by="deadline", eligible=3, offers=1, complete=False, closed_at=10)


def test_only_agents_that_were_called_may_answer(play: Make) -> None:
    """N-1.4: the eligible set is frozen when the call is admitted."""
    (
        play()
        .at(1, offer("mallory", 1))
        .then("refuse mallory NOT_A_PARTY")
        .at(1, refusal("mallory"))
        .then("refuse mallory NOT_A_PARTY")
        .at(1, refusal("alice"))
        .then("refuse alice WRONG_STATE")
        .at(1, not_understood("mallory"))
        .then("refuse mallory NOT_A_PARTY")
        .at(1, malformed("mallory"), gone("mallory"))
        .then()
        .at(1, cancellation("mallory"))
        .then("refuse mallory NOT_A_PARTY")
        .at(10, TIME_UP)
        .then("outcome no_award: no_offers")
        .at(11, offer("mallory", 1))
        .then("refuse mallory NOT_A_PARTY")
    )


def test_a_call_that_nobody_may_answer_is_over_at_once(play: Make) -> None:
    """N-1.4: n = m = 0."""
    play(agents="").then("outcome no_award: no_offers").is_in(Phase.NO_AWARD)


def test_an_offer_is_binding(play: Make) -> None:
    """N-1.5: neither withdrawn before its validity ends nor followed by another answer."""
    (
        play()
        .at(1, offer("bob", 30, valid_until=5))
        .then("relay to alice")
        .at(2, cancellation("bob"))
        .then("refuse bob OFFER_BINDING")
        .at(2, refusal("bob"))
        .then("refuse bob ALREADY_ANSWERED")
        .at(2, offer("bob", 1, "cheaper"))
        .then("refuse bob ALREADY_ANSWERED")
        .at(3, cancellation("carol"))
        .then("refuse carol UNKNOWN_OFFER")
        .at(6, cancellation("bob"))
        .then("relay to alice")
        .at(6, cancellation("bob"))
        .then()
        .at(6, cancellation("bob", msg_id="other"))
        .then("refuse bob UNKNOWN_OFFER")
        .at(10, TIME_UP)
        .then("outcome no_award: no_offers")
    )


def test_a_revocable_offer_may_be_withdrawn_until_it_is_accepted(play: Make) -> None:
    """N-1.5: unless conditions.revocable is true (our extension)."""
    (
        play(decider="initiator", max_awards=2)
        .at(1, offer("bob", 30, revocable=True))
        .then("relay to alice")
        .at(1, offer("carol", 40, revocable=True))
        .then("relay to alice")
        .at(1, offer("dave", 50, revocable=True))
        .then("relay to alice", "show alice bob carol dave until 31")
        .at(2, cancellation("bob"))
        .then("relay to alice")
        .at(2, accept("bob"))
        .then("refuse alice UNKNOWN_OFFER")
        .at(3, accept("carol"))
        .then()
        .at(4, cancellation("carol"))
        .then("refuse carol OFFER_BINDING")
        .at(5, cancellation("dave"))
        .then("relay to alice", "accept carol at 40", "outcome committed: awarded, carol at 40")
        .at(6, cancellation("carol", msg_id="x"))
        .then("refuse carol WRONG_STATE")
    )


def test_when_the_last_offer_is_withdrawn_there_is_nothing_to_decide(play: Make) -> None:
    """N-1.5"""
    play(decider="initiator", agents="bob").at(1, offer("bob", 30, revocable=True)).then(
        "relay to alice", "show alice bob until 31"
    ).at(2, cancellation("bob")).then("relay to alice", "outcome no_award: no_offers")


def test_a_reserve_bidder_may_withdraw_while_another_is_asked_to_confirm(play: Make) -> None:
    """N-1.5"""
    (
        play(policy={"confirm": True}, agents="bob carol")
        .at(1, offer("bob", 30, revocable=True))
        .then("relay to alice")
        .at(1, offer("carol", 40, revocable=True))
        .then("relay to alice", "accept bob at 30")
        .at(2, cancellation("bob"))
        .then("refuse bob OFFER_BINDING")
        .at(2, cancellation("carol"))
        .then("relay to alice")
        .at(3, confirmation("bob"))
        .then("relay to alice", "outcome committed: awarded, bob at 30")
    )


def test_everybody_who_offered_hears_one_verdict_however_often_it_asks(play: Make) -> None:
    """N-1.6: exactly one of accept and reject."""
    made = _won(play)
    for event in (offer("bob", 30), offer("carol", 40), refusal("dave")):
        made.at(5, event).then()
    heard = [(tell.recipient, tell.act) for tell in made.tells if tell.act != "inform"]
    assert heard == [("agent://bob", "accept"), ("agent://carol", "reject")]


def test_who_refuses_hears_neither_accept_nor_reject(play: Make) -> None:
    """N-1.7"""
    assert all(tell.recipient != "agent://dave" for tell in _won(play).tells)


def test_not_understood_ends_the_conversation_with_that_agent_only(play: Make) -> None:
    """N-1.8: it may follow any act."""
    (
        play(report_within=100)
        .at(1, not_understood("bob"))
        .then("relay to alice")
        .at(1, offer("bob", 1))
        .then("refuse bob ALREADY_ANSWERED")
        .at(2, offer("carol", 30))
        .then("relay to alice")
        .at(3, offer("dave", 40))
        .then(
            "relay to alice",
            "accept carol at 30",
            "reject dave: outbid",
            "outcome committed: awarded, carol at 30",
        )
        .at(4, not_understood("dave"))
        .then()
        .at(4, not_understood("alice"))
        .then()
        .at(5, not_understood("carol"))
        .then("relay to alice")
        .is_in(Phase.FAILED)
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


def test_only_the_receive_time_counts(play: Make) -> None:
    """N-1.11: what an offer says about its time is carried and not believed."""
    early = {"value": 30, "timestamp": "2020-01-01T00:00Z"}
    play(agents="bob").at(10, TIME_UP).then("outcome no_award: no_offers").at(
        11, offer("bob", 30, fields=early)
    ).then("reject bob: late")


def test_at_the_very_deadline_whatever_comes_first_counts(play: Make) -> None:
    """N-1.11: an offer at the instant is in time, unless the timer was heard before."""
    play(agents="bob").at(10, offer("bob", 30)).told("accept bob at 30").shows(closed_by="quorum")
    play(agents="bob").at(10, TIME_UP).told().at(10, offer("bob", 30)).then("reject bob: late")


def test_a_timer_of_an_earlier_phase_means_nothing(play: Make) -> None:
    """N-1.11"""
    play().at(9.9, TIME_UP).then().is_in(Phase.OPEN, due=10)
    _won(play).at(10, TIME_UP).then().at(99, TIME_UP).then()


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


def test_an_offer_for_another_round_is_refused(play: Make) -> None:
    """The round number of the call is the only one that it takes."""
    (
        play(round=2)
        .at(1, offer("bob", 1, fields={"value": 1, "round": 1}))
        .then("refuse bob WRONG_STATE")
        .at(1, offer("bob", 1, fields={"value": 1, "round": 2}))
        .then("relay to alice")
        .at(10, TIME_UP)
        .told("accept bob at 1")
        .shows(round=2)
    )


def test_the_winner_confirms_before_the_award_stands(play: Make) -> None:
    """Nobody else hears a verdict before; a confirmation is shown to the initiator."""
    (
        play("proto/medium", agents="bob carol")
        .at(1, offer("bob", 30))
        .then("relay to alice", "accept bob at 30")
        .is_in(Phase.CONFIRMING, due=11)
        .at(2, confirmation("bob", "other"))
        .then("refuse bob UNKNOWN_OFFER")
        .at(2, confirmation("carol"))
        .then("refuse carol WRONG_STATE")
        .at(3, confirmation("bob"))
        .then("relay to alice", "outcome committed: awarded, bob at 30")
        .is_in(Phase.COMMITTED)
        .at(4, confirmation("bob"))
        .then()
        .at(4, confirmation("bob", msg_id="more"))
        .then("refuse bob ALREADY_ANSWERED")
    )


def test_without_a_confirmation_the_award_goes_to_the_next_best(play: Make) -> None:
    """By refusal, not understanding, silence or absence; with nobody left there is no award."""
    (
        play(policy={"confirm": True}, agents="bob carol dave erin")
        .at(1, offer("bob", 10))
        .told()
        .at(1, offer("carol", 20))
        .told()
        .at(1, offer("dave", 30))
        .told()
        .at(1, offer("erin", 40))
        .told("accept bob at 10")
        .at(2, refusal("carol", "no"))
        .then("refuse carol ALREADY_ANSWERED")
        .at(2, gone("carol"))
        .then()
        .at(2, not_understood("carol"))
        .then()
        .at(2, not_understood("bob"))
        .then("relay to alice", "accept carol at 20")
        .at(3, gone("carol"))
        .then("accept dave at 30")
        .at(4, refusal("dave", "no"))
        .then("relay to alice", "accept erin at 40")
        .is_in(Phase.CONFIRMING, due=14)
        .at(14, TIME_UP)
        .then("cancel erin: not_confirmed", "outcome no_award: not_confirmed")
        .at(15, confirmation("erin"))
        .then("refuse erin LATE")
        .shows(winners=[])
    )
    reasons = [entry["reason"] for entry in _last(play).outcome["ranking"]]
    assert reasons == ["won"]


def _last(play: Make) -> Play:
    return play(agents="bob").at(1, offer("bob", 1)).told("accept bob at 1")


def test_each_unit_is_confirmed_by_itself(play: Make) -> None:
    """A replacement has its own time; the award stands when no unit waits any more."""
    (
        play(policy={"confirm": True}, max_awards=2)
        .at(1, offer("bob", 10))
        .told()
        .at(1, offer("carol", 20))
        .told()
        .at(1, offer("dave", 30, valid_until=8))
        .told("accept bob at 10", "accept carol at 20")
        .at(5, confirmation("carol"))
        .then("relay to alice")
        .at(6, refusal("bob", "no"))
        .then("relay to alice", "accept dave at 30")
        .is_in(Phase.CONFIRMING, due=16)
        .at(16, TIME_UP)
        .then("cancel dave: not_confirmed", "outcome committed: awarded, carol at 20")
    )


def test_the_initiator_decides_among_the_ranked_offers(play: Make) -> None:
    """It may choose any that stands, even one that is beyond its own reserve."""
    (
        play(decider="initiator", decide_within=5, reserve=35)
        .at(1, accept("bob"))
        .then("refuse alice WRONG_STATE")
        .at(1, offer("bob", 40))
        .told()
        .at(1, offer("carol", 30))
        .told()
        .at(1, refusal("dave"))
        .told("show alice carol bob until 6")
        .is_in(Phase.CLOSED, due=6)
        .at(2, accept("dave"))
        .then("refuse alice UNKNOWN_OFFER")
        .at(2, refusal("bob", "changed"))
        .then("refuse bob ALREADY_ANSWERED")
        .at(3, accept("bob"))
        .then(
            "accept bob at 40", "reject carol: not_chosen", "outcome committed: awarded, bob at 40"
        )
        .at(3, accept("bob"))
        .then()
    )


def test_an_initiator_that_does_not_decide_in_time_awards_nothing(play: Make) -> None:
    """Everybody who offered is told."""
    play(agents="bob carol", decider="initiator").at(1, offer("bob", 1)).told().at(
        10, TIME_UP
    ).told("show alice bob until 40").at(11, refusal("carol")).then("refuse carol LATE").at(
        40, TIME_UP
    ).then("reject bob: not_decided", "outcome no_award: not_decided")


def test_the_initiator_may_reject_one_by_one_or_all(play: Make) -> None:
    """An empty offer_id means all that are left."""
    (
        play(decider="initiator", max_awards=2)
        .at(1, offer("bob", 10))
        .told()
        .at(1, offer("carol", 20))
        .told()
        .at(1, offer("dave", 30))
        .told("show alice bob carol dave until 31")
        .at(2, reject("bob"))
        .then("reject bob: rejected")
        .at(2, reject("bob"))
        .then()
        .at(2, reject("bob", msg_id="more"))
        .then("refuse alice WRONG_STATE")
        .at(2, accept("bob"))
        .then("refuse alice WRONG_STATE")
        .at(2, reject("mallory"))
        .then("refuse alice UNKNOWN_OFFER")
        .at(3, accept("carol"))
        .then()
        .at(3, accept("carol", msg_id="more"))
        .then("refuse alice ALREADY_ANSWERED")
        .at(3, cancellation("bob"))
        .then("refuse bob UNKNOWN_OFFER")
        .at(4, reject(""))
        .then(
            "accept carol at 20",
            "reject dave: not_chosen",
            "outcome committed: awarded, carol at 20",
        )
    )
    play(decider="initiator", agents="bob").at(1, offer("bob", 1)).told(
        "show alice bob until 31"
    ).at(2, reject("bob")).then("reject bob: rejected", "outcome no_award: rejected")
    play(decider="initiator", agents="bob").at(1, offer("bob", 1)).told(
        "show alice bob until 31"
    ).at(2, reject("")).then("reject bob: rejected", "outcome no_award: rejected")


def test_what_was_chosen_in_time_is_awarded_when_the_time_is_over(play: Make) -> None:
    """Though its validity has ended since; an offer that had ended before cannot be chosen."""
    (
        play(decider="initiator", max_awards=3)
        .at(1, offer("bob", 10, valid_until=20))
        .told()
        .at(1, offer("carol", 20, valid_until=12))
        .told()
        .at(1, offer("dave", 30))
        .told("show alice bob carol dave until 31")
        .at(13, accept("carol"))
        .then("refuse alice OFFER_EXPIRED")
        .at(13, accept("bob"))
        .then()
        .at(31, TIME_UP)
        .told("accept bob at 10", "reject carol: not_chosen", "reject dave: not_chosen")
    )


def test_an_initiator_whose_choice_is_not_confirmed_chooses_again(play: Make) -> None:
    """Among those that are left; with nobody left there is no award."""
    (
        play(decider="initiator", policy={"confirm": True}, agents="bob carol")
        .at(1, offer("bob", 10))
        .told()
        .at(1, offer("carol", 20))
        .told("show alice bob carol until 31")
        .at(2, accept("bob"))
        .then("accept bob at 10")
        .at(3, refusal("bob", "no"))
        .then("relay to alice", "show alice bob carol until 33")
        .at(4, accept("bob", msg_id="again"))
        .then("refuse alice WRONG_STATE")
        .at(5, accept("carol"))
        .then("accept carol at 20")
        .at(15, TIME_UP)
        .then("cancel carol: not_confirmed", "outcome no_award: not_confirmed")
    )


def test_an_expired_offer_cannot_win(play: Make) -> None:
    """Validity is judged when the round was to close, however late the timer is."""
    (
        play()
        .at(1, offer("bob", 1, valid_until=0.5))
        .then("refuse bob OFFER_EXPIRED")
        .at(1, offer("bob", 1, valid_until=9))
        .told()
        .at(1, offer("carol", 2, valid_until=10))
        .told()
        .at(10.2, TIME_UP)
        .told("accept carol at 2", "reject bob: expired")
    )
    for decider, reason in (("engine", "no_acceptable_offer"), ("initiator", "offers_expired")):
        play(decider=decider).at(1, offer("bob", 1, valid_until=9)).told().at(10, TIME_UP).then(
            "reject bob: expired", f"outcome no_award: {reason}"
        )


def test_an_agent_that_was_gone_may_come_back_in_time(play: Make) -> None:
    """Until then nobody waits for it; it does not count as an answer of its own."""
    (
        play(agents="bob carol")
        .at(1, gone("bob"), gone("bob"))
        .then()
        .at(2, offer("bob", 10))
        .then("relay to alice")
        .at(3, gone("bob"))
        .then()
        .at(3, gone("carol"))
        .then("accept bob at 10", "outcome committed: awarded, bob at 10")
        .shows(complete=False, closed_by="all_answered", refusals=0)
    )


def test_the_finished_negotiation_has_forgotten_the_payloads(play: Make) -> None:
    """What is kept answers who comes late, and no more."""
    state = _won(play).state
    assert state.offers == ()
    assert state.course is not None and state.course.ranking == ()
    assert state.is_final
    assert repr(state).startswith("<Negotiation g.0.n committed: 0 offers, 3 of 3 answered")


def test_calls_are_made_of_plain_values() -> None:
    """A call compares equal to one made alike."""
    assert make_call() == make_call()
