"""Sealed bids that are committed first and revealed after the close (N-6.6)."""

from __future__ import annotations

import msgspec
import pytest

from policy.events import CommitmentReceived, Event
from policy.issues import issues_of
from policy.stakes import Need, Stakes
from policy.states import Phase
from tests.support.auctions import NAMES, Make, auction, committing, revealing
from tests.support.plays import (
    TIME_UP,
    accept,
    cancellation,
    confirmation,
    counter,
    gone,
    hold_refused,
    malformed,
    not_settled,
    not_understood,
    offer,
    refusal,
    reject,
    report,
    reveal,
    revision,
    sealed,
    settled,
    thinking,
)


def test_bids_are_committed_then_revealed_then_decided(play: Make) -> None:
    """N-6.6: nobody hears of a bid before all are open, not even the initiator."""
    (
        revealing(play)
        .at(4, reveal("dave", 12))
        .then()
        .at(4, reveal("bob", 9))
        .then()
        .at(5, reveal("carol", 8))
        .then(
            "accept carol at 9",
            "reject bob: outbid",
            "reject dave: outbid",
            "outcome committed: awarded, carol at 9",
        )
        .shows(offers=3, refusals=0, closed_at=3, decided_at=5, closed_by="quorum")
    )


def test_what_is_not_revealed_in_time_is_a_refusal(play: Make) -> None:
    """N-6.6: it cannot win, sets no price, and its bidder hears neither accept nor reject."""
    (
        revealing(play)
        .at(4, reveal("bob", 9))
        .then()
        .at(5, reveal("dave", 12))
        .then()
        .at(8, TIME_UP)
        .then("accept bob at 12", "reject dave: outbid", "outcome committed: awarded, bob at 12")
        .shows(offers=2, refusals=1)
        .at(9, reveal("carol", 8))
        .then("refuse carol LATE")
    )
    revealing(play).at(8, TIME_UP).then("outcome no_award: no_offers").shows(refusals=3)


def test_a_reveal_must_be_what_was_committed(play: Make) -> None:
    """N-6.6: another value, another nonce, more or fewer terms, or none; a right one still may."""
    made = revealing(play)
    nonce = {"nonce": "11" * 32}
    for wrong in (
        reveal("carol", 7),
        reveal("carol", 8, **nonce),
        reveal("carol", 8, nonce="00"),
        reveal("carol", 8, nonce="no digits"),
        reveal("carol", 8, nonce=None),
        reveal("carol", 8, terms={"gpus": 4}),
        reveal("carol", 8, conditions={}),
        offer("carol", 8),
    ):
        before = made.state
        made.at(4, wrong).then("refuse carol OFFER_BINDING")
        assert made.history[-1][0] is before
    made.at(5, reveal("carol", 8, text="Here it is.")).then()


def test_terms_and_conditions_are_part_of_what_is_committed(play: Make) -> None:
    """N-6.6: the canonical form of the bid, whatever the order of its members."""
    made = committing(play, "first", agents="bob")
    made.at(1, sealed("bob", 9, terms={"a": 1, "b": 2}, conditions={"c": 3})).told(
        "ask bob to reveal until 6"
    )
    made.at(2, reveal("bob", 9, conditions={"c": 3}, terms={"b": 2, "a": 1})).told(
        "accept bob at 9"
    )


def test_a_bid_that_breaks_the_issues_of_the_call_cannot_be_opened(play: Make) -> None:
    issues = issues_of([{"name": "gpus", "type": "integer", "min": 1, "max": 8}])
    made = committing(play, "first", agents="bob carol", issues=issues)
    made.at(1, sealed("bob", 9, terms={"gpus": 9})).then()
    made.at(1, sealed("carol", 10, terms={"gpus": 8})).told(
        "ask bob to reveal until 6", "ask carol to reveal until 6"
    )
    made.at(2, reveal("bob", 9, terms={"gpus": 9})).then("refuse bob TERMS_INVALID")
    made.at(2, reveal("carol", 10, terms={"gpus": 8})).then()
    made.at(6, TIME_UP).told("accept carol at 10")


def test_a_bidder_that_will_not_reveal_is_not_waited_for(play: Make) -> None:
    (
        revealing(play)
        .at(4, reveal("bob", 9))
        .then()
        .at(4, refusal("carol", "no"))
        .then()
        .at(4, refusal("carol", "no"))
        .then()
        .at(4, refusal("carol", "never"))
        .then("refuse carol ALREADY_ANSWERED")
        .at(4, reveal("carol", 8))
        .then("refuse carol ALREADY_ANSWERED")
        .at(5, not_understood("dave"))
        .told("accept bob at 9")
    )


