"""What one decision costs the exchange, from 24 to 5,000 agents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from loadtest.market.exchange import POOL, Exchange, propose
from policy.events import Event

SIZES = (24, 100, 500, 1_000, 5_000)


@dataclass(frozen=True)
class Scale:
    """The cost of one allocation among so many agents."""

    agents: int
    auction_micros: float
    """Processor time of the policy for one sealed auction that all bid in, in microseconds."""
    auction_messages: float
    bargain_micros: float
    """The same for one bargain between two of them."""
    bargain_messages: float


def scale(agents: int, rounds: int = 10) -> Scale:
    """Measure some rounds."""
    chance = Random(f"scale {agents}")
    auctions, bargains = Exchange(1), Exchange(1)
    names = [f"agent://a{number}" for number in range(agents)]
    for turn in range(rounds):
        now = turn * 20.0
        bids: dict[str, float | None] = {name: chance.uniform(1, 100) for name in names}
        auctions.round(
            auctions.call(
                now, POOL, names, "sealed-bid", direction="allocate", options={"price": "second"}
            ),
            bids,
        )
        buyer, seller = chance.sample(names, 2)
        bargains.bargain(
            bargains.call(
                now, buyer, [seller], "monotonic-concession", options={"concession": "either"}
            ),
            {buyer: _mover(buyer, 0.0, 1.0), seller: _mover(seller, 9.0, -1.0)},
        )
    return Scale(
        agents,
        auctions.cost.seconds / rounds * 1e6,
        auctions.cost.messages / rounds,
        bargains.cost.seconds / rounds * 1e6,
        bargains.cost.messages / rounds,
    )


def _mover(agent: str, start: float, by: float) -> Callable[[int, Mapping[str, float]], Event]:
    return lambda step, _: propose(agent, start + by * step, step)
