"""The contract net, rule by rule: calls, answers and verdicts (N-1.1 to N-1.8, N-1.11)."""

from __future__ import annotations

from collections.abc import Callable

from policy.contract_net import Phase
from tests.support.plays import (
    TIME_UP,
    Play,
    accept,
    cancellation,
    confirmation,
    gone,
    make_call,
    malformed,
    not_understood,
    offer,
    refusal,
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
