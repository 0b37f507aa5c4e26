"""What chance does to bargains between two: offers in turn, and concessions together."""

from __future__ import annotations

from random import Random

from loadtest.soak import chance as dice
from loadtest.soak.drawer import Drawer, Play
from policy.call import Call
from policy.events import (
    AcceptReceived,
    CounterReceived,
    DeadlinePassed,
    Event,
    OfferReceived,
    ThinkingReceived,
)

BOB = dice.NAMES[0]
TYPICAL_ROUNDS = 10


def _options(chance: Random) -> dict[str, object]:
    options: dict[str, object] = {"max_rounds": chance.choice((1, 2, 5, 20))}
    if chance.random() < 0.5:
        options["turn_within"] = chance.choice((0.5, 2.0))
    if chance.random() < 0.5:
        options["on_timeout"] = chance.choice(("end", "repeat"))
    if chance.random() < 0.3:
        options["step_min"] = chance.choice((0.5, 1.0))
    if chance.random() < 0.2:
        options["discount"] = {"kind": "round", "initiator": 0.9, "responder": 0.8}
    return options


def _alternating(chance: Random, number: int) -> Call:
    options = _options(chance)
    if chance.random() < 0.5:
        options["first"] = chance.choice(("initiator", "responder"))
    if chance.random() < 0.3:
        options["must_concede"] = True
    if chance.random() < 0.2:
        options |= {"opening": {"value": 3.0}, "first": "initiator"}
    return dice.call(chance, number, "alternating-offers", 1, options=options)


def _concession(chance: Random, number: int) -> Call:
    options = _options(chance)
    options["concession"] = chance.choice(("both", "either", "zeuthen"))
    if chance.random() < 0.3:
        options["conflict"] = {"initiator": -4.0, "responder": 1.0}
    return dice.call(chance, number, "monotonic-concession", 1, options=options)


def _bargain() -> Play:
    """Return ten proposals in turn, of which the last one is accepted."""
    call = dice.typical("alternating-offers", (BOB,), options={"first": "responder"})
    parties = (BOB, dice.ALICE)
    events: list[Event] = [
        CounterReceived(parties[n % 2], f"offer-{n}", {}, 5.0) for n in range(TYPICAL_ROUNDS)
    ]
    last = events[-1].msg_id
    events.append(AcceptReceived(parties[TYPICAL_ROUNDS % 2], "accept", last))
    return call, tuple((1.0, event) for event in events)


def _concessions() -> Play:
    """Return five steps of both, until their deals overlap."""
    call = dice.typical("monotonic-concession", (BOB,), options={"concession": "both"})
    events = []
    for n in range(TYPICAL_ROUNDS // 2):
        events.append(CounterReceived(dice.ALICE, f"alice-{n}", {}, 1.0 + n))
        events.append(CounterReceived(BOB, f"bob-{n}", {}, 9.0 - n))
    return call, tuple((1.0, event) for event in events)


WEIGHTS: dice.Weights = {
    CounterReceived: 14,
    OfferReceived: 3,
    AcceptReceived: 3,
    ThinkingReceived: 1,
    DeadlinePassed: 2,
}
ALTERNATING = Drawer(_alternating, dice.drawn_from(WEIGHTS), _bargain)
CONCESSION = Drawer(_concession, dice.drawn_from({**WEIGHTS, AcceptReceived: 0}), _concessions)
