"""Monotonic concession, played: what is shown when, who has to concede, and every end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from policy.coin import toss
from policy.events import OfferReceived
from policy.issues import issues_of
from policy.monotonic_concession import objection
from policy.states import Phase
from tests.support import plays
from tests.support.bargains import (
    CONCESSION,
    Bargain,
    both,
    leave,
    make_bargain,
    propose,
    refusal_of,
    take,
)

Open = Callable[..., Bargain]
SCALAR = {"initiator": "1 - value / 10", "responder": "value / 10"}
"""A price from 0 to 10: alice buys, bob sells."""


@pytest.fixture
def bargain() -> Iterator[Open]:
    """Make bargains; each is checked when the test ends."""
    made: list[Bargain] = []

    def make(call: dict[str, Any] | None = None, **options: Any) -> Bargain:
        made.append(Bargain(make_bargain(CONCESSION, call=call, **options)))
        until = min(10, options.get("turn_within", 10))
        return made[-1].then(f"relay to bob: round 1 until {until}")

    yield make
    for one in made:
        one.end()


def tabled(game: Bargain, now: float, alice: float, bob: float, tag: str = "") -> Bargain:
    """Let both table their deals; what follows is left to claim."""
    game.at(now, propose("alice", alice, tag and f"alice-{tag}")).then()
    game.at(now, propose("bob", bob, tag and f"bob-{tag}"))
    return game


def step_told(step: int, shown: str, until: str = "10") -> tuple[str, str]:
    """Return what both hear after a step that goes on."""
    alice, bob = shown.split()
    turn = f": round {step + 1} until {until}"
    return (
        f"step {step} to alice, {shown}{turn}, {bob} stands",
        f"step {step} to bob, {shown}{turn}, {alice} stands",
    )


def test_a_call_between_two_with_nothing_more_can_be_opened():
    assert objection(make_bargain(CONCESSION)) is None


def test_nobody_is_shown_a_deal_before_both_have_tabled_one(bargain: Open):
    """N-4.1: each step both table a deal, simultaneously."""
    game = bargain().at(1, propose("alice", 2)).then()
    assert dict(game.state.view().values) == {}
    game.at(2, propose("alice", 3, "again")).then("refuse alice NOT_YOUR_TURN")
    game.at(2, propose("bob", 9)).then(*step_told(1, "alice-2 bob-9"))


# -------------------------------------------------------------------------------- agreement


def test_deals_that_meet_are_an_agreement(bargain: Open):
    """N-4.1: agreement iff U1(y) ≥ U1(x) or U2(x) ≥ U2(y)."""
    game = tabled(bargain(), 1, 5, 5)
    coin = toss("g.0.n", "step 1")
    game.then(*both(f"committed, {'alice-5' if coin.heads else 'bob-5'}"))
    apart = tabled(bargain(), 1, 4.9, 5)
    apart.then(*step_told(1, "alice-4.9 bob-5"))


def test_if_only_one_side_is_suited_it_gets_what_it_is_offered(bargain: Open):
    """N-4.1: if only one holds, that party's counter-offer is the deal."""
    flat_for_bob = {"initiator": "-value", "responder": "min(value, 5)"}
    game = tabled(bargain(utilities=flat_for_bob), 1, 6, 8)
    game.then(*both("committed, alice-6"))
    assert game.outcome["agreement"]["by"] == "agent://alice"
    assert "coin" not in game.outcome["agreement"]
    flat_for_alice = {"initiator": "-max(value, 5)", "responder": "value"}
    tabled(bargain(utilities=flat_for_alice), 1, 2, 4).then(*both("committed, bob-4"))


def test_if_both_are_suited_a_seeded_coin_decides(bargain: Open):
    """N-4.1: both hold, so pick by seeded coin, and log the seed."""
    chosen = set()
    for number in range(8):
        negotiation_id = f"g.0.{number}"
        game = Bargain(make_bargain(CONCESSION, call={"negotiation_id": negotiation_id}))
        game.then("relay to bob: round 1 until 10")
        tabled(game, 1, 7, 3)
        game.unclaimed = []
        agreement = game.outcome["agreement"]
        coin = toss(negotiation_id, "step 1")
        assert agreement["coin"] == {"seed": f"{negotiation_id}/step 1", "heads": coin.heads}
        assert agreement["by"] == ("agent://alice" if coin.heads else "agent://bob")
        chosen.add(agreement["by"])
        game.end()
    assert len(chosen) == 2, "the coin has two sides"


