"""A party that owes an answer may ask for more time, and never gets more than the bound."""

from __future__ import annotations

from collections.abc import Callable

from policy.contract_net import Phase
from policy.thinking import THOUGHTS_MAX
from tests.support.plays import (
    TIME_UP,
    Play,
    cancellation,
    gone,
    malformed,
    offer,
    refusal,
    report,
    thinking,
)

Make = Callable[..., Play]


def _windowed(play: Make, **fields: object) -> Play:
    """Return a play whose window ends at 5 and whose deadline is at 10."""
    return play(**{"policy": {"window": 5.0}, "deadline": 10.0, **fields})


def test_a_round_waits_for_who_thinks_beyond_its_window(play: Make) -> None:
    (
        _windowed(play)
        .at(1, offer("bob", 30))
        .then("relay to alice")
        .at(4, thinking("carol", 4))
        .then("relay to alice")
        .is_in(Phase.OPEN, due=8)
        .at(5, TIME_UP)
        .then()
        .at(7, offer("carol", 20))
        .then(
            "relay to alice",
            "accept carol at 20",
            "reject bob: outbid",
            "outcome committed: awarded, carol at 20",
        )
        .shows(closed_by="deadline", closed_at=7, complete=False)
    )


def test_a_round_waits_until_its_deadline_and_no_longer(play: Make) -> None:
    """Who is silent then has not answered; no answer is made up for it."""
    (
        _windowed(play)
        .at(1, offer("bob", 30))
        .then("relay to alice")
        .at(4, thinking("carol", 3600))
        .then("relay to alice")
        .is_in(Phase.OPEN, due=10)
        .at(10, thinking("carol", 3600, "more"))
        .then("relay to alice")
        .is_in(Phase.OPEN, due=10)
        .at(10.1, thinking("carol", 3600, "too-late"))
        .then("accept bob at 30", "outcome committed: awarded, bob at 30", "refuse carol LATE")
        .shows(closed_by="deadline", offers=1, refusals=0, complete=False)
    )


def test_a_thinker_that_stays_silent_is_as_silent_as_any_other(play: Make) -> None:
    (
        _windowed(play)
        .at(1, thinking("carol", 6))
        .then("relay to alice")
        .at(7, TIME_UP)
        .then("outcome no_award: no_offers")
        .shows(closed_by="deadline", offers=0, refusals=0, eligible=3)
        .at(8, offer("carol", 20))
        .then("reject carol: late")
    )


def test_without_a_window_thinking_is_told_and_extends_nothing(play: Make) -> None:
    (
        play()
        .at(1, thinking("bob", 3600))
        .then("relay to alice")
        .is_in(Phase.OPEN, due=10)
        .at(2, thinking("bob", 1, "shorter"))
        .then("relay to alice")
        .is_in(Phase.OPEN, due=10)
        .at(10, TIME_UP)
        .then("outcome no_award: no_offers")
    )


def test_the_last_word_of_a_thinker_counts(play: Make) -> None:
    """An agent that finds that it needs less says so, and nobody waits for nothing."""
    made = _windowed(play)
    for msg_id, seconds, due in (("most", 8, 9), ("less", 6, 7), ("least", 1, 5)):
        made.at(1, thinking("bob", seconds, msg_id)).then("relay to alice")
        made.is_in(Phase.OPEN, due=due)
    made.at(5, TIME_UP).then("outcome no_award: no_offers")


def test_the_window_goes_back_when_its_thinker_has_answered(play: Make) -> None:
    """Whether it offers, refuses or leaves."""
    for answer, relays in ((offer("bob", 30), 1), (refusal("bob"), 1), (gone("bob"), 0)):
        made = _windowed(play).at(1, thinking("bob", 8)).then("relay to alice")
        made.is_in(Phase.OPEN, due=9)
        made.at(2, answer).then(*["relay to alice"] * relays).is_in(Phase.OPEN, due=5)
        made.at(5, TIME_UP).told(*["accept bob at 30"] * ("-offer" in answer.msg_id))


def test_beyond_the_window_a_round_closes_with_the_last_that_thinks(play: Make) -> None:
    """The others had their time."""
    (
        _windowed(play, agents="bob carol dave erin")
        .at(1, thinking("bob", 8))
        .then("relay to alice")
        .at(1, thinking("carol", 7))
        .then("relay to alice")
        .at(6, gone("bob"))
        .then()
        .is_in(Phase.OPEN, due=8)
        .at(7, refusal("carol"))
        .then("relay to alice", "outcome no_award: no_offers")
        .shows(closed_by="deadline", closed_at=7)
    )


def test_whose_time_to_think_is_over_is_not_waited_for(play: Make) -> None:
    """At 8 bob thinks no more, though it has not answered: with carol the round is over."""
    (
        _windowed(play)
        .at(1, thinking("bob", 6))
        .then("relay to alice")
        .at(1, thinking("carol", 8))
        .then("relay to alice")
        .at(8, offer("carol", 20))
        .then("relay to alice", "accept carol at 20", "outcome committed: awarded, carol at 20")
        .shows(closed_by="deadline", closed_at=8)
    )


def test_who_does_not_think_may_answer_in_the_time_that_another_has_asked_for(play: Make) -> None:
    """The round is open, for everybody."""
    (
        _windowed(play)
        .at(1, thinking("bob", 8))
        .then("relay to alice")
        .at(6, offer("carol", 20))
        .then("relay to alice")
        .is_in(Phase.OPEN, due=9)
        .at(7, thinking("dave", 3))
        .then("relay to alice")
        .is_in(Phase.OPEN, due=10)
        .at(10, TIME_UP)
        .told("accept carol at 20")
    )


