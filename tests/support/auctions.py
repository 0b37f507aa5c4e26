"""Auctions with sealed bids, as plays: with bids at once, with commitments, waiting for reveals."""

from __future__ import annotations

from collections.abc import Callable

from policy.states import Phase
from tests.support.plays import (
    Play,
    sealed,
)

Make = Callable[..., Play]
NAMES = ("bob", "carol", "dave")


def auction(play: Make, price: str = "second", **fields: object) -> Play:
    """Return one that takes bids at once."""
    return play(protocol="sealed-bid", options={"price": price}, **fields)


def committing(play: Make, price: str = "second", **fields: object) -> Play:
    """Return one that takes commitments, and gives five seconds to reveal."""
    options = {"price": price, "commit": True, "reveal_within": 5}
    return play(protocol="sealed-bid", options=options, **fields)


def revealing(play: Make, price: str = "second", **fields: object) -> Play:
    """Return one in which bob has committed 9, carol 8 and dave 12, and all shall reveal."""
    made = committing(play, price, **fields)
    made.at(1, sealed("bob", 9)).then().at(2, sealed("carol", 8)).then().at(3, sealed("dave", 12))
    asked = [f"ask {name} to reveal until 8" for name in NAMES]
    return made.then(*asked).is_in(Phase.CLOSED, 8)
