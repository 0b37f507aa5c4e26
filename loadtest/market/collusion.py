"""A low-bid ring among the buyers of slots, and how often probing finds it.

Forty buyers bid for lots by an auction with sealed bids; each lot reaches ten of them. Five are a
ring: when at least two of them meet, one, in turn, bids what it always bids, and the others bid
far lower, so that the price falls. The exchange probes a part of the rounds and looks for rings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from loadtest.market.exchange import POOL, Exchange
from policy.events import Event, OfferReceived
from policy.probing import (
    SECRET_BYTES,
    PriceLevels,
    ProbingRule,
    probe,
    probe_event,
    would_win,
)
from policy.rings import RingRule, RingWatch

BUYERS, MEMBERS, BIDDERS = 40, 5, 10
RATE = 0.4
MARKET = "slots"


@dataclass(frozen=True)
class Found:
    """What one seed showed."""

    suspected: frozenset[str]
    ring: frozenset[str]
    level: float
    """The price level that probing came to."""
    best: float
    """The median of the best bids of the later half."""
    probes: int
    probes_won: int
    """Probes that won a lot; there must be none."""


def buyers(
    seed: int, rounds: int, *, members: int = MEMBERS, rate: float = RATE, bold: bool = True
) -> Found:
    """Sell so many lots to a crowd with a ring in it; a bold one bids half, another four fifths."""
    chance, exchange = Random(f"ring {seed}"), Exchange(seed)
    names = [f"agent://b{number}" for number in range(BUYERS)]
    wealth = {name: chance.lognormvariate(3.0, 0.3) for name in names}
    ring = frozenset(chance.sample(names, members))
    rule, levels, watch = ProbingRule(rate=rate), PriceLevels(0.1), RingWatch(RingRule())
    secret = chance.randbytes(SECRET_BYTES)
    probes = won = 0
    best: list[float] = []
    for number in range(rounds):
        bids = _bids(chance, sorted(chance.sample(names, BIDDERS)), wealth, ring, number, bold=bold)
        call = exchange.call(
            number * 20.0,
            POOL,
            list(bids),
            "sealed-bid",
            direction="allocate",
            options={"price": "second"},
        )
        level = levels.level(MARKET)
        made = None if level is None else probe(rule, secret, call.negotiation_id, level)
        events: list[tuple[float, str, Event]] = [
            (call.opened_at + exchange.think(), agent, OfferReceived(agent, f"bid-{agent}", bid))
            for agent, bid in bids.items()
        ]
        if made is not None:
            at = call.opened_at + made.wait * 0.3
            events.append((at, "gateway://market", probe_event(made, "gateway://market")))
        outcome = exchange.play(call, sorted(events, key=lambda entry: entry[:2]))
        shown = {entry["agent"]: float(entry["value"]) for entry in outcome.body["ranking"]}
        top = max(shown.values())
        best.append(top)
        levels.begin(MARKET, top)
        if made is not None and level is not None:
            probes += 1
            won += any(agent == "gateway://market" for agent, _ in outcome.winners)
            assert "gateway://market" not in shown, "a probe is invisible"
            levels.note(MARKET, would_win(made.value, top, "allocate"), "allocate")
            watch.note(shown, level, "allocate")
    suspected = frozenset[str]().union(*watch.rings())
    later = sorted(best[rounds // 2 :])
    return Found(suspected, ring, levels.level(MARKET) or 0.0, later[len(later) // 2], probes, won)


def _bids(
    chance: Random,
    bidders: Sequence[str],
    wealth: dict[str, float],
    ring: frozenset[str],
    number: int,
    *,
    bold: bool,
) -> dict[str, float]:
    bids = {name: wealth[name] * chance.lognormvariate(0, 0.25) for name in bidders}
    met = [name for name in bidders if name in ring]
    for name in met if len(met) > 1 else ():
        if name != met[number % len(met)]:
            bids[name] *= chance.uniform(0.3, 0.6) if bold else chance.uniform(0.7, 0.9)
    return bids


@dataclass(frozen=True)
class Detection:
    """How well rings were found, over many seeds."""

    seeds: int
    precision: float
    """The part of those suspected that were of the ring."""
    recall: float
    """The part of the ring that was suspected."""
    rings_found: int
    """Seeds in which at least three of the five were."""
    false_alarms: int
    """Seeds in which somebody was suspected where there was no ring."""
    probes_won: int


def detection(seeds: int, rounds: int, *, bold: bool = True) -> Detection:
    """Look for rings in markets with a ring of five, and in as many without one."""
    right = suspected = members = found = won = alarms = 0
    for seed in range(seeds):
        seen = buyers(seed, rounds, bold=bold)
        hit = len(seen.suspected & seen.ring)
        right, suspected, members = right + hit, suspected + len(seen.suspected), members + MEMBERS
        found += hit >= 3
        won += seen.probes_won
        alarms += bool(buyers(seed, rounds, members=0).suspected)
    return Detection(seeds, right / max(1, suspected), right / members, found, alarms, won)
