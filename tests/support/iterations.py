"""Negotiations of several rounds, as plays: in the first, between two, in the second."""

from __future__ import annotations

from collections.abc import Callable

from policy.states import Phase
from tests.support.plays import (
    Play,
    offer,
    revision,
)

Make = Callable[..., Play]
CALLED = "bob carol dave"


def iterated(play: Make, **fields: object) -> Play:
    """Return a negotiation in its first round, which the initiator decides."""
    fields.setdefault("options", {"rounds_max": 3})
    made = play(protocol="iterated-contract-net", decider="initiator", **fields)
    return made.then(*(f"relay to {name}" for name in str(fields.get("agents", CALLED)).split()))


def closed(play: Make, **fields: object) -> Play:
    """Return one whose first round is closed: bob at 9, carol at 8, dave at 7."""
    made = iterated(play, **fields)
    for name, value in (("bob", 9), ("carol", 8), ("dave", 7)):
        made.at(1, offer(name, value, fields={"value": value, "terms": {"price": value}}))
        made.then(*relayed(name == "dave"))
    return made


def relayed(last: bool) -> list[str]:
    return ["relay to alice", *(["show alice dave carol bob until 31"] if last else [])]


def second(play: Make, names: str = "carol dave", **fields: object) -> Play:
    """Return one whose second round is open to `names`."""
    left = [name for name in ("dave", "carol", "bob") if name not in names]
    called = [name for name in CALLED.split() if name in names]
    return (
        closed(play, **fields)
        .at(2, revision(names, 2))
        .then(*(f"reject {n}: not_invited" for n in left), *(f"relay to {n}" for n in called))
        .is_in(Phase.OPEN, 100)
    )