def test_a_bidder_that_is_gone_is_not_waited_for_and_may_come_back(play: Make) -> None:
    """While others are waited for; the outcome says that not all have answered."""
    (
        revealing(play)
        .at(4, gone("carol"))
        .then()
        .at(4, gone("carol"))
        .then()
        .at(5, reveal("carol", 8))
        .then()
        .at(5, gone("carol"))
        .then()
        .at(6, gone("dave"))
        .then()
        .at(7, reveal("bob", 9))
        .told("accept carol at 9", "reject bob: outbid")
        .shows(complete=False, refusals=0)
    )


def test_too_few_commitments_end_the_auction_before_anything_is_revealed(play: Make) -> None:
    policy = {"quorum": 3, "on_expiry": "no_award"}
    (
        committing(play, policy=policy, agents="bob carol dave erin")
        .at(1, sealed("bob", 9))
        .then()
        .at(10, TIME_UP)
        .then("reject bob: quorum_not_met", "outcome no_award: quorum_not_met")
        .shows(ranking=[], offers=1)
    )
    (
        committing(play, policy={**policy, "final": "optional"})
        .at(1, sealed("bob", 9))
        .then()
        .at(10, TIME_UP)
        .then("outcome no_award: quorum_not_met")
    )
    committing(play).at(10, TIME_UP).then("outcome no_award: no_offers")
    committing(play, agents="").then("outcome no_award: no_offers")


def test_fewer_bids_than_the_profile_wants_are_not_decided_among(play: Make) -> None:
    """What was committed and not revealed does not count as an offer."""
    (
        committing(play, policy={"on_expiry": "decide_if", "min_offers": 2})
        .at(1, sealed("bob", 9))
        .then()
        .at(1, sealed("carol", 9))
        .then()
        .at(10, TIME_UP)
        .then("ask bob to reveal until 15", "ask carol to reveal until 15")
        .at(11, reveal("bob", 9))
        .then()
        .at(15, TIME_UP)
        .then("reject bob: too_few_offers", "outcome no_award: too_few_offers")
    )


def test_what_comes_late_finds_the_time_passed(play: Make) -> None:
    """The deadline to commit, and that to reveal, though no timer has rung."""
    made = committing(play)
    made.at(1, sealed("bob", 9)).then()
    made.at(11, sealed("carol", 8)).then("ask bob to reveal until 16", "reject carol: late")
    made.at(12, sealed("carol", 8)).then().at(12, sealed("carol", 8, "more"))
    made.then("refuse carol ALREADY_ANSWERED")
    made.at(12, offer("dave", 1)).then("reject dave: late")
    made.at(12, offer("mallory", 1)).then("refuse mallory NOT_A_PARTY")
    made.at(17, reveal("bob", 9))
    made.then("outcome no_award: no_offers", "refuse bob LATE")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (offer("bob", 9), "refuse bob WRONG_STATE"),
        (offer("mallory", 9), "refuse mallory NOT_A_PARTY"),
        (sealed("mallory", 9), "refuse mallory NOT_A_PARTY"),
        (sealed("carol", 9, "more"), "refuse carol ALREADY_ANSWERED"),
        (cancellation("carol"), "refuse carol OFFER_BINDING"),
        (confirmation("carol"), "refuse carol WRONG_STATE"),
        (accept("carol"), "refuse alice WRONG_STATE"),
    ],
)
def test_an_act_that_is_not_for_the_time_of_commitments_changes_nothing(
    play: Make, event: Event, words: str
) -> None:
    made = committing(play).at(1, sealed("carol", 8)).then()
    before = made.state
    made.at(2, event).then(words)
    assert made.history[-1][0] is before


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (accept("bob"), "refuse alice WRONG_STATE"),
        (reject(""), "refuse alice WRONG_STATE"),
        (accept("bob", "carol"), "refuse carol NOT_A_PARTY"),
        (thinking("bob"), "refuse bob WRONG_STATE"),
        (thinking("alice"), "refuse alice WRONG_STATE"),
        (confirmation("bob"), "refuse bob WRONG_STATE"),
        (report("bob"), "refuse bob WRONG_STATE"),
        (counter("bob"), "refuse bob WRONG_STATE"),
        (revision("bob"), "refuse alice WRONG_STATE"),
        (cancellation("bob"), "refuse bob OFFER_BINDING"),
        (refusal("alice"), "refuse alice NOT_A_PARTY"),
        (offer("mallory", 9), "refuse mallory NOT_A_PARTY"),
        (reveal("carol", 8, "other"), "refuse carol ALREADY_ANSWERED"),
        (refusal("carol"), "refuse carol ALREADY_ANSWERED"),
        (malformed("bob"), ""),
        (gone("carol"), ""),
        (gone("mallory"), ""),
        (TIME_UP, ""),
        (settled(1), ""),
        (hold_refused("bob"), ""),
        (sealed("bob", 9), ""),
        (reveal("carol", 8), ""),
    ],
)
def test_an_act_that_is_not_for_the_time_of_reveals_changes_nothing(
    play: Make, event: Event, words: str
) -> None:
    """The last ones are repeats, timers and what nobody waits for an answer to."""
    made = revealing(play).at(4, reveal("carol", 8)).then()
    before = made.state
    made.at(5, event).then(*([words] if words else []))
    assert made.history[-1][0] is before


