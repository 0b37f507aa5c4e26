"""Sealed bids: who wins, who pays what, who sees what (N-6.1 to N-6.5)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations, product

import pytest

from policy.effects import Tell
from policy.events import Event
from policy.sealed_bid import HEARD, Sealing, objection, open_call, step
from policy.states import Phase
from tests.support.auctions import NAMES, Make, auction, committing
from tests.support.plays import (
    TIME_UP,
    Play,
    make_call,
    offer,
    probe,
    reveal,
    sealed,
)


@pytest.mark.parametrize("price", ["first", "second"])
@pytest.mark.parametrize("profile", ["flow/high", "flow/medium", "flow/low", "proto/high"])
def test_a_bid_is_shown_to_nobody_before_the_close(play: Make, price: str, profile: str) -> None:
    """N-6.1: no effect of an open round says anything, nor does what an operator sees."""
    made = auction(play, price, profile=profile, policy={"quorum": 3})
    made.at(1, offer("bob", 777.25)).then().at(1, offer("carol", 778.5)).then()
    assert made.state.view().values == {}
    assert "77" not in repr(made.state)
    made.at(2, offer("dave", 779.5))
    assert [e.recipient for e in made.unclaimed if isinstance(e, Tell) and "777.25" in str(e.body)]
    made.unclaimed = []


@pytest.mark.parametrize(
    ("fields", "values", "paid"),
    [
        ({"price": "first"}, (9, 7, 8), {"carol": 7}),
        ({"price": "first", "direction": "allocate"}, (9, 7, 8), {"bob": 9}),
        ({"price": "first", "reserve": 20.0}, (9, 7, 8), {"carol": 7}),
        ({"price": "first", "max_awards": 2}, (9, 7, 8), {"carol": 7, "dave": 8}),
        ({}, (9, 7, 8), {"carol": 8}),
        ({"direction": "allocate"}, (9, 7, 8), {"bob": 8}),
        ({"reserve": 7.5}, (9, 7, 8), {"carol": 7.5}),
        ({"reserve": 20.0}, (7,), {"bob": 20}),
        ({}, (7,), {"bob": 7}),
        ({"reserve": 5.0}, (9, 7, 8), {}),
        ({"max_awards": 2}, (9, 7, 8), {"carol": 9, "dave": 9}),
        ({"max_awards": 3, "reserve": 10.0}, (9, 7), {"carol": 10, "bob": 10}),
    ],
)
@pytest.mark.parametrize("commit", [False, True])
def test_winners_pay_their_own_bid_or_the_best_that_lost(
    fields: dict[str, object], values: tuple[float, ...], paid: dict[str, float], commit: bool
) -> None:
    """N-6.2: first price and Vickrey, reserve, alone, k units; sealed by trust or commitment."""
    assert outcome_of(values, commit=commit, **fields) == paid


def outcome_of(
    values: tuple[float, ...],
    *,
    price: str = "second",
    commit: bool = False,
    reveal_order: tuple[int, ...] = (),
    **fields: object,
) -> dict[str, float]:
    """Return who won at which price when the agents bid these values in turn."""
    options = {"price": price, "commit": commit}
    call = make_call(options=options, protocol="sealed-bid", **fields)  # type: ignore[arg-type]
    state, _ = open_call(call, 0)
    bids = list(zip(NAMES, values, strict=False))
    for name, value in bids:
        state, _ = step(state, sealed(name, value) if commit else offer(name, value), 1)
    if len(bids) < len(NAMES):
        state, _ = step(state, TIME_UP, 10)
    for place in reveal_order or range(len(bids)) if commit else ():
        name, value = bids[place]
        state, _ = step(state, reveal(name, value), 11)
    course = state.net.course
    assert course is not None
    assert course.outcome is not None
    return {award.agent.removeprefix("agent://"): award.price for award in course.awards}


@pytest.mark.parametrize("price", ["first", "second"])
@pytest.mark.parametrize("direction", ["procure", "allocate"])
def test_of_equal_bids_the_first_committed_wins_whenever_it_is_revealed(
    price: str, direction: str
) -> None:
    """N-6.3: the order at the home gateway, which no bidder can change by revealing early."""
    for order in permutations(range(3)):
        won = outcome_of(
            (5, 5, 5), price=price, commit=True, reveal_order=order, direction=direction
        )
        assert won == {"bob": 5}


@pytest.mark.parametrize("commit", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("direction", ["procure", "allocate"])
def test_nobody_gains_by_sealing_anything_but_the_truth(direction: str, commit: bool) -> None:
    """N-6.4: exhaustively, values 0 to 4, three bidders, with reserve, also when one stays away."""
    scale = range(5)
    reserve = 1.0 if direction == "allocate" else 3.0
    outcomes = {
        bids: outcome_of(bids, commit=commit, reserve=reserve, direction=direction)
        for bids in product(scale, repeat=3)
    }
    sign = 1 if direction == "allocate" else -1

    def gain(bids: tuple[int, ...], bidder: int, value: int) -> float:
        price = outcomes[bids].get(NAMES[bidder])
        return 0.0 if price is None else sign * (value - price)

    for truth, bidder, lie in product(product(scale, repeat=3), range(3), scale):
        value = truth[bidder]
        other = (*truth[:bidder], lie, *truth[bidder + 1 :])
        assert gain(truth, bidder, value) >= max(0.0, gain(other, bidder, value))


def test_bidding_the_truth_may_lose_where_the_winner_pays_its_own_bid() -> None:
    """N-6.4: a property of the second price: the test above would notice the first."""
    assert outcome_of((2, 4, 4), price="first") == {"bob": 2}
    assert outcome_of((3, 4, 4), price="first") == {"bob": 3}


def test_k_units_at_one_price_keep_the_truth_best() -> None:
    """N-6.4: two units for three bidders of one unit each, who pay the third bid."""
    scale = range(4)
    outcomes = {
        bids: outcome_of(bids, max_awards=2, direction="allocate")
        for bids in product(scale, repeat=3)
    }
    for truth, lie in product(outcomes, scale):
        for bidder, name in enumerate(NAMES):
            other = (*truth[:bidder], lie, *truth[bidder + 1 :])
            honest = truth[bidder] - outcomes[truth].get(name, truth[bidder])
            assert honest >= truth[bidder] - outcomes[other].get(name, truth[bidder])


@pytest.mark.parametrize("commit", [False, True])
def test_a_probe_neither_wins_nor_counts_nor_sets_a_price(play: Make, commit: bool) -> None:
    """N-6.5: before, between and after the bids; the probed round has the outcome of the other."""

    def round_of(*, probed: bool) -> Play:
        made = committing(play) if commit else auction(play)
        events: list[tuple[float, Event]] = []
        for name, value in (("bob", 9), ("carol", 8), ("dave", 12)):
            events.append((1, sealed(name, value) if commit else offer(name, value)))
        if commit:
            events += [(2, reveal(*bid)) for bid in (("dave", 12), ("bob", 9), ("carol", 8))]
        for at, event in events:
            if probed:
                made.at(at, probe(1)).then()
            made.at(at, event)
            made.unclaimed = []
        if probed:
            made.at(3, probe(1)).then()
        return made

    assert round_of(probed=True).outcome == round_of(probed=False).outcome


def test_a_first_price_may_be_ranked_by_utility(play: Make) -> None:
    made = auction(play, "first", agents="bob carol", utility="10 * terms.gpus - value")
    made.at(1, offer("bob", 9, fields={"value": 9, "terms": {"gpus": 2}})).then()
    made.at(1, offer("carol", 12, fields={"value": 12, "terms": {"gpus": 3}})).then(
        "accept carol at 12", "reject bob: outbid", "outcome committed: awarded, carol at 12"
    )


def test_a_call_that_takes_bids_takes_no_commitments(play: Make) -> None:
    auction(play).at(1, sealed("bob", 9)).then("refuse bob WRONG_STATE")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"decider": "initiator"}, "POLICY_INVALID"),
        ({"utility": "-value"}, "POLICY_INVALID"),
        ({"options": {"price": "first"}, "utility": "value +"}, "UTILITY_INVALID"),
        ({"max_awards": 2, "policy": {"confirm": True}}, "POLICY_INVALID"),
    ],
)
def test_a_call_that_cannot_be_sealed_is_refused(fields: Mapping[str, object], code: str) -> None:
    refused = objection(make_call(**fields))  # type: ignore[arg-type]
    assert refused is not None
    assert refused.code == code


def test_a_call_may_say_nothing_of_how_it_is_sealed() -> None:
    assert Sealing.of(make_call()) == Sealing("second", commit=False, reveal_within=10.0)
    assert objection(make_call()) is None
    assert objection(make_call(options={"price": "first"}, utility="-value")) is None
    assert set(HEARD) == set(Phase)


def test_the_profile_does_not_say_who_wins(play: Make) -> None:
    """A profile that takes the first offer closes early, and the best of what came still wins."""
    made = auction(play, "first", profile="flow/low", policy={"quorum": 2})
    made.at(1, offer("bob", 9)).then().at(1, offer("carol", 8)).told(
        "accept carol at 8", "reject bob: outbid"
    )
