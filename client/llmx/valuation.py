"""What a task is worth to an agent, and what it would pay for it (negotiation.md §7).

    value = priority × urgency × marginal gain
    urgency = clamp(T_ref / max(time left, T_min))
    surplus = value - price; an agent bids while it is 0 or more

Urgency is a factor without a unit: a task that is due in ten minutes is worth much more than one
that has a day, and one whose time is over is worth nothing. A published formula divides by the
price and so calls for the price before there is one; here the value comes first, and the price
is judged by it. Between several offers the best has the highest value for its price.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from typing import TypeVar

Key = TypeVar("Key")


@dataclass(frozen=True)
class Urgency:
    """How much the time that is left raises or lowers a value."""

    reference: float = 3600.0
    """T_ref: a task with so many seconds left has urgency 1; above 0."""
    time_min: float = 60.0
    """T_min: less time than this makes nothing more urgent; above 0."""
    least: float = 0.1
    most: float = 20.0

    def __call__(self, time_left: float) -> float:
        """Return the urgency of a task with `time_left` seconds; 0 when its time is over."""
        if time_left <= 0:
            return 0.0
        return min(self.most, max(self.least, self.reference / max(time_left, self.time_min)))


def value(priority: float, urgency: float, marginal_gain: float) -> float:
    """Return what a task is worth: the product of three factors, each 0 or more."""
    return max(0.0, priority) * max(0.0, urgency) * max(0.0, marginal_gain)


def surplus(worth: float, price: float) -> float:
    """Return what is gained by getting something at a price."""
    return worth - price


def should_bid(worth: float, price: float) -> bool:
    """Tell whether to go on: the stop rule. Who breaks even still bids."""
    return surplus(worth, price) >= 0


def for_its_price(worth: float, price: float) -> float:
    """Return value for money, by which offers are ranked; what costs nothing is unbeatable."""
    return worth / price if price > 0 else inf


def ranked(choices: Iterable[tuple[Key, float, float]]) -> list[Key]:
    """Return the keys of (key, value, price) that are worth their price, the best first."""
    worth_it = [choice for choice in choices if should_bid(choice[1], choice[2])]
    worth_it.sort(key=lambda choice: for_its_price(choice[1], choice[2]), reverse=True)
    return [key for key, _, _ in worth_it]
