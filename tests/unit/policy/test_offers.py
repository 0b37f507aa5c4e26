"""What answers to a call do to a round, under each acceptance profile that ships."""

from __future__ import annotations

from collections.abc import Callable

from policy.contract_net import Phase, open_call, step
from policy.fairness import Fairness, FairnessRules
from policy.issues import Issue
from tests.support.plays import (
    TIME_UP,
    Play,
    cancellation,
    confirmation,
    make_call,
    malformed,
    offer,
    probe,
    refusal,
    words,
)

Make = Callable[..., Play]


def test_flow_low_takes_the_first_valid_offer(play: Make) -> None:
    """A refusal and a broken offer do not count; without any offer there is no award."""
    (
        play("flow/low")
        .at(1, malformed("bob"))
        .then()
        .at(2, refusal("carol"))
        .then("relay to alice")
        .at(3, offer("bob", 90))
        .then("relay to alice", "accept bob at 90", "outcome committed: awarded, bob at 90")
        .shows(closed_by="quorum", complete=False, malformed=1, refusals=1, policy="flow/low@1")
        .at(4, offer("dave", 1))
        .then("reject dave: late")
    )
    play("low").at(10, TIME_UP).then("outcome no_award: no_offers")


def test_flow_medium_takes_the_best_of_half_the_offers(play: Make) -> None:
    """And after its short window, of whatever there is."""
    (
        play("flow/medium")
        .is_in(Phase.OPEN, due=5)
        .at(1, offer("bob", 40))
        .told()
        .at(2, offer("carol", 30))
        .told("accept carol at 30", "reject bob: outbid")
        .shows(closed_by="quorum", complete=False)
    )
    play("medium").at(1, offer("bob", 40)).told().at(5, TIME_UP).told("accept bob at 40").shows(
        closed_by="deadline"
    )


def test_flow_high_waits_for_all_and_says_if_some_are_missing(play: Make) -> None:
    """On expiry it decides and flags the round as incomplete."""
    made = play("flow/high").at(1, offer("bob", 40)).told().at(2, offer("carol", 30)).told()
    made.at(10, TIME_UP).told("accept carol at 30", "reject bob: outbid").shows(complete=False)
    whole = play("high").at(1, offer("bob", 3)).told().at(1, offer("carol", 2)).told()
    whole.at(1, offer("dave", 1)).told(
        "accept dave at 1", "reject carol: outbid", "reject bob: outbid"
    ).shows(closed_by="quorum", complete=True)


def test_proto_low_closes_at_any_answer_and_records_what_is_late(play: Make) -> None:
    """Even one that broke its schema; then nobody wins, and no verdict is due to losers."""
    (
        play("proto/low")
        .at(1, malformed("bob"))
        .then("outcome no_award: no_offers")
        .shows(closed_by="quorum", malformed=1)
        .at(2, offer("carol", 30))
        .then("relay to alice")
        .at(2, offer("carol", 30))
        .then()
    )
    play("proto/low").at(1, offer("bob", 9)).then(
        "relay to alice", "accept bob at 9", "outcome committed: awarded, bob at 9"
    )
    play("proto/low").at(1, refusal("bob")).then("relay to alice", "outcome no_award: no_offers")


def test_what_is_broken_after_an_answer_counts_for_nothing(play: Make) -> None:
    play().at(1, offer("bob", 9)).told().at(2, malformed("bob")).then().at(10, TIME_UP).told(
        "accept bob at 9"
    ).shows(malformed=0)


def test_the_timeout_variant_of_proto_low_closes_by_time_only(play: Make) -> None:
    (
        play("proto/low-timeout")
        .at(1, offer("bob", 9))
        .then("relay to alice")
        .at(2, offer("carol", 1))
        .then("relay to alice")
        .at(5, TIME_UP)
        .then("accept bob at 9", "outcome committed: awarded, bob at 9")
    )


def test_proto_medium_takes_the_first_offer_once_it_is_confirmed(play: Make) -> None:
    """Late offers are shown to the initiator and rejected, for a verdict is due to everybody."""
    (
        play("proto/medium")
        .at(1, offer("bob", 90))
        .then("relay to alice", "accept bob at 90")
        .is_in(Phase.CONFIRMING)
        .at(2, offer("carol", 1))
        .then("relay to alice", "reject carol: late")
        .at(3, confirmation("bob"))
        .then("relay to alice", "outcome committed: awarded, bob at 90")
        .shows(late=1)
    )


def test_proto_high_decides_on_expiry_among_two_offers_or_more(play: Make) -> None:
    one = play("proto/high").at(1, offer("bob", 40)).told()
    one.at(10, TIME_UP).then("reject bob: too_few_offers", "outcome no_award: too_few_offers")
    two = play("proto/high").at(1, offer("bob", 40)).told().at(1, offer("carol", 30)).told()
    two.at(10, TIME_UP).told("accept carol at 30", "reject bob: outbid")
    early = play("proto/high-multiple").at(1, offer("bob", 40)).told()
    early.at(2, offer("carol", 30)).told("accept carol at 30", "reject bob: outbid")


