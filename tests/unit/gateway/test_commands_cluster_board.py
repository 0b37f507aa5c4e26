"""What the demo of a cluster has heard, and whether it is as the rules promise."""

from __future__ import annotations

from typing import Any

from gateway.commands.cluster_board import ClusterBoard, Homes

INITIATORS = {"initiator-eu": "agent://alice-eu", "initiator-us": "agent://alice-us"}
CONTRACTORS = ["agent://bob", "agent://carol"]


def told(process: str, event: str, at: float, negotiation: str, **facts: Any) -> dict[str, Any]:
    ms = (at - 1.0) * 1000
    return {"process": process, "event": event, "at": at, "ms": ms, "negotiation": negotiation} | (
        facts
    )


def opened(region: str, negotiation: str, at: float = 1.0) -> dict[str, Any]:
    facts = {"eligible": CONTRACTORS, "policy": "flow/high@1"}
    return told(f"initiator-{region}", "opened", at, negotiation, **facts)


def made(agent: str, negotiation: str, at: float) -> dict[str, Any]:
    facts = {"agent": agent, "value": 40, "conditions": None, "terms": None}
    return told(agent, "offer", at, negotiation, **facts)


def heard(region: str, agent: str, negotiation: str, at: float) -> dict[str, Any]:
    facts = {"agent": agent, "offer_id": "o", "value": 40, "conditions": {}}
    return told(f"initiator-{region}", "offer", at, negotiation, **facts)


def verdict(agent: str, negotiation: str, at: float, *, won: bool) -> dict[str, Any]:
    facts = {"agent": agent, "won": won, "price": 40 if won else None, "reason": ""}
    return told(agent, "verdict", at, negotiation, **facts)


def outcome(region: str, negotiation: str, at: float, winner: str) -> dict[str, Any]:
    body = {"state": "committed", "winners": [{"agent": winner, "price": 40}], "offers": 2}
    return told(f"initiator-{region}", "outcome", at, negotiation, outcome=body)


def board_of(*events: dict[str, Any]) -> ClusterBoard:
    board = ClusterBoard(INITIATORS)
    for agent, home in (("bob", "us"), ("carol", "eu"), ("alice-eu", "eu"), ("alice-us", "us")):
        board.at(f"agent://{agent}", home)
    board.begin_round(1, "flow/high@1")
    for event in events:
        board.hear(event)
    return board


def test_an_agent_is_where_it_was_seen_last():
    homes = Homes()
    assert (str(homes), homes.now) == ("–", "")
    assert [homes.seen(name) for name in ("us", "us", "", "ap")] == [True, False, False, True]
    assert (str(homes), homes.now) == ("us→ap", "ap")


def test_calls_that_run_at_once_are_kept_apart():
    board = board_of(opened("eu", "eu.1.a"), opened("us", "us.1.b"))
    eu, us = board.calls
    assert (eu.initiator, eu.at, eu.decider.now) == ("agent://alice-eu", "eu", "eu")
    assert (us.round.negotiation_id, us.is_open, us.opened) == ("us.1.b", True, 1)
    board.hear(made("agent://bob", "eu.1.a", 1.1))
    assert "agent://bob" in eu.round.bids and us.round.bid("agent://bob").value is None


def test_a_whole_round_is_as_the_rules_promise():
    events = []
    for region, negotiation in (("eu", "eu.1.a"), ("us", "us.1.b")):
        events.append(opened(region, negotiation))
        for agent in CONTRACTORS:
            events.append(made(agent, negotiation, 1.1))
            events.append(heard(region, agent, negotiation, 1.2))
        events.append(outcome(region, negotiation, 1.3, "agent://bob"))
        events.append(verdict("agent://bob", negotiation, 1.4, won=True))
        events.append(verdict("agent://carol", negotiation, 1.4, won=False))
    board = board_of(*events)
    assert board.faults() == []
    assert all(call.round.is_settled for call in board.calls)
    assert board.ways() == {
        ("us", "eu", "eu"): 1,
        ("eu", "eu", "eu"): 1,
        ("us", "us", "us"): 1,
        ("eu", "us", "us"): 1,
    }


def test_who_hears_nothing_is_named_with_its_call():
    board = board_of(opened("eu", "eu.1.a"), made("agent://bob", "eu.1.a", 1.1))
    board.hear(outcome("eu", "eu.1.a", 1.3, "agent://bob"))
    faults = board.faults()
    assert "round 1, agent://alice-eu: agent://bob offered and heard neither" in faults[0]
    assert "round 1, agent://alice-us: no outcome was heard" in faults


def test_a_call_that_goes_on_under_another_id_is_one_call():
    """Its offers were made under the first id and are judged under the second."""
    board = board_of(
        opened("eu", "eu.1.a"),
        made("agent://bob", "eu.1.a", 1.1),
        heard("eu", "agent://bob", "eu.1.a", 1.2),
        verdict("agent://bob", "us.2.c", 2.0, won=True),  # before the initiator speaks of it
        opened("eu", "us.2.c", 1.9),
        made("agent://carol", "us.2.c", 2.1),
        heard("eu", "agent://carol", "us.2.c", 2.2),
        outcome("eu", "us.2.c", 2.3, "agent://bob"),
        verdict("agent://carol", "us.2.c", 2.4, won=False),
    )
    call = board.calls[0]
    assert call.faults() == []
    assert (call.opened, call.decider.trail) == (2, ["eu", "us"])
    assert call.ways["agent://carol"] == ("eu", "us", "eu")


def test_a_second_verdict_in_another_negotiation_of_the_same_call_is_a_fault():
    board = board_of(
        opened("eu", "eu.1.a"),
        made("agent://bob", "eu.1.a", 1.1),
        verdict("agent://bob", "eu.1.a", 1.2, won=True),
        opened("eu", "us.2.c", 1.9),
        verdict("agent://bob", "us.2.c", 2.0, won=True),
        outcome("eu", "us.2.c", 2.3, "agent://bob"),
    )
    assert any("agent://bob heard 2 verdicts" in fault for fault in board.calls[0].faults())


def test_a_negotiation_that_another_gateway_takes_over_keeps_its_id():
    board = board_of(opened("eu", "eu.1.a"))
    board.decided_by("eu.1.a", "ap")
    board.decided_by("nobody.1.x", "us")
    assert str(board.calls[0].decider) == "eu→ap"


def test_a_call_that_is_refused_is_a_fault_of_that_call():
    refused = {"process": "initiator-us", "event": "refused", "code": "OVERLOADED", "at": 1.0}
    board = board_of(refused)
    assert board.calls[0].round.refused is None
    assert "OVERLOADED" in board.calls[1].faults()[0]


def test_rounds_follow_each_other():
    board = board_of(opened("eu", "eu.1.a"))
    board.at("agent://alice-eu", "ap")
    board.begin_round(2, "flow/low@1")
    board.hear(opened("eu", "ap.1.d"))
    assert [(call.number, call.opened) for call in board.calls] == [(1, 1), (1, 0), (2, 1), (2, 0)]
    assert (board.calls[2].at, board.calls[2].decider.now) == ("ap", "ap")
    assert board.hear({"process": "agent://bob", "event": "note", "text": "lost"}) is None
