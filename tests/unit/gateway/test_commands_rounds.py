"""What the demo has heard, and whether it is as the rules promise."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.commands.rounds import Board, Round

N = "demo.1.n"
AGENTS = ("agent://bob", "agent://carol")


def initiator(event: str, at: float, **facts: Any) -> dict[str, Any]:
    return {"event": event, "at": at, "ms": (at - 1.0) * 1000, "negotiation": N, **facts}


def contractor(agent: str, event: str, at: float, **facts: Any) -> dict[str, Any]:
    return {"event": event, "at": at, "agent": agent, "negotiation": N, **facts}


def opened() -> dict[str, Any]:
    return initiator("opened", 1.0, eligible=list(AGENTS), policy="flow/high@1")


def offer(agent: str, value: float, at: float) -> list[dict[str, Any]]:
    """An offer as its contractor tells it, and 2 ms later the initiator."""
    return [
        contractor(agent, "offer", at, value=value, conditions=None, terms=None),
        initiator(
            "offer", at + 0.002, agent=agent, offer_id=f"o-{value}", value=value, conditions={}
        ),
    ]


def verdict(agent: str, at: float, *, won: bool, reason: str = "") -> dict[str, Any]:
    return contractor(agent, "verdict", at, won=won, reason=reason, price=30 if won else None)


def outcome(at: float, *winners: str, state: str = "committed") -> dict[str, Any]:
    body = {
        "state": state,
        "closed_by": "quorum",
        "policy": "flow/high@1",
        "offers": 2,
        "winners": [{"agent": agent, "price": 30.0} for agent in winners],
        "ranking": [{"agent": agent} for agent in AGENTS],
    }
    return initiator("outcome", at, outcome=body)


def heard(*events: dict[str, Any], everybody_hears: bool = True) -> Round:
    """Return the round of which these events tell."""
    board = Board()
    board.begin("high", everybody_hears=everybody_hears)
    for event in events:
        board.hear(event)
    assert board.current is not None
    return board.current


def a_good_round() -> list[dict[str, Any]]:
    return [
        opened(),
        *offer("agent://bob", 40, 1.1),
        *offer("agent://carol", 30, 1.2),
        outcome(1.21, "agent://carol"),
        verdict("agent://bob", 1.22, won=False, reason="outbid"),
        verdict("agent://carol", 1.22, won=True),
    ]


def test_a_round_in_which_everybody_heard_once_has_no_faults():
    played = heard(*a_good_round())
    assert played.is_settled
    assert played.faults() == []


def test_the_order_in_which_the_processes_speak_does_not_matter():
    forwards, backwards = heard(*a_good_round()), heard(*reversed(a_good_round()))
    assert backwards.is_settled
    assert backwards.faults() == []
    assert backwards.summary() == forwards.summary() | {"first_offer_ms": pytest.approx(202)}


def test_latencies_are_those_of_the_exchange_and_not_of_thinking():
    played = heard(*a_good_round())
    assert played.bids["agent://bob"].exchange_ms == pytest.approx(2)
    assert played.bids["agent://bob"].heard_ms == pytest.approx(102)
    assert played.decision_ms == pytest.approx(10)
    assert played.outcome_ms == pytest.approx(210)


def test_a_round_is_not_settled_before_the_last_bidder_has_heard():
    assert not heard(*a_good_round()[:-2]).is_settled
    assert not heard(*a_good_round()[:-1]).is_settled


def test_who_has_not_answered_yet_is_waited_for():
    events = [event for event in a_good_round() if event.get("agent") != "agent://bob"]
    assert not heard(*events).is_settled
    declined = contractor("agent://bob", "declined", 1.3, reason="no_capacity")
    assert heard(*events, declined).is_settled


def test_where_the_policy_promises_no_verdict_only_winners_are_waited_for():
    winner_only = a_good_round()[:-2] + a_good_round()[-1:]
    assert heard(*winner_only, everybody_hears=False).is_settled
    assert heard(*winner_only, everybody_hears=False).faults() == []
    assert not heard(*a_good_round()[:-2], everybody_hears=False).is_settled


def test_a_bidder_that_heard_nothing_is_a_fault():
    faults = heard(*a_good_round()[:-2], a_good_round()[-1]).faults()
    assert faults == ["agent://bob offered and heard neither accept nor reject"]


def test_a_second_verdict_is_a_fault():
    again = contractor("agent://bob", "verdict_again", 1.4)
    assert heard(*a_good_round(), again).faults() == ["agent://bob heard a second verdict"]


def test_a_winner_that_is_not_the_outcomes_is_a_fault():
    events = [*a_good_round()[:-2]]
    events += [verdict("agent://bob", 1.3, won=True), verdict("agent://carol", 1.3, won=False)]
    assert heard(*events).faults() == [
        "agent://carol won and was not told so",
        "agent://bob was told that it won and has not",
    ]


def test_a_verdict_without_an_offer_is_a_fault():
    events = [opened(), outcome(1.1, state="no_award"), verdict("agent://bob", 1.2, won=False)]
    assert heard(*events).faults() == ["agent://bob heard a verdict without an offer"]


def test_a_round_without_an_outcome_is_a_fault():
    assert heard(opened()).faults() == ["no outcome was heard"]


def test_a_call_that_was_refused_is_a_fault_and_over():
    refused = {"event": "refused", "at": 1.0, "code": "POLICY_INVALID", "pointer": "/payload"}
    refused |= {"reason": "no profile has this name", "remedy": "use one of high, low"}
    played = heard(refused)
    assert played.is_settled
    (fault,) = played.faults()
    assert fault.startswith("the call was refused: POLICY_INVALID at /payload: ")
    assert fault.endswith("no profile has this name; use one of high, low")


def test_an_offer_in_words_is_no_bid_until_it_is_mended():
    careless = contractor("agent://bob", "offer", 1.1, value="40 credits")
    refused = contractor("agent://bob", "refused", 1.11, code="SCHEMA_VIOLATION", mended=True)
    played = heard(opened(), careless, refused)
    assert not played.bids["agent://bob"].has_answered
    for event in offer("agent://bob", 40, 1.12):
        mended = heard(opened(), careless, refused, event)
        assert mended.bids["agent://bob"].value == 40
    assert mended.summary()["refused"] == 1


def test_who_gives_up_after_a_refusal_owes_no_bid():
    careless = contractor("agent://bob", "offer", 1.1, value="40 credits")
    refused = contractor("agent://bob", "refused", 1.11, code="SCHEMA_VIOLATION", mended=False)
    bid = heard(opened(), careless, refused).bids["agent://bob"]
    assert bid.has_answered and not bid.is_bidding


def test_late_offers_are_counted():
    late = [
        contractor("agent://bob", "offer", 1.5, value=1),
        verdict("agent://bob", 1.6, won=False, reason="late"),
    ]
    events = [event for event in a_good_round() if event.get("agent") != "agent://bob"]
    assert heard(*events, *late).summary()["late"] == 1


def test_notes_are_kept_and_belong_to_no_round():
    board = Board()
    board.begin("high", everybody_hears=True)
    assert board.hear({"event": "note", "text": "the gateway is away"}) is None
    assert board.notes == ["the gateway is away"]
    assert board.current is None


def test_what_was_told_under_another_id_belongs_to_the_round_too():
    """A negotiation whose gateway was lost may go on under another id."""
    first = heard(opened(), *offer(AGENTS[0], 40, 1.1), *offer(AGENTS[1], 30, 1.2))
    stray = Round()
    stray.bid(AGENTS[1]).verdicts.append({"won": True})
    stray.bid(AGENTS[0]).verdicts.append({"won": False, "reason": "dearer"})
    stray.bid("agent://dave").declined = "no_capacity"
    first.absorb(stray)
    assert first.bid(AGENTS[1]).won and first.bid(AGENTS[1]).value == 30
    assert first.bid("agent://dave").has_answered
    first.absorb(stray)
    assert first.bid(AGENTS[0]).verdicts != [], "and twice is seen"