def test_to_accept_is_to_table_the_same(bargain: Open):
    game = tabled(bargain(), 1, 2, 9)
    game.then(*step_told(1, "alice-2 bob-9"))
    game.at(2, take("alice", "bob-9")).then()
    game.at(2, propose("bob", 9, "still"))
    coin = toss("g.0.n", "step 2")
    game.then(*both(f"committed, {'alice-takes-bob-9' if coin.heads else 'still'}"))
    assert game.outcome["agreement"]["terms"] == {"value": 9}


def test_only_what_is_shown_can_be_accepted(bargain: Open):
    game = bargain()
    game.at(1, take("alice", "bob-9")).then("refuse alice UNKNOWN_OFFER")
    tabled(game, 1, 2, 9).then(*step_told(1, "alice-2 bob-9"))
    game.at(2, take("alice", "bob-8")).then("refuse alice STALE_OFFER")


# ------------------------------------------------------------------------------- concession


def test_a_deal_is_never_worse_for_the_other_than_the_last(bargain: Open):
    """N-4.2: U2(x') ≥ U2(x) at every step."""
    game = tabled(bargain(), 1, 2, 9)
    game.then(*step_told(1, "alice-2 bob-9"))
    before = game.state
    game.at(2, propose("alice", 1)).then("refuse alice MUST_CONCEDE")
    assert refusal_of(game) == (
        "your last proposal said 2, and this one says 1",
        "propose a value of at least 2, repeat your last, accept, or end",
    )
    game.at(2, propose("bob", 10)).then("refuse bob MUST_CONCEDE")
    assert game.state == before


def test_one_concession_carries_the_step(bargain: Open):
    """N-4.2: otherwise each party stands still or concedes."""
    game = tabled(bargain(), 1, 2, 9)
    game.then(*step_told(1, "alice-2 bob-9"))
    tabled(game, 2, 2, 8, "y").then(*step_told(2, "alice-y bob-y"))
    tabled(game, 3, 3, 8, "z").then(*step_told(3, "alice-z bob-z"))


def test_if_neither_concedes_that_is_the_conflict(bargain: Open):
    """N-4.3: if neither concedes in a step, conflict deal, end."""
    game = tabled(bargain(), 1, 2, 9)
    game.then(*step_told(1, "alice-2 bob-9"))
    tabled(game, 2, 2, 9, "y").then(*both("no_award, conflict"))
    assert game.outcome["winners"] == []


def test_where_both_must_concede_nobody_may_stand_still(bargain: Open):
    """N-4.4: both concede every step."""
    game = tabled(bargain(concession="both", step_min=1), 1, 2, 9)
    game.then(*step_told(1, "alice-2 bob-9"))
    game.at(2, propose("alice", 2, "still")).then("refuse alice MUST_CONCEDE")
    game.at(2, propose("alice", 2.5)).then("refuse alice MUST_CONCEDE")
    assert refusal_of(game)[1] == "propose a value of at least 3, accept, or end"
    tabled(game, 2, 3, 8).then(*step_told(2, "alice-3 bob-8"))


def test_where_both_must_concede_by_any_step_the_last_is_not_enough(bargain: Open):
    game = tabled(bargain(concession="both"), 1, 2, 9)
    game.then(*step_told(1, "alice-2 bob-9"))
    game.at(2, propose("alice", 2, "still")).then("refuse alice MUST_CONCEDE")
    assert refusal_of(game)[1] == (
        "propose a value of at least 2 and better than your last, accept, or end"
    )


def test_a_small_concession_that_reaches_the_other_is_enough(bargain: Open):
    game = tabled(bargain(concession="both", step_min=2), 1, 4, 5)
    game.then(*step_told(1, "alice-4 bob-5"))
    game.at(2, propose("alice", 5)).then()
    game.at(2, propose("bob", 4))
    game.unclaimed = []
    assert game.state.phase is Phase.COMMITTED


@pytest.mark.parametrize("step_min", [0.5, 1.0, 3.0])
def test_both_conceding_end_within_the_range_by_the_step(bargain: Open, step_min: float):
    """N-4.4: it must end in ≤ ceil(range/ε) steps."""
    game = bargain(concession="both", step_min=step_min)
    alice, bob, steps = 0.0, 10.0, 0
    while game.state.phase is Phase.OPEN:
        steps += 1
        tabled(game, 1, alice, bob, f"s{steps}")
        game.unclaimed = []
        alice, bob = alice + step_min, bob - step_min
    assert game.state.phase is Phase.COMMITTED
    assert steps <= math.ceil(10 / step_min)


