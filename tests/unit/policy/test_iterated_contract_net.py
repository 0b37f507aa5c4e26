"""The iterated contract net in plays: who is called again, and how it ends (N-2.1, N-2.2)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from policy.call import Call
from policy.events import AcceptReceived, CommitmentReceived, CounterReceived
from policy.iterated_contract_net import HEARD, Iterations, State, objection
from policy.states import Phase
from tests.support.iterations import Make, closed, iterated, second
from tests.support.plays import (
    TIME_UP,
    accept,
    cancellation,
    confirmation,
    gone,
    make_call,
    malformed,
    not_understood,
    offer,
    probe,
    refusal,
    reject,
    report,
    revision,
    thinking,
)


def test_only_those_that_offered_are_called_again_and_the_others_hear_reject(play: Make) -> None:
    """N-2.1: who is not invited to round r+1 hears reject in r; nobody else can be invited."""
    made = iterated(play, agents="bob carol dave erin")
    made.at(1, offer("bob", 9)).told().at(1, offer("carol", 8)).told().at(1, refusal("dave")).told()
    made.at(10, TIME_UP).then("show alice carol bob until 40")
    for stranger in ("dave", "erin", "mallory", "alice"):
        made.at(11, revision(f"bob {stranger}", 2)).then("refuse alice INVALID_ADDRESS")
    made.at(11, revision("", 2)).then("refuse alice INVALID_ADDRESS")
    (
        made.at(11, revision("bob", 2))
        .then("reject carol: not_invited", "relay to bob")
        .is_in(Phase.OPEN, 100)
        .at(12, offer("carol", 1, "carol-again"))
        .then("refuse carol LATE")
        .at(12, offer("erin", 1))
        .then("refuse erin LATE")
        .at(12, offer("bob", 5, "bob-again"))
        .then("relay to alice", "show alice bob until 42")
        .at(13, revision("carol", 3))
        .then("refuse alice INVALID_ADDRESS")
    )


def test_an_offer_that_has_had_its_last_word_is_not_called_again(play: Make) -> None:
    """N-2.1: a reject is final, and one is enough."""
    (
        closed(play)
        .at(2, reject("bob"))
        .then("reject bob: rejected")
        .at(2, revision("bob carol", 2))
        .then("refuse alice INVALID_ADDRESS")
        .at(2, revision("carol", 2))
        .then("reject dave: not_invited", "relay to carol")
    )


def test_the_negotiation_ends_when_the_initiator_accepts(play: Make) -> None:
    """N-2.2: one accept or more, in whichever round; the first offers cannot be accepted now."""
    (
        second(play)
        .at(3, offer("carol", 6, "carol-2"))
        .then("relay to alice")
        .at(3, offer("dave", 5, "dave-2"))
        .then("relay to alice", "show alice dave carol until 33")
        .at(4, accept("dave"))
        .then("refuse alice UNKNOWN_OFFER")
        .at(4, AcceptReceived("agent://alice", "yes", "dave-2"))
        .then(
            "accept dave at 5",
            "reject carol: not_chosen",
            "outcome committed: awarded, dave at 5",
        )
        .shows(round=2, eligible=2, offers=2, closed_by="quorum")
        .at(5, revision("carol", 3))
        .then("refuse alice WRONG_STATE")
    )


def test_who_has_accepted_an_offer_opens_no_other_round(play: Make) -> None:
    """N-2.2: with two units to award, the first accept makes this round the last."""
    (
        closed(play, max_awards=2)
        .at(2, accept("dave"))
        .then()
        .at(2, revision("carol", 2))
        .then("refuse alice WRONG_STATE")
        .at(3, accept("carol"))
        .told("accept dave at 7", "accept carol at 8", "reject bob: not_chosen")
    )


def test_the_negotiation_ends_when_all_offers_are_rejected(play: Make) -> None:
    """N-2.2: without a new call."""
    (
        second(play)
        .at(3, offer("carol", 6, "carol-2"))
        .told()
        .at(3, refusal("dave"))
        .told("show alice carol until 33")
        .at(4, reject(""))
        .then("reject carol: rejected", "outcome no_award: rejected")
        .shows(round=2)
    )


def test_the_negotiation_ends_when_everybody_refuses(play: Make) -> None:
    """N-2.2: nobody is left to accept or to call; an offer of an earlier round binds nobody."""
    (
        second(play)
        .at(3, refusal("carol"))
        .then("relay to alice")
        .at(3, refusal("dave"))
        .then("relay to alice", "outcome no_award: no_offers")
    )
    second(play).at(100, TIME_UP).then("outcome no_award: no_offers")


def test_the_last_round_cannot_be_followed_by_another(play: Make) -> None:
    """N-2.2: r = rounds_max ends it; the initiator accepts, rejects, or runs out of time."""
    made = second(play, "dave", options={"rounds_max": 2})
    (
        made.at(3, offer("dave", 6, "dave-2"))
        .told("show alice dave until 33")
        .at(4, revision("dave", 3, msg_id="more"))
        .then("refuse alice WRONG_STATE")
        .at(33, TIME_UP)
        .then("reject dave: not_decided", "outcome no_award: not_decided")
    )


def test_an_act_of_an_earlier_round_is_known_again(play: Make) -> None:
    """A repeat changes nothing and is answered by nothing, however late it comes."""
    made = iterated(play)
    made.at(1, thinking("bob", 1)).told().at(1, offer("bob", 9)).told()
    made.at(1, offer("dave", 7)).told().at(10, TIME_UP).told("show alice dave bob until 40")
    made.at(11, offer("carol", 1)).then("reject carol: late")
    made.at(12, revision("bob dave", 2)).told()
    for event in (
        thinking("bob", 1),
        offer("bob", 9),
        offer("carol", 1),
        revision("bob dave", 2),
    ):
        before = made.state
        made.at(13, event).then()
        assert made.history[-1][0] is before


def test_time_is_up_before_an_act_that_comes_too_late(play: Make) -> None:
    """The round is closed by what comes after it, though no timer has said so yet."""
    made = second(play)
    made.at(3, offer("dave", 6, "dave-2")).told()
    made.at(101, revision("dave", 3, closes_at=200.0, deadline=200.0))
    made.then("show alice dave until 131", "relay to dave").is_in(Phase.OPEN, 200)


def test_an_agent_that_is_out_hears_that_it_comes_too_late(play: Make) -> None:
    """What nobody waits for an answer to is passed over."""
    made = second(play, "dave")
    for event in (gone("bob"), malformed("bob"), not_understood("bob")):
        made.at(3, event).then()
    for event in (
        refusal("bob"),
        thinking("bob"),
        cancellation("bob"),
        confirmation("bob"),
        report("bob"),
        CounterReceived("agent://bob", "no"),
        CommitmentReceived("agent://bob", "no", "0" * 64),
    ):
        made.at(3, event).then("refuse bob LATE")
    made.at(3, offer("mallory", 1)).then("refuse mallory NOT_A_PARTY")
    made.at(3, probe(1)).then()
    assert all(state == made.state for state, _ in made.history[-12:])


def test_a_winner_that_does_not_confirm_leaves_the_others_to_be_called_again(play: Make) -> None:
    (
        closed(play, policy={"confirm": True})
        .at(2, accept("dave"))
        .then("accept dave at 7")
        .at(3, refusal("dave", "no"))
        .then("relay to alice", "show alice dave carol bob until 33")
        .at(4, revision("dave", 2))
        .then("refuse alice INVALID_ADDRESS")
        .at(4, revision("carol bob", 2))
        .then("relay to bob", "relay to carol")
    )


def test_cancelling_a_later_round_reaches_those_that_are_in_it(play: Make) -> None:
    second(play).at(3, cancellation()).then(
        "cancel carol: cancelled", "cancel dave: cancelled", "outcome cancelled: cancelled"
    )


def test_an_operator_sees_who_dropped_out(play: Make) -> None:
    made = second(play, "dave")
    view = made.state.view()
    assert (view.round, view.offers) == (2, 0)
    assert view.parties == {
        "agent://bob": "dismissed",
        "agent://carol": "dismissed",
        "agent://dave": "called",
    }
    assert repr(made.state).startswith("<Round 2 of 3: <Negotiation g.0.n open")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "POLICY_INVALID"),
        ({"decider": "initiator", "round": 2}, "OPTIONS_INVALID"),
        ({"decider": "initiator", "policy": {"select": "vickrey"}}, "POLICY_INVALID"),
        ({"decider": "initiator", "max_awards": 0}, "POLICY_INVALID"),
    ],
)
def test_a_call_that_makes_no_sense_over_several_rounds_is_refused(
    fields: Mapping[str, object], code: str
) -> None:
    refused = objection(make_call(**fields))  # type: ignore[arg-type]
    assert refused is not None
    assert refused.code == code


def test_a_call_may_say_nothing_of_its_rounds() -> None:
    call: Call = make_call(decider="initiator")
    assert objection(call) is None
    assert Iterations.of(call) == Iterations(3, monotone=False)
    assert set(HEARD) == set(Phase)


def test_a_state_shows_itself_as_the_round_that_is_open(play: Make) -> None:
    state: State = second(play).state
    assert state.terms.eligible == {"agent://carol", "agent://dave"}
    assert not state.is_final
