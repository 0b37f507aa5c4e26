"""What chance does to auctions with sealed bids."""

from __future__ import annotations

from random import Random

from loadtest.soak import chance as dice
from loadtest.soak.drawer import Drawer, Play
from policy.auction import commitment
from policy.call import Call
from policy.events import (
    CommitmentReceived,
    ConfirmReceived,
    DeadlinePassed,
    Event,
    OfferReceived,
    RefusalReceived,
    ReportReceived,
)


def _call(chance: Random, number: int) -> Call:
    options: dict[str, object] = {"price": chance.choice(("first", "second"))}
    if chance.random() < 0.6:
        options |= {"commit": True, "reveal_within": 2.0}
    agents = chance.choice((1, 2, 3, 3))
    return dice.call(
        chance, number, "sealed-bid", agents, options=options, utility="", decider="engine"
    )


def _auction() -> Play:
    """Return an auction of four with commitments that are all revealed."""
    call = dice.typical("sealed-bid", dice.NAMES, options={"commit": True})
    sealed = [
        CommitmentReceived(
            name, f"{name}-1", commitment(bytes.fromhex(dice.NONCE), {"value": 5.0 + number})
        )
        for number, name in enumerate(dice.NAMES)
    ]
    opened = [
        OfferReceived(name, f"{name}-2", 5.0 + number, {"value": 5.0 + number, "nonce": dice.NONCE})
        for number, name in enumerate(dice.NAMES)
    ]
    events: list[Event] = [*sealed, *opened]
    return call, tuple((1.0, event) for event in events)


WEIGHTS: dice.Weights = {
    OfferReceived: 10,
    CommitmentReceived: 6,
    RefusalReceived: 2,
    ConfirmReceived: 2,
    ReportReceived: 2,
    DeadlinePassed: 2,
}
SEALED_BID = Drawer(_call, dice.drawn_from(WEIGHTS), _auction)