def test_paper_replay_counts_as_the_published_tables_do(play: Make) -> None:
    """All offers are recorded, though the round closed at the first; losers hear nothing."""
    low = play("paper-replay/low").at(1, offer("bob", 40)).told("accept bob at 40")
    low.at(2, offer("carol", 1)).then("relay to alice").at(3, offer("dave", 1)).then(
        "relay to alice"
    )
    assert len(low.state.aside.late) == 2
    medium = play("paper-replay/medium").at(1, offer("bob", 40)).told("accept bob at 40")
    medium.at(2, offer("carol", 1)).then("relay to alice").at(3, confirmation("bob")).told()
    high = play("paper-replay/high").at(1, offer("bob", 40)).told().at(1, offer("carol", 3)).told()
    high.at(1, offer("dave", 5)).told("accept carol at 3").shows(offers=3, complete=True)
    none = play("paper-replay/high").at(1, offer("bob", 40)).told()
    none.at(10, TIME_UP).told()
    none.shows(state="no_award", reason="too_few_offers")


def test_a_round_that_expires_before_its_quorum_may_award_nothing(play: Make) -> None:
    policy = {"quorum": 2, "on_expiry": "no_award"}
    play(policy=policy).at(1, offer("bob", 4)).told().at(10, TIME_UP).then(
        "reject bob: quorum_not_met", "outcome no_award: quorum_not_met"
    )


def test_a_round_listens_on_after_its_quorum(play: Make) -> None:
    """For `settle` seconds, not beyond its window, and no longer than somebody is missing."""
    policy = {"quorum": 1, "settle": 3.0, "on_expiry": "no_award"}
    (
        play(policy=policy)
        .at(1, offer("bob", 4))
        .then("relay to alice")
        .is_in(Phase.OPEN, due=4)
        .at(3, offer("carol", 3))
        .then("relay to alice")
        .is_in(Phase.OPEN, due=4)
        .at(4, TIME_UP)
        .told("accept carol at 3", "reject bob: outbid")
        .shows(closed_by="quorum")
    )
    play(policy=policy).at(9, offer("bob", 4)).told().is_in(Phase.OPEN, due=10).at(
        10, TIME_UP
    ).told("accept bob at 4").shows(closed_by="quorum")
    (
        play(policy=policy, agents="bob carol")
        .at(1, offer("bob", 4))
        .told()
        .at(2, offer("carol", 5))
        .told("accept bob at 4", "reject carol: outbid")
        .shows(closed_by="quorum", complete=True)
    )


def test_any_answer_counts_once_for_each_agent(play: Make) -> None:
    """An agent that mends what it broke has answered once."""
    policy = {"quorum": 2, "counts": "any"}
    (
        play(policy=policy)
        .at(1, malformed("bob"))
        .then()
        .at(1, malformed("bob"))
        .then()
        .at(2, offer("bob", 4))
        .then("relay to alice")
        .at(2, malformed("bob"))
        .then()
        .at(3, refusal("carol"))
        .then("relay to alice", "accept bob at 4", "outcome committed: awarded, bob at 4")
    )


def test_the_first_offer_of_a_round_without_quorum_wins_by_arrival(play: Make) -> None:
    play(policy={"select": "first"}).at(1, offer("bob", 9)).told().at(
        2, offer("carol", 1)
    ).told().at(10, TIME_UP).told("accept bob at 9", "reject carol: not_first")


def test_a_sealed_offer_is_shown_to_nobody_before_the_close(play: Make) -> None:
    """N-6.1: no bid content leaves before the close, and a cancelled round stays closed."""
    sealed = {"select": "vickrey"}
    (
        play(policy=sealed)
        .at(1, offer("bob", 9, revocable=True))
        .then()
        .at(1, offer("carol", 8))
        .then()
        .at(2, refusal("dave"))
        .then("accept carol at 9", "reject bob: outbid", "outcome committed: awarded, carol at 9")
    )
    (
        play(policy=sealed)
        .at(1, offer("bob", 9, revocable=True))
        .then()
        .at(1, cancellation("bob"))
        .then()
        .at(1, refusal("carol"))
        .then()
        .at(2, cancellation())
        .then("cancel dave: cancelled", "outcome cancelled: cancelled")
        .shows(ranking=[])
    )


def test_a_probe_changes_nothing_for_anybody(play: Make) -> None:
    """N-6.5: it can neither win nor set the price; a probed round has the same outcome."""

    def round_of(*, probed: bool) -> Play:
        made = play(policy={"select": "vickrey"}, reserve=20.0)
        for name, value in (("bob", 9), ("carol", 8), ("dave", 12)):
            if probed:
                made.at(1, probe(1)).then()
            made.at(1, offer(name, value))
            made.told(
                *(
                    ["accept carol at 9", "reject bob: outbid", "reject dave: outbid"]
                    if name == "dave"
                    else []
                )
            )
        if probed:
            made.at(2, probe(1)).then()
        return made

    probed = round_of(probed=True)
    assert probed.outcome == round_of(probed=False).outcome
    marked = [event for _, event in probed.events if getattr(event, "probe", False)]
    assert len(marked) == 4, "the record keeps what was a probe"


def test_terms_that_break_their_issues_are_refused_before_anybody_weighs_them() -> None:
    """What has no worth cannot be compared with an earlier offer."""
    hours = Issue("hours", "integer", 1.0, 3.0, better="low", weight=1.0)
    rules = Fairness(FairnessRules(must_concede=True))
    state, _ = open_call(make_call(issues=(hours,), fairness=rules), 0.0)
    _, effects = step(state, offer("bob", 5.0), 1.0)
    assert [words(effect) for effect in effects] == ["refuse bob TERMS_INVALID"]
