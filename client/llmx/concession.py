"""A party that gives way as time goes by: patient first or hasty first, never beyond its limit.

The price goes from `start` to `limit` as the rounds of the bargain pass:

    price = start + (limit − start) · t^(1 / exponent)

with t from 0 in the first round to 1 in the last. Exponent 1 gives way evenly, above 1 early (a
conceder), below 1 late (a boulware). It accepts what is at least as good as what it would propose
itself, and in the last round whatever keeps its limit.

Sources: P. Faratin, C. Sierra, N. R. Jennings, Negotiation Decision Functions for Autonomous
Agents (1998); the rule of acceptance is AC_next of T. Baarslag et al., Acceptance Conditions in
Automated Negotiation (2013).
"""

from __future__ import annotations

from dataclasses import dataclass

from llmx.bargain import Accept, Bargain, End, Move, Propose
from llmx.turns import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Concede:
    """From `start` to `limit` over the rounds of a bargain."""

    start: float
    limit: float
    """The worst price that it agrees to: the highest for who buys, the lowest for who sells."""
    exponent: float = 1.0
    decimals: int = 2
    """To how many decimals a price is rounded, never beyond the limit."""

    def __post_init__(self) -> None:
        """Check the parameters; raises ValueError."""
        if self.exponent <= 0:
            raise ValueError("exponent must be above 0")

    def __call__(self, bargain: Bargain) -> Move:
        """Accept what is as good as the next own price, or propose that."""
        turn, standing = bargain.turn, bargain.standing
        price = self.price(turn)
        is_last = turn is not None and turn.rounds_left == 0
        if standing is not None and standing.value is not None:
            wanted = self.limit if is_last else price
            if self.is_as_good(standing.value, wanted):
                return Accept()
        return End("no_time") if is_last else Propose(value=price)

    def price(self, turn: Turn | None) -> float:
        """Return what it proposes in a turn."""
        past = 0 if turn is None else turn.round - 1
        rounds = past + (0 if turn is None else turn.rounds_left)
        part = past / rounds if rounds else 0.0
        price = round(
            self.start + (self.limit - self.start) * part ** (1 / self.exponent), self.decimals
        )
        return price if self.is_as_good(price, self.limit) else self.limit

    def is_as_good(self, price: float, wanted: float) -> bool:
        """Tell whether a price is no worse for this party than another."""
        return price >= wanted if self.start >= self.limit else price <= wanted