@pytest.mark.parametrize(
    ("fields", "until", "code"),
    [({"round": 2}, None, "WRONG_STATE"), ({}, 3.0, "OFFER_EXPIRED")],
)
def test_a_reveal_is_of_its_round_and_has_not_ended(
    play: Make, fields: dict[str, object], until: float | None, code: str
) -> None:
    event = msgspec.structs.replace(reveal("bob", 9, **fields), valid_until=until)
    revealing(play).at(4, event).then(f"refuse bob {code}")


def test_a_cancelled_auction_stays_sealed(play: Make) -> None:
    """N-6.1: or a round could be opened by cancelling it."""
    made = revealing(play).at(4, reveal("carol", 8)).then()
    made.at(5, cancellation()).then(
        *(f"cancel {name}: cancelled" for name in NAMES), "outcome cancelled: cancelled"
    ).shows(ranking=[], winners=[])


def test_a_winner_may_be_asked_to_confirm(play: Make) -> None:
    """And if it does not, the next best is asked, at the price that is left."""
    made = revealing(play, policy={"confirm": True})
    made.at(4, reveal("carol", 8)).then().at(4, reveal("bob", 9)).then()
    made.at(4, reveal("dave", 12)).then("accept carol at 9")
    asked = made.tells[-1].turn
    assert asked is not None
    assert (asked.answer_by, asked.deadline, asked.own_last_msg_id) == (14, 24, "carol-offer")
    made.at(14, TIME_UP).then("cancel carol: not_confirmed", "accept bob at 12")
    made.at(15, confirmation("bob")).told("reject dave: outbid")


def test_who_is_asked_to_reveal_is_told_until_when(play: Make) -> None:
    made = revealing(play)
    for name, tell in zip(NAMES, made.tells, strict=True):
        assert tell.in_reply_to == f"{name}-sealed"
        assert tell.turn is not None
        assert (tell.turn.answer_by, tell.turn.own_last_msg_id) == (8, f"{name}-sealed")


def test_an_operator_sees_who_has_revealed_and_no_bid(play: Make) -> None:
    """N-6.1."""
    made = committing(play).at(1, sealed("bob", 777)).then().at(1, sealed("carol", 778)).then()
    assert made.state.view().parties == {
        "agent://bob": "committed",
        "agent://carol": "committed",
        "agent://dave": "called",
    }
    made.at(10, TIME_UP).told("ask bob to reveal until 15", "ask carol to reveal until 15")
    made.at(11, reveal("bob", 777)).then()
    view = made.state.view()
    assert view.parties["agent://bob"] == "revealed"
    assert view.values == {}
    assert "777" not in repr(made.state)
    assert repr(made.state).startswith("<Sealed, 1 of 2 revealed: <Negotiation g.0.n closed")
    made.at(12, refusal("carol")).told("accept bob at 777")
    assert made.state.view().values["agent://bob"] == 777


def test_a_commitment_of_an_agent_that_was_away_counts(play: Make) -> None:
    made = committing(play).at(1, gone("bob")).then().at(2, sealed("bob", 9)).then()
    assert isinstance(made.state.committed["agent://bob"], CommitmentReceived)
    assert made.state.terms.eligible == {f"agent://{name}" for name in NAMES}
    assert not made.state.is_final


def test_a_refusal_that_is_repeated_while_others_reveal_changes_nothing(play: Make) -> None:
    """Nor does any other act that counted while commitments were taken."""
    made = committing(play).at(1, sealed("bob", 9)).then().at(1, thinking("carol", 1)).told()
    made.at(2, refusal("carol")).then().at(2, refusal("dave")).told("ask bob to reveal until 7")
    for event in (refusal("carol"), refusal("dave"), thinking("carol", 1), sealed("bob", 9)):
        before = made.state
        made.at(3, event).then()
        assert made.history[-1][0] is before


@pytest.mark.parametrize("commit", [False, True])
def test_an_award_of_sealed_bids_waits_for_the_store(play: Make, commit: bool) -> None:
    stakes = Stakes((Need("gpu", 4, 60.0),), within=5.0)
    made = (committing if commit else auction)(play, agents="bob carol", stakes=stakes)
    for name, value in (("bob", 9), ("carol", 8)):
        made.at(1, sealed(name, value) if commit else offer(name, value))
        if commit or name == "bob":
            made.unclaimed = []
    if commit:
        made.at(2, reveal("bob", 9)).then()
        made.at(2, reveal("carol", 8))
    made.then("settle 1: carol 4 gpu").is_in(Phase.SETTLING)
    made.at(3, not_settled(1, "RESOURCE_GONE", "carol"))
    made.then("reject carol: RESOURCE_GONE", "settle 2: bob 4 gpu")
    made.at(4, settled(2)).told("accept bob at 9", "capture 2/1")