def test_a_quorum_that_is_met_waits_for_nobody(play: Make) -> None:
    """Or one slow agent would stop the first offer from winning."""
    (
        play("flow/low")
        .at(1, thinking("bob", 8))
        .then("relay to alice")
        .at(2, offer("carol", 20))
        .then("relay to alice", "accept carol at 20", "outcome committed: awarded, carol at 20")
    )
    (
        _windowed(play, policy={"window": 5.0, "quorum": 1, "settle": 1.0})
        .at(1, thinking("bob", 8))
        .then("relay to alice")
        .at(2, offer("carol", 20))
        .then("relay to alice")
        .is_in(Phase.OPEN, due=3)
        .at(2.5, thinking("dave", 8))
        .then("relay to alice")
        .is_in(Phase.OPEN, due=3)
        .at(3, TIME_UP)
        .told("accept carol at 20")
    )


def test_a_quorum_met_beyond_the_window_does_not_settle(play: Make) -> None:
    """To settle is to listen on within the window."""
    (
        _windowed(play, policy={"window": 5.0, "quorum": 1, "settle": 1.0})
        .at(1, thinking("bob", 8))
        .then("relay to alice")
        .at(6, offer("carol", 20))
        .then("relay to alice", "accept carol at 20", "outcome committed: awarded, carol at 20")
        .shows(closed_by="quorum", closed_at=6)
    )


def test_all_that_were_called_have_answered_and_the_round_closes_at_once(play: Make) -> None:
    (
        _windowed(play, agents="bob carol")
        .at(1, thinking("bob", 8))
        .then("relay to alice")
        .at(2, refusal("carol"))
        .then("relay to alice")
        .at(3, offer("bob", 30))
        .then("relay to alice", "accept bob at 30", "outcome committed: awarded, bob at 30")
        .shows(closed_by="all_answered", complete=True)
    )


def test_what_happens_on_expiry_happens_after_the_time_to_think_as_well(play: Make) -> None:
    (
        _windowed(play, policy={"window": 5.0, "on_expiry": "no_award"})
        .at(1, offer("bob", 30))
        .then("relay to alice")
        .at(1, thinking("carol", 8))
        .then("relay to alice")
        .at(7, refusal("carol"))
        .then("relay to alice", "reject bob: quorum_not_met", "outcome no_award: quorum_not_met")
    )


def test_an_agent_that_was_gone_and_thinks_is_waited_for_again(play: Make) -> None:
    (
        _windowed(play, agents="bob carol")
        .at(1, gone("bob"))
        .then()
        .at(2, thinking("bob", 2))
        .then("relay to alice")
        .at(3, offer("carol", 20))
        .then("relay to alice")
        .is_in(Phase.OPEN, due=5)
        .at(4.5, offer("bob", 10))
        .told("accept bob at 10", "reject carol: outbid")
    )


def test_who_thinks_may_send_something_broken_and_mend_it(play: Make) -> None:
    (
        _windowed(play)
        .at(1, thinking("bob", 8))
        .then("relay to alice")
        .at(6, malformed("bob"))
        .then()
        .is_in(Phase.OPEN, due=9)
        .at(7, offer("bob", 30))
        .told("accept bob at 30")
    )


def test_in_a_sealed_round_the_initiator_hears_that_somebody_thinks_and_no_more(
    play: Make,
) -> None:
    """N-6.1: no content of a bid is in it."""
    (
        play(policy={"select": "vickrey"}, agents="bob")
        .at(1, thinking("bob"))
        .then("relay to alice")
        .at(2, offer("bob", 30))
        .told("accept bob at 30")
    )


def test_only_who_owes_an_answer_may_think(play: Make) -> None:
    """N-1.12"""
    (
        play(agents="bob carol")
        .at(1, thinking("mallory"))
        .then("refuse mallory NOT_A_PARTY")
        .at(1, thinking("alice"))
        .then("refuse alice WRONG_STATE")
        .at(1, offer("bob", 30))
        .then("relay to alice")
        .at(2, thinking("bob"))
        .then("refuse bob ALREADY_ANSWERED")
        .at(10, TIME_UP)
        .told("accept bob at 30")
        .at(11, thinking("bob"))
        .then("refuse bob ALREADY_ANSWERED")
        .at(11, thinking("carol"))
        .then("refuse carol LATE")
        .at(11, thinking("alice"))
        .then("refuse alice WRONG_STATE")
        .at(11, thinking("mallory"))
        .then("refuse mallory NOT_A_PARTY")
    )


def test_the_same_thought_twice_counts_once(play: Make) -> None:
    made = _windowed(play).at(1, thinking("bob", 6)).then("relay to alice")
    before = made.state
    made.at(2, thinking("bob", 6)).then().is_in(Phase.OPEN, due=7)
    assert made.state == before


def test_nobody_asks_for_more_time_without_end(play: Make) -> None:
    made = _windowed(play)
    for number in range(THOUGHTS_MAX):
        made.at(1, thinking("bob", 6, f"t-{number}")).then("relay to alice")
    made.at(2, thinking("bob", 8, "one-more")).then("refuse bob WRONG_STATE")
    made.is_in(Phase.OPEN, due=7)
    made.at(3, thinking("carol", 7)).then("relay to alice").is_in(Phase.OPEN, due=10)


def test_who_thinks_hears_of_a_cancellation(play: Make) -> None:
    (
        play(agents="bob")
        .at(1, thinking("bob"))
        .then("relay to alice")
        .at(2, cancellation())
        .then("cancel bob: cancelled", "outcome cancelled: cancelled")
        .at(3, thinking("bob", msg_id="again"))
        .then("refuse bob LATE")
        .at(3, report("bob"))
        .then("relay to alice")
    )