def test_the_steps_are_bounded_anyway(bargain: Open):
    """N-4.5: our guard, max_rounds anyway."""
    game = tabled(bargain(max_rounds=2), 1, 2, 9)
    game.then(*step_told(1, "alice-2 bob-9"))
    tabled(game, 2, 3, 9, "y").then(*both("no_award, rounds"))


def test_a_finite_set_of_deals_ends_it(bargain: Open):
    """N-4.5: finite D ⇒ at most |D1|+|D2| concessions ⇒ termination."""
    game, deals = bargain(), [1, 2, 3, 4]
    concessions, turn = 0, 0
    alice, bob = 0, len(deals) - 1
    while game.state.phase is Phase.OPEN:
        tabled(game, 1, deals[alice], deals[bob], f"t{turn}")
        game.unclaimed = []
        alice, bob = (alice + 1, bob) if turn % 2 else (alice, bob - 1)
        concessions, turn = concessions + 1, turn + 1
    assert game.state.phase is Phase.COMMITTED
    assert concessions <= 2 * len(deals)


# ----------------------------------------------------------------------------------- zeuthen


def test_who_has_the_lower_risk_concedes_and_only_that_one_is_asked(bargain: Open):
    """N-4.6: the one whose own deal has the smaller product concedes."""
    game = tabled(bargain(concession="zeuthen", utilities=SCALAR), 1, 2, 9)
    # alice's product is .8 * .2 = .16, bob's .9 * .1 = .09
    game.then(
        "step 1 to alice, alice-2 bob-9",
        "step 1 to bob, alice-2 bob-9: round 2 until 10, alice-2 stands",
    )
    game.at(2, propose("alice", 3)).then("refuse alice NOT_YOUR_TURN")
    game.at(2, propose("bob", 7)).then(  # .7 * .3 = .21
        "step 2 to alice, alice-2 bob-7: round 3 until 10, bob-7 stands",
        "step 2 to bob, alice-2 bob-7",
    )
    game.at(3, propose("alice", 5)).then(  # .25, the Nash point
        "step 3 to alice, alice-5 bob-7",
        "step 3 to bob, alice-5 bob-7: round 4 until 10, alice-5 stands",
    )
    game.at(4, propose("bob", 5))
    game.unclaimed = []
    assert game.outcome["agreement"]["value"] == 5


def test_who_is_asked_and_stands_still_makes_the_conflict(bargain: Open):
    """N-4.3: neither concedes, for the other one was not asked to."""
    game = tabled(bargain(concession="zeuthen", utilities=SCALAR), 1, 2, 9)
    game.unclaimed = []
    game.at(2, propose("bob", 9, "still")).then(*both("no_award, conflict"))


def test_of_equal_risks_a_seeded_coin_decides_who_concedes(bargain: Open):
    """N-4.6: equal, so seeded coin."""
    game = tabled(bargain(concession="zeuthen", utilities=SCALAR), 1, 2, 8)
    game.unclaimed = []
    coin = toss("g.0.n", "concede 1")
    assert game.state.to_move == (("agent://alice",) if coin.heads else ("agent://bob",))
    shown = game.tells[-1].body["result"]
    assert shown["coin"] == {"seed": "g.0.n/concede 1", "heads": coin.heads}  # type: ignore[index]


# -------------------------------------------------------------------------------------- time


def test_it_ends_at_the_deadline_whoever_has_tabled(bargain: Open):
    game = bargain().at(1, propose("alice", 2)).then()
    game.at(9, plays.TIME_UP).then()
    game.at(10, plays.TIME_UP).then(*both("no_award, deadline"))
    game.at(11, propose("bob", 2)).then("refuse bob LATE")
    game.at(11, propose("alice", 2)).then()


def test_an_act_after_the_deadline_finds_it_passed(bargain: Open):
    bargain().at(11, propose("bob", 2)).then(*both("no_award, deadline"), "refuse bob LATE")


def test_a_silent_party_ends_it_where_the_rules_say_so(bargain: Open):
    game = bargain(turn_within=3).at(1, propose("alice", 2)).then()
    game.at(3, plays.TIME_UP).then(*both("no_award, turn_timeout"))


