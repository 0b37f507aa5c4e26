"""Rankings, prices and sealed bids (N-6.1 to N-6.6)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from itertools import product

import pytest

from policy.auction import NONCE_BYTES, canonical, commitment, opens
from policy.contract_net import open_call, step
from tests.support.plays import TIME_UP, Play, make_call, offer

Make = Callable[..., Play]
NAMES = ("bob", "carol", "dave")
NONCE = bytes(range(NONCE_BYTES))


def _outcome(values: tuple[float, ...], **fields: object) -> dict[str, float]:
    """Return who won at which price when the agents offer these values in turn."""
    call = make_call(agents="bob carol dave erin frank", **fields)  # type: ignore[arg-type]
    state, _ = open_call(call, 0)
    names = [agent.removeprefix("agent://") for agent in call.eligible]
    for name, value in zip(names, values, strict=False):
        state, _ = step(state, offer(name, value), 1)
    state, _ = step(state, TIME_UP, 10)
    assert state.course is not None
    return {award.agent.removeprefix("agent://"): award.price for award in state.course.awards}


VICKREY = {"select": "vickrey"}


@pytest.mark.parametrize(
    ("fields", "values", "paid"),
    [
        ({}, (9, 7, 8), {"carol": 7}),
        ({"direction": "allocate"}, (9, 7, 8), {"bob": 9}),
        ({"policy": VICKREY}, (9, 7, 8), {"carol": 8}),
        ({"policy": VICKREY, "direction": "allocate"}, (9, 7, 8), {"bob": 8}),
        ({"policy": VICKREY, "reserve": 7.5}, (9, 7, 8), {"carol": 7.5}),
        ({"policy": VICKREY, "reserve": 8.5, "direction": "allocate"}, (9, 7, 8), {"bob": 8.5}),
        ({"policy": VICKREY, "reserve": 20.0}, (9, 7, 8), {"carol": 8}),
        ({"policy": VICKREY, "reserve": 20.0}, (7,), {"bob": 20}),
        ({"policy": VICKREY}, (7,), {"bob": 7}),
        ({"policy": VICKREY, "reserve": 5.0}, (9, 7, 8), {}),
        ({"policy": VICKREY, "max_awards": 2}, (9, 7, 8, 12), {"carol": 9, "dave": 9}),
        ({"policy": VICKREY, "max_awards": 3, "reserve": 10.0}, (9, 7), {"carol": 10, "bob": 10}),
        ({"max_awards": 2}, (9, 7, 8), {"carol": 7, "dave": 8}),
    ],
)
def test_winners_pay_their_own_value_or_the_best_that_lost(
    fields: dict[str, object], values: tuple[float, ...], paid: dict[str, float]
) -> None:
    """N-6.2: first price and Vickrey, with reserve, alone, and with k identical units."""
    assert _outcome(values, **fields) == paid


@pytest.mark.parametrize("direction", ["procure", "allocate"])
@pytest.mark.parametrize("policy", [{}, VICKREY, {"select": "first"}])
def test_of_equal_offers_the_earliest_wins(direction: str, policy: dict[str, object]) -> None:
    """N-6.3: by the order in which the home gateway took them."""
    assert list(_outcome((5, 5, 5), direction=direction, policy=policy)) == ["bob"]


@pytest.mark.parametrize("direction", ["procure", "allocate"])
def test_nobody_gains_by_bidding_anything_but_the_truth(direction: str) -> None:
    """N-6.4: for every valuation profile of three bidders and every deviation, reserve 1."""
    scale = range(5)
    reserve = 1.0 if direction == "allocate" else 3.0
    outcomes = {
        bids: _outcome(bids, policy=VICKREY, reserve=reserve, direction=direction)
        for bids in product(scale, repeat=3)
    }
    sign = 1 if direction == "allocate" else -1

    def gain(bids: tuple[int, ...], bidder: int, value: int) -> float:
        price = outcomes[bids].get(NAMES[bidder])
        return 0.0 if price is None else sign * (value - price)

    for truth in product(scale, repeat=3):
        for bidder, deviation in product(range(3), scale):
            other = (*truth[:bidder], deviation, *truth[bidder + 1 :])
            assert gain(truth, bidder, truth[bidder]) >= gain(other, bidder, truth[bidder])


def test_the_best_offer_by_utility_wins_in_either_direction(play: Make) -> None:
    """An offer for which there is no utility cannot win, and says so."""
    for direction in ("procure", "allocate"):
        (
            play(utility="10 * terms.gpus - value", direction=direction)
            .at(1, offer("bob", 10, fields={"value": 10, "terms": {"gpus": 2}}))
            .told()
            .at(1, offer("carol", 30, fields={"value": 30, "terms": {"gpus": 5}}))
            .told()
            .at(1, offer("dave", 1, fields={"value": 1}))
            .told("accept carol at 30", "reject bob: outbid", "reject dave: no_utility")
        )


def test_an_offer_beyond_the_reserve_cannot_win(play: Make) -> None:
    play(agents="bob carol", reserve=20.0).at(1, offer("bob", 21)).told().at(
        1, offer("carol", 20)
    ).told("accept carol at 20", "reject bob: reserve")


def test_a_commitment_is_the_hash_of_a_nonce_and_the_canonical_bid() -> None:
    """N-6.6: SHA-256(nonce || canonical bid)."""
    assert canonical({"value": 3, "terms": {"b": 1, "a": "ü"}}) == (
        b'{"terms":{"a":"\xc3\xbc","b":1},"value":3}'
    )
    assert commitment(NONCE, {"value": 3}) == sha256(NONCE + b'{"value":3}').hexdigest()
    with pytest.raises(ValueError, match="a nonce has 32 bytes, not 3"):
        commitment(b"abc", {"value": 3})


def test_a_commitment_is_opened_by_its_nonce_and_bid_only() -> None:
    """N-6.6: the reveal must match; another bid or nonce, or what is neither, opens nothing."""
    promise = commitment(NONCE, {"value": 3})
    assert opens(promise, NONCE.hex(), {"value": 3})
    assert opens(promise, NONCE.hex().upper(), {"value": 3})
    assert not opens(promise, NONCE.hex(), {"value": 2})
    assert not opens(promise, NONCE[1:].hex(), {"value": 3})
    assert not opens(promise, "no digits", {"value": 3})
    assert not opens(promise, NONCE.hex(), {"value": float("nan")})
