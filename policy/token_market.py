"""A shared API rate limit as a good: tokens that agents hold, bid for and trade.

The limit of the API is one bucket: `rate` tokens a second, `burst` at most (negotiation.md
N-8.2). Tokens that nobody holds are in the *pool*. Agents take tokens in three ways, and the sum
of pool and purses never exceeds the burst:

- a *share*: a part of the rate flows into the purse of an agent; all parts together are at most
  the rate (N-8.4), and what a full purse cannot take goes to the pool;
- a *sale*: agents bid for tokens of the pool; the highest bids get them, and all pay the price of
  the highest bid that got less than it wanted (0 when there is enough for all);
- a *trade*: one agent gives another of its tokens; their sum does not change.

A part ρ of the burst stays in the pool for the system class, which takes from it at no price
(N-8.3). To spend a token is to send a request: what is spent is gone, and over any interval no
more is spent than the burst and what the rate brought, so the API never refuses one of us.

Amounts are whole millionths of a token, so that sums are exact; times are seconds on one
monotonic clock. Prices are in micro-credits a token; who pays whom is settled by the ledger, from
the `Sale` and `Trade` that are returned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor

import msgspec

MICRO = 1_000_000
AGENTS_MAX = 10_000
BIDS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class TokenLimit:
    """The limit that is shared."""

    rate: float
    """Tokens a second, above 0."""
    burst: float
    """Tokens at most, pool and purses together; above 0."""
    reserve: float = 0.2
    """ρ, the part of the burst that only the system class may take; 0 to 1."""
    purse_max: float = 0.25
    """The part of the burst that one agent may hold; above 0, at most 1. Prevents hoarding."""

    def __post_init__(self) -> None:
        assert self.rate > 0 and self.burst > 0, "out of the ranges above"
        assert 0 <= self.reserve < 1 and 0 < self.purse_max <= 1, "out of the ranges above"


class TokenBid(msgspec.Struct, frozen=True, gc=False):
    """What an agent would pay for tokens of the pool."""

    agent: str
    tokens: int
    """Whole tokens, 1 or more."""
    price: int
    """Micro-credits a token, 0 or more."""
    multiplier: float = 1.0
    """How much dearer a token is for a noisy neighbour, 1 or more: its bid counts divided by it,
    and it pays the price times it."""


class Sale(msgspec.Struct, frozen=True, gc=False):
    """Tokens that an agent got from the pool."""

    agent: str
    tokens: int
    price: int
    """Micro-credits a token, at most the bid."""


class Trade(msgspec.Struct, frozen=True, gc=False):
    """Tokens that went from one agent to another."""

    giver: str
    taker: str
    micros: int
    """Millionths of a token; 0 when the trade could not be made."""


class TokenMarket:
    """The tokens of one limit: who holds them, and who gets more."""

    __slots__ = (
        "_at",
        "_burst",
        "_cap",
        "_kept",
        "_owed",
        "_owed_to",
        "_pool",
        "_purses",
        "_rate",
        "_shares",
    )

    def __init__(
        self, limit: TokenLimit, now: float, purses: Mapping[str, int] | None = None
    ) -> None:
        """Start with a full pool, or go on with an empty one and what agents hold, in millionths.

        Who does not know what was spent a moment ago, goes on. What is held beyond the burst is
        gone: the limit was larger then.
        """
        self._rate = limit.rate
        self._burst = floor(limit.burst * MICRO)
        self._kept = ceil(limit.reserve * self._burst)
        self._cap = floor(limit.purse_max * self._burst)
        self._pool = self._burst if purses is None else 0
        self._purses: dict[str, int] = {}
        for agent, micros in (purses or {}).items():
            self._put(agent, min(micros, self._burst - self.total))
        self._shares: dict[str, float] = {}
        self._owed = 0.0  # a part of a millionth
        self._owed_to: dict[str, float] = {}  # the same, of each share
        self._at = now

    def __repr__(self) -> str:
        """Tell the state in words."""
        held = sum(self._purses.values()) / MICRO
        return f"<TokenMarket {self._pool / MICRO:g} in the pool, {held:g} held>"

    @property
    def pool(self) -> int:
        """Return what nobody holds, in millionths."""
        return self._pool

    @property
    def total(self) -> int:
        """Return all tokens there are, in millionths."""
        return self._pool + sum(self._purses.values())

    def held(self, agent: str) -> int:
        """Return what an agent holds, in millionths."""
        return self._purses.get(agent, 0)

    def share(self, agent: str, rate: float) -> bool:
        """Let a part of the rate flow to an agent, 0 for none; False when there is no such part.

        All parts together are at most the rate, and at most AGENTS_MAX agents have one.
        """
        others = sum(part for one, part in self._shares.items() if one != agent)
        if rate < 0 or others + rate > self._rate:
            return False
        if rate > 0 and agent not in self._shares and len(self._shares) >= AGENTS_MAX:
            return False
        self._shares.pop(agent, None)
        self._owed_to.pop(agent, None)
        if rate > 0:
            self._shares[agent], self._owed_to[agent] = rate, 0.0
        return True

    def refill(self, now: float) -> None:
        """Bring what has flowed since the last time; a clock that goes back brings nothing.

        The reserve fills first, then the shares, then the rest of the pool.
        """
        elapsed = now - self._at
        if elapsed <= 0:
            return
        self._at = now
        due = self._owed + elapsed * self._rate * MICRO
        self._owed = due - floor(due)
        came = min(floor(due), self._burst - self.total)
        first = min(came, max(0, self._kept - self._pool))
        left = came - first
        per_rate = left / self._rate
        for agent, part in self._shares.items():
            due = self._owed_to[agent] + per_rate * part
            whole = min(floor(due), left)
            self._owed_to[agent] = due - floor(due)
            taken = min(whole, max(0, self._cap - self.held(agent)))
            left -= taken
            self._put(agent, self.held(agent) + taken)
        self._pool += first + left

    def spend(self, agent: str, tokens: int, now: float, *, system: bool = False) -> bool:
        """Take whole tokens for requests; False, and nothing is taken, when they are not there.

        An agent spends what it holds; one of the system class then takes from the pool.
        """
        self.refill(now)
        wanted, held = tokens * MICRO, self.held(agent)
        if wanted > held + (self._pool if system else 0):
            return False
        own = min(held, wanted)
        self._put(agent, held - own)
        self._pool -= wanted - own
        return True

    def sell(self, bids: Sequence[TokenBid], now: float) -> list[Sale]:
        """Sell tokens of the pool, the reserve excepted, to the highest bids; all pay one price.

        Of equal bids the earlier is served first. A bid for more than a purse can hold counts for
        as much as it can, and so does a second bid of an agent.
        """
        self.refill(now)
        stock = max(0, self._pool - self._kept) // MICRO
        free: dict[str, int] = {}
        sales: list[tuple[TokenBid, int]] = []
        clearing = 0.0
        ranked = sorted(bids[:BIDS_MAX], key=lambda bid: -bid.price / bid.multiplier)
        for bid in ranked:
            room = free.setdefault(bid.agent, self.room(bid.agent))
            wanted = max(0, min(bid.tokens, room))
            got = min(wanted, stock)
            if got < wanted:
                clearing = max(clearing, bid.price / bid.multiplier)
            if got:
                stock -= got
                free[bid.agent] = room - got
                sales.append((bid, got))
        sold = [
            Sale(bid.agent, got, min(bid.price, ceil(clearing * bid.multiplier)))
            for bid, got in sales
        ]
        for sale in sold:
            self._pool -= sale.tokens * MICRO
            self._put(sale.agent, self.held(sale.agent) + sale.tokens * MICRO)
        return sold

    def put_back(self, agent: str, tokens: int) -> None:
        """Give an agent back what it took for requests that were never sent.

        The pool may have filled meanwhile: then it is short of as much.
        """
        free = self._burst - (self.total - self._pool)  # what no purse has
        micros = min(tokens * MICRO, free)
        self._pool = min(self._pool, free - micros)
        self._put(agent, self.held(agent) + micros)

    def room(self, agent: str) -> int:
        """Return how many whole tokens an agent may still get."""
        return max(0, self._cap - self.held(agent)) // MICRO

    def trade(self, giver: str, taker: str, tokens: int, *, fills: bool = True) -> Trade:
        """Move whole tokens from one agent to another, or none when that cannot be.

        What fills no purse, because it was the taker's already, may go beyond what one may hold.
        """
        micros = tokens * MICRO
        fits = not fills or self.held(taker) + micros <= self._cap
        if tokens <= 0 or giver == taker or self.held(giver) < micros or not fits:
            return Trade(giver, taker, 0)
        self._put(giver, self.held(giver) - micros)
        self._put(taker, self.held(taker) + micros)
        return Trade(giver, taker, micros)

    def leave(self, agent: str) -> None:
        """Let an agent go: what it held goes back to the pool, and its part of the rate too."""
        self._pool += self._purses.pop(agent, 0)
        self.share(agent, 0)

    def purses(self) -> Mapping[str, int]:
        """Return what everybody holds, in millionths, a copy."""
        return dict(self._purses)

    def _put(self, agent: str, micros: int) -> None:
        if micros:
            self._purses[agent] = micros
        else:
            self._purses.pop(agent, None)