def test_a_silent_party_stands_still_where_the_rules_say_so(bargain: Open):
    game = bargain(turn_within=3, on_timeout="repeat")
    tabled(game, 1, 2, 9).then(*step_told(1, "alice-2 bob-9", "4"))
    game.at(2, propose("alice", 3)).then()
    game.at(4, plays.TIME_UP).then(*step_told(2, "alice-3 bob-9", "7"))
    game.at(7, plays.TIME_UP).then(*both("no_award, conflict"))


@pytest.mark.parametrize("concession", ["both", "either"])
def test_who_may_not_stand_still_cannot_be_silent(bargain: Open, concession: str):
    game = bargain(turn_within=3, on_timeout="repeat", concession=concession)
    if concession == "both":
        tabled(game, 1, 2, 9).then(*step_told(1, "alice-2 bob-9", "4"))
        game.at(4, plays.TIME_UP).then(*both("no_award, turn_timeout"))
    else:  # nobody has a deal that could stand
        game.at(3, plays.TIME_UP).then(*both("no_award, turn_timeout"))


# ------------------------------------------------------------------------------- other words


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (leave("bob"), ""),
        (plays.refusal("bob"), ""),
        (plays.cancellation("bob", "busy"), " (busy)"),
        (plays.not_understood("bob"), " (not_understood)"),
    ],
)
def test_a_party_that_has_not_tabled_may_end_it(bargain: Open, act: Any, reason: str):
    game = bargain().at(1, act)
    game.then("relay to alice", *both(f"no_award, end{reason}"))


def test_the_initiator_may_take_its_call_back_at_any_time(bargain: Open):
    game = bargain().at(1, propose("alice", 2)).then()
    game.at(2, plays.cancellation()).then("relay to bob", *both("cancelled, end (cancelled)"))


def test_who_cannot_be_reached_and_is_to_move_ends_it(bargain: Open):
    game = bargain().at(1, propose("alice", 2)).then()
    game.at(1, plays.gone("alice")).then()
    game.at(1, plays.gone("bob")).then(*both("no_award, end (unreachable)"))


def test_thinking_and_remarks_are_passed_on(bargain: Open):
    game = bargain(turn_within=3).at(1, plays.thinking("bob", 4)).then("relay to alice")
    assert game.state.due == 5
    game.at(1, plays.report("alice")).then("relay to bob")
    game.at(1, plays.confirmation("alice")).then("refuse alice WRONG_STATE")


def test_a_deal_is_one_that_can_be_tabled_in_this_step(bargain: Open):
    issues = issues_of([{"name": "gpus", "type": "integer", "min": 1, "max": 8}])
    comparison = {"field": "value", "operator": "<", "value": 1}
    for offered, code in (
        (propose("bob", None), "TERMS_INVALID"),
        (propose("bob", 1, round=2), "WRONG_STATE"),
        (propose("bob", 1, conditions=(comparison,)), "TERMS_INVALID"),
        (propose("bob", 1, valid_from=2), "TERMS_INVALID"),
        (propose("bob", 1, valid_until=9), "OFFER_EXPIRED"),
        (propose("bob", None, terms={"price": 1}), "TERMS_INVALID"),
    ):
        bargain().at(1, offered).then(f"refuse bob {code}")
    game = bargain(call={"issues": issues})
    game.at(1, propose("bob", 1, terms={"gpus": 9})).then("refuse bob TERMS_INVALID")
    game.at(
        1, OfferReceived("agent://bob", "o", 1, {"terms": {"gpus": 8}}, 10, valid_from=1)
    ).then()


def test_issues_are_worth_what_the_call_says(bargain: Open):
    said = {"name": "gpus", "type": "integer", "min": 0, "max": 8, "better": "high"}
    utilities = {"initiator": "worth.gpus", "responder": "1 - worth.gpus"}
    game = bargain(call={"issues": issues_of([said])}, utilities=utilities)
    game.at(1, propose("alice", None, "a", terms={"gpus": 8})).then()
    game.at(1, propose("bob", None, "b", terms={"gpus": 0})).then(*step_told(1, "a b"))
    game.at(2, propose("alice", None, "a2", terms={"gpus": 0})).then()
    game.at(2, propose("bob", None, "b2", terms={"gpus": 0}))
    game.unclaimed = []
    assert game.outcome["agreement"]["terms"] == {"gpus": 0}
