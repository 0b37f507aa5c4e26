"""What chance does to contract nets: one round, and several."""

from __future__ import annotations

from random import Random

from loadtest.soak import chance as dice
from loadtest.soak.drawer import Drawer, Play
from policy.call import Call
from policy.events import (
    AcceptReceived,
    CancelReceived,
    ConfirmReceived,
    DeadlinePassed,
    Event,
    NotSettled,
    OfferReceived,
    RefusalReceived,
    RejectReceived,
    ReportReceived,
    RevisedCallReceived,
    Settled,
    ThinkingReceived,
)
from policy.stakes import Credit, Need, Stakes

CONTRACTORS = 12
STAKES = Stakes((Need("gpu", 1, 60.0),), Credit("initiator"), 2.0)


def _call(chance: Random, number: int) -> Call:
    stakes = STAKES if chance.random() < 0.25 else None
    return dice.call(chance, number, "contract-net", chance.choice((0, 1, 2, 3, 3)), stakes=stakes)


def _iterated(chance: Random, number: int) -> Call:
    options = {
        "rounds_max": chance.choice((1, 2, 3, 5)),
        "monotone": chance.choice((True, False)),
    }
    agents = chance.choice((1, 2, 3, 3))
    more = {"decider": "initiator"} if chance.random() < 0.8 else {}
    return dice.call(chance, number, "iterated-contract-net", agents, options=options, **more)


WEIGHTS: dice.Weights = {
    OfferReceived: 8,
    RefusalReceived: 1,
    ThinkingReceived: 1,
    AcceptReceived: 4,
    RejectReceived: 1,
    ConfirmReceived: 4,
    ReportReceived: 3,
    DeadlinePassed: 2,
    Settled: 2,
    NotSettled: 1,
}


def _round() -> Play:
    """Return a round of twelve offers, of which the last one closes it."""
    agents = tuple(f"agent://contractor-{index}" for index in range(CONTRACTORS))
    call = dice.typical("contract-net", agents)
    offers = (
        OfferReceived(agent, f"offer-{index}", 40.0 + index * 7 % 13, {})
        for index, agent in enumerate(agents)
    )
    return call, tuple((1.0, offer) for offer in offers)


def _two_rounds() -> Play:
    """Return two rounds of four, after which the initiator accepts the best."""
    call = dice.typical(
        "iterated-contract-net", dice.NAMES, decider="initiator", options={"rounds_max": 2}
    )
    first = [OfferReceived(name, f"{name}-1", 5.0 + n) for n, name in enumerate(dice.NAMES)]
    again = RevisedCallReceived(dice.ALICE, "again", 2, dice.NAMES, 60.0, 60.0)
    second = [OfferReceived(name, f"{name}-2", 3.0 + n) for n, name in enumerate(dice.NAMES)]
    accepted = AcceptReceived(dice.ALICE, "accept", second[0].msg_id)
    events: list[Event] = [*first, again, *second, accepted]
    return call, tuple((1.0, event) for event in events)


CONTRACT_NET = Drawer(_call, dice.drawn_from({**WEIGHTS, CancelReceived: 1}), _round)
ITERATED = Drawer(
    _iterated, dice.drawn_from({**WEIGHTS, OfferReceived: 12, RevisedCallReceived: 8}), _two_rounds
)
