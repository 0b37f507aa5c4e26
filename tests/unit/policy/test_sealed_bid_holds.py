"""Bids that are revealed and hold the units that they want until all are open."""

from __future__ import annotations

import msgspec

from policy.effects import Hold, Settle
from policy.events import Event
from policy.stakes import Credit, Need, Stakes
from policy.states import Phase
from tests.support.auctions import NAMES, Make, committing, revealing
from tests.support.plays import (
    cancellation,
    hold_refused,
    not_settled,
    refusal,
    reveal,
    sealed,
    settled,
)

HOLDING = Stakes((Need("gpu", 4, 60.0),), within=5.0)


def holding(name: str, value: float, msg_id: str = "") -> Event:
    """Let `name` open its bid, and hold its units."""
    return msgspec.structs.replace(reveal(name, value, msg_id), hold=True)


def test_a_bid_that_is_revealed_may_hold_its_units_until_it_is_decided(play: Make) -> None:
    """N-7.9: the award takes the place of the winner's hold, and the others are given back."""
    made = revealing(play, stakes=HOLDING)
    made.at(4, holding("bob", 9)).then("hold bob 4 gpu")
    hold = made.history[-1][1][0]
    assert isinstance(hold, Hold)
    assert hold.stake.ends_at == 8 + 5, "reveals end at 8, and the store may take 5 seconds"
    assert (hold.stake.offer_id, hold.stake.payer) == ("bob-offer", "")
    made.at(4, holding("bob", 9)).then()
    made.at(4, reveal("dave", 12)).then()
    made.at(5, holding("carol", 8)).then("hold carol 4 gpu", "settle 1: carol 4 gpu")
    settle = made.history[-1][1][-1]
    assert isinstance(settle, Settle)
    assert settle.stakes[0].instead_of == "g.0.n/hold-1/carol"
    made.at(6, settled(1)).told(
        "accept carol at 9",
        "reject bob: outbid",
        "reject dave: outbid",
        "release hold-1/bob: committed",
        "capture 1/1",
    )


def test_without_units_in_the_call_a_bid_that_is_revealed_holds_nothing(play: Make) -> None:
    revealing(play).at(4, holding("bob", 9)).then()
    paid = Stakes((), Credit("initiator"), within=5.0)
    revealing(play, stakes=paid).at(4, holding("bob", 9)).then()


def test_a_bid_whose_units_somebody_else_has_counts_as_not_revealed(play: Make) -> None:
    """It neither wins nor sets a price, hears so at once, and cannot be revealed again."""
    made = revealing(play, stakes=HOLDING).at(4, holding("carol", 8)).then("hold carol 4 gpu")
    made.at(4, hold_refused("carol", "RESOURCE_GONE")).then("reject carol: RESOURCE_GONE")
    made.at(4, hold_refused("carol")).then()
    made.at(4, reveal("carol", 8)).then()
    made.at(4, reveal("carol", 8, "again")).then("refuse carol ALREADY_ANSWERED")
    made.at(5, reveal("dave", 12)).then()
    made.at(5, reveal("bob", 9)).then("settle 1: bob 4 gpu")
    made.at(6, settled(1)).told("accept bob at 12", "reject dave: outbid", "capture 1/1").shows(
        offers=2, refusals=1
    )


def test_the_last_that_is_waited_for_may_be_one_whose_units_are_gone(play: Make) -> None:
    made = committing(play, agents="bob carol", stakes=HOLDING)
    made.at(1, sealed("bob", 9)).then().at(1, sealed("carol", 8))
    made.unclaimed = []
    made.at(2, holding("carol", 8)).then("hold carol 4 gpu")
    made.at(3, hold_refused("carol", "RESOURCE_GONE"))
    made.then("reject carol: RESOURCE_GONE").at(3, refusal("bob"))
    made.then("outcome no_award: no_offers")


def test_a_hold_that_is_refused_after_the_bids_are_open_is_found_by_the_award(play: Make) -> None:
    made = revealing(play, stakes=HOLDING)
    for name, value in (("bob", 9), ("carol", 8), ("dave", 12)):
        made.at(4, holding(name, value))
        made.unclaimed = []
    made.at(4, hold_refused("carol")).then().is_in(Phase.SETTLING)
    made.at(5, not_settled(1, "RESOURCE_GONE", "carol"))
    made.then("reject carol: RESOURCE_GONE", "settle 2: bob 4 gpu")


def test_bids_that_are_never_opened_hold_nothing_any_more(play: Make) -> None:
    """N-7.4: after the last word of a negotiation it holds nothing."""
    made = revealing(play, stakes=HOLDING).at(4, holding("bob", 9)).then("hold bob 4 gpu")
    made.at(4, reveal("carol", 8)).then()
    made.at(5, cancellation("bob")).then("refuse bob OFFER_BINDING")
    made.at(5, cancellation()).then(
        *(f"cancel {name}: cancelled" for name in NAMES),
        "outcome cancelled: cancelled",
        "release hold-1/bob: cancelled",
    )
