"""Fairness rules at work in protocols."""

from __future__ import annotations

from typing import Any

import pytest

from policy.call import Call
from policy.effects import Refuse, Tell
from policy.events import Event, RevisedCallReceived
from policy.fairness import Fairness, FairnessRules
from policy.protocols import PROTOCOLS
from policy.served import Served, Standing
from policy.table import Table
from tests.support.plays import TIME_UP, make_call, offer, probe

STANDING = Standing(
    {"agent://bob": Served(2, 10.0, 5.0), "agent://carol": Served(1, 4.0, 1.0)}, total=3
)


def rules(
    ratings: dict[str, float] | None = None, left_out: dict[str, str] | None = None, **asked: Any
) -> Fairness:
    return Fairness(FairnessRules(**asked), STANDING, ratings or {}, left_out or {})


def played(call: Call, *events: Event) -> dict[str, Any]:
    """Return the outcome of a call that hears these events at 1, or until its time is up."""
    protocol = PROTOCOLS[call.protocol]
    state, effects = protocol.open_call(call, 0.0)
    for event in events:
        state, more = protocol.step(state, event, 1.0)
        effects = [*effects, *more]
    _, more = protocol.step(state, TIME_UP, state.due)
    told = [one for one in (*effects, *more) if isinstance(one, Tell) and "outcome" in one.body]
    outcome: dict[str, Any] = dict(told[-1].body["outcome"])  # type: ignore[call-overload]
    return outcome


def winner(call: Call, *events: Event) -> str:
    found: str = played(call, *events)["winners"][0]["agent"]
    return found.removeprefix("agent://")


THREE = (offer("bob", 40), offer("carol", 40), offer("dave", 40))


def test_of_equal_bids_the_one_served_longest_ago_wins() -> None:
    """The earliest wins without the rule; with it, who never had an award."""
    assert winner(make_call(fairness=rules()), *THREE) == "bob"
    fair = make_call(fairness=rules(tie_break="least_recently_served"))
    assert winner(fair, *THREE) == "dave"
    assert winner(fair, *THREE[:2]) == "carol"
    assert winner(fair, offer("bob", 39), *THREE[1:]) == "bob", "no equal, so no tie"


def test_where_the_first_wins_the_tie_break_has_no_say() -> None:
    call = make_call("flow/low", fairness=rules(tie_break="least_recently_served"))
    assert winner(call, *THREE[:1]) == "bob"
    several = make_call(
        policy={"select": "first"}, fairness=rules(tie_break="least_recently_served")
    )
    assert winner(several, *THREE) == "bob"


def test_the_word_of_a_liar_counts_less_and_its_price_stays_its_own() -> None:
    """§7: the rating is a multiplier on the claim; what is paid is what was bid."""
    liar = rules({"agent://bob": 0.5}, by_rating=True)
    bids = (offer("bob", 90), offer("carol", 50), offer("dave", 40))
    assert winner(make_call(fairness=rules(by_rating=True), direction="allocate"), *bids) == "bob"
    outcome = played(make_call(fairness=liar, direction="allocate"), *bids)
    assert outcome["winners"][0]["agent"] == "agent://carol"
    assert [entry["score"] for entry in outcome["ranking"]] == [50, 45, 40]
    asked = played(make_call(fairness=liar), *bids)
    assert asked["winners"][0] | {"agent": ""} == {
        "agent": "",
        "offer_id": "dave-offer",
        "value": 40,
        "price": 40,
        "rank": 1,
    }
    by_utility = make_call(fairness=liar, utility="value")
    assert winner(by_utility, *bids) == "carol"


def test_an_offer_without_utility_is_not_weighed() -> None:
    call = make_call(fairness=rules({"agent://bob": 0.5}, by_rating=True), utility="quality")
    outcome = played(call, *THREE)
    assert {entry["reason"] for entry in outcome["ranking"]} == {"no_utility"}


