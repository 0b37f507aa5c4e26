"""Randomised probing: synthetic bids that test the price of a market (negotiation.md N-6.5).

In some rounds, which only the exchange knows, it takes part with a bid of its own making. The
bid can neither win nor set a price, and no bidder can notice it; the record keeps it. It yields
one bit, would it have won, and from many such bits a price level:

    level ×= (1 + gain)  when the probe would have lost to the best bid
    level ×= (1 - gain)  when it would have won

so the level moves to where half of the probes win: the median of the best bids. Probes are drawn
around the level, between the level divided and multiplied by `spread`.

Who is probed, when and with what is drawn from a secret and the id of the negotiation, never from
a generator: it can be computed again by who knows the secret, and guessed by nobody else.
"""

from __future__ import annotations

import hashlib
from math import exp, log

import msgspec

from policy.events import OfferReceived

SECRET_BYTES = 32
MARKETS_MAX = 4_096
"""Price levels that are kept; of more, what was not traded for longest is forgotten."""


class ProbingRule(msgspec.Struct, frozen=True, gc=False):
    """How often and how far from the price level the exchange bids."""

    rate: float = 0.2
    """The part of the rounds that are probed, 0 to 1."""
    spread: float = 1.5
    """Probes lie between level / spread and level × spread; 1 or more."""
    gain: float = 0.1
    """How far one probe moves the level; above 0, below 1."""


class Probe(msgspec.Struct, frozen=True, gc=False):
    """A synthetic bid."""

    value: float
    """Above 0."""
    wait: float
    """When it is made, as a part of the time that the round is open: 0 to 1."""


def draws(secret: bytes, negotiation_id: str) -> tuple[float, float, float]:
    """Return three numbers from 0 up to 1 that only the secret and the id determine."""
    digest = hashlib.blake2b(negotiation_id.encode(), key=secret, digest_size=24).digest()
    first, second, third = (
        int.from_bytes(digest[start : start + 8], "big") / 2**64 for start in (0, 8, 16)
    )
    return first, second, third


def probe(rule: ProbingRule, secret: bytes, negotiation_id: str, level: float) -> Probe | None:
    """Return the bid for a round, or None when the round is not probed; `level` is above 0."""
    lot, wait, place = draws(secret, negotiation_id)
    if lot >= rule.rate:
        return None
    return Probe(level * exp((2 * place - 1) * log(rule.spread)), wait)


def probe_event(made: Probe, gateway: str) -> OfferReceived:
    """Return what enters the negotiation, and its record, for a probe of `gateway://g`."""
    return OfferReceived(gateway, "probe", made.value, probe=True)


def would_win(value: float, best: float | None, direction: str) -> bool:
    """Tell whether a probe is strictly better than the best bid; against none it is."""
    if best is None:
        return True
    return value > best if direction == "allocate" else value < best


class PriceLevels:
    """The price levels of markets: of one tenant, direction and kind of good each."""

    __slots__ = ("_gain", "_levels", "_markets_max")

    def __init__(self, gain: float, markets_max: int = MARKETS_MAX) -> None:
        """Start with no level."""
        self._gain = gain
        self._markets_max = markets_max
        self._levels: dict[str, float] = {}

    def __len__(self) -> int:
        """Return how many markets have a level."""
        return len(self._levels)

    def level(self, market: str) -> float | None:
        """Return the price level of a market; None before its first price."""
        return self._levels.get(market)

    def begin(self, market: str, price: float) -> None:
        """Take the first price of a market, above 0, for its level; later ones do nothing."""
        if market not in self._levels and price > 0:
            self._keep(market, price)

    def note(self, market: str, won: bool, direction: str) -> None:
        """Move the level of a market that has one, by what a probe would have done.

        A probe that loses was too modest: where the highest wins the price is above it, and where
        the lowest wins below.
        """
        level = self._levels.get(market)
        if level is not None:
            raised = won is (direction != "allocate")
            self._keep(market, level * (1 + self._gain if raised else 1 - self._gain))

    def _keep(self, market: str, level: float) -> None:
        self._levels.pop(market, None)
        self._levels[market] = min(max(level, 1e-9), 1e15)
        if len(self._levels) > self._markets_max:
            del self._levels[next(iter(self._levels))]