def test_a_second_price_auction_is_not_ranked_by_rating() -> None:
    """Its winner would pay for the rating of another, or more than it has bid."""
    fair = rules(by_rating=True)
    for call in (
        make_call("flow/high", policy={"select": "vickrey"}, fairness=fair),
        make_call(protocol="sealed-bid", options={"price": "second"}, fairness=fair),
    ):
        (refused,) = Table().open(call, 0.0)
        assert isinstance(refused, Refuse) and refused.code == "OPTIONS_INVALID"


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_a_call_to_too_few_is_refused_whatever_its_protocol(protocol: str) -> None:
    decider = "initiator" if protocol == "iterated-contract-net" else "engine"
    call = make_call(
        protocol=protocol, decider=decider, agents="bob", fairness=rules(min_eligible=2)
    )
    (refused,) = Table().open(call, 0.0)
    assert isinstance(refused, Refuse) and refused.code == "FAIRNESS_RULE"
    fair = make_call(
        protocol=protocol, decider=decider, agents="bob", fairness=rules(min_eligible=1)
    )
    assert not any(isinstance(effect, Refuse) for effect in Table().open(fair, 0.0))


def test_the_outcome_tells_how_evenly_awards_are_shared() -> None:
    """N-8.1: Jain's index over awards and utility, of the window with this award, and latency."""
    call = make_call(
        agents="bob carol dave", fairness=rules(left_out={"agent://erin": "max_share"})
    )
    told = played(call, *THREE[2:])["fairness"]
    assert told["awards"] == pytest.approx((2 + 1 + 1) ** 2 / (4 * (4 + 1 + 1)))
    assert told["utility"] == pytest.approx((10 + 4 + 40) ** 2 / (4 * (100 + 16 + 1600)))
    assert told["latency"] == 1.0
    assert told["agents"] == 4
    assert told["left_out"] == {"agent://erin": "max_share"}
    assert "fairness" not in played(make_call(), *THREE)


def revised(number: int, *names: str) -> RevisedCallReceived:
    invited = tuple(f"agent://{name}" for name in names)
    return RevisedCallReceived("agent://alice", f"call-{number}", number, invited, 20.0, 20.0, {})


def second_round(bid: float, **fields: Any) -> list[object]:
    """Return what is said to an offer of bob's in round 2, whose offer in round 1 was 40."""
    call = make_call(
        protocol="iterated-contract-net", decider="initiator", agents="bob carol", **fields
    )
    protocol = PROTOCOLS[call.protocol]
    state, _ = protocol.open_call(call, 0.0)
    for event in (THREE[0], THREE[1], revised(2, "bob", "carol")):
        state, _ = protocol.step(state, event, 1.0)
    offered = {"value": bid, "round": 2} if bid else {"round": 2}
    _, effects = protocol.step(state, offer("bob", bid, "again", fields=offered), 2.0)
    return list(effects)


def test_a_further_offer_that_is_no_better_hears_what_would_be() -> None:
    concede = rules(must_concede=True)
    (told,) = second_round(41, fairness=concede)
    assert isinstance(told, Refuse)
    assert told.reason == "the value of your last offer was 40, and that of this one is 41"
    assert told.remedy == "offer a value below 40, or refuse"
    (told,) = second_round(39, fairness=concede, utility="2 * value")
    assert isinstance(told, Refuse)
    assert told.reason == "the utility of your last offer was 80, and that of this one is 78"
    assert told.remedy == "offer a utility above 80, or refuse"


def refused(effects: list[object]) -> bool:
    return any(isinstance(one, Refuse) and one.code == "MUST_CONCEDE" for one in effects)


def test_in_a_further_round_an_offer_must_be_better_if_the_call_says_so() -> None:
    """The rule N-2.4 asks the initiator to move one way only; this asks the contractors."""
    concede = rules(must_concede=True)
    assert refused(second_round(40, fairness=concede))
    assert refused(second_round(41, fairness=concede))
    assert not refused(second_round(39, fairness=concede))
    assert not refused(second_round(41, fairness=rules()))
    assert not refused(second_round(41))
    assert refused(second_round(39, fairness=concede, direction="allocate"))
    assert refused(second_round(39, fairness=concede, utility="value"))
    assert not refused(second_round(0, fairness=concede, utility="value"))


def test_a_probe_passes_every_rule() -> None:
    """N-6.5: with rules of fairness too a probed round has the same outcome."""
    call = make_call(fairness=rules(tie_break="least_recently_served", must_concede=True))
    assert played(call, probe(1), *THREE, probe(2)) == played(call, *THREE)
