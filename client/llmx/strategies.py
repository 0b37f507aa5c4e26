"""Ready-made ways to price an offer, chosen by name, and one to choose among offers.

A strategy answers a call with an offer or a refusal, and hears the verdict. It is used as
`bob.follow(strategies.build("cost_plus", cost=40, margin=0.1))`, from the command line, or from
a JSON file `{"strategy": "cost_plus", "cost": 40, "margin": 0.1}`. None of them offers beyond
the call's reserve.
"""

from __future__ import annotations

import json
import math
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from llmx import valuation
from llmx.calls import Call, Offer, Refusal, Verdict
from llmx.events import OfferMade, RankedOffer
from llmx.valuation import Urgency

AnyOffer = TypeVar("AnyOffer", OfferMade, RankedOffer)


class StrategyError(ValueError):
    """The name or a parameter of a strategy is not right; the text says what would be."""


@dataclass(kw_only=True)
class Strategy(ABC):
    """What all strategies share."""

    conditions: Mapping[str, Any] | None = None
    """Conditions that every offer bears."""
    terms: Mapping[str, Any] | None = None
    """Terms that every offer bears."""
    decimals: int = 2
    """To how many decimals a value is rounded."""
    delay: float = 0.0
    """Seconds to think before an answer."""
    jitter: float = 0.0
    """Up to how many seconds to think in addition, drawn anew each time."""
    seed: int | None = None
    """Makes what is drawn repeatable."""

    def __post_init__(self) -> None:
        """Check the parameters; raises StrategyError."""
        if self.delay < 0 or self.jitter < 0:
            raise StrategyError("delay and jitter are seconds: 0 or more")
        self.chance = random.Random(self.seed)

    def __call__(self, call: Call) -> Offer | Refusal:
        """Answer a call."""
        value = self.price(call)
        if value is None:
            return Refusal("no_capacity")
        value = round(value, self.decimals)
        reserve = call.reserve
        if reserve is not None and is_better(reserve, value, call.direction):
            return Refusal("beyond_reserve")
        return Offer(value, self.conditions, self.terms)

    @abstractmethod
    def price(self, call: Call) -> float | None:
        """Return the value to offer, or None to refuse."""

    def heard(self, verdict: Verdict) -> None:  # noqa: B027 - most have nothing to learn
        """Learn how a negotiation ended."""

    def think(self) -> float:
        """Return the seconds to think about the next answer."""
        return self.delay + (self.jitter * self.chance.random() if self.jitter else 0.0)


@dataclass(kw_only=True)
class Fixed(Strategy):
    """Always the same value."""

    value: float

    def price(self, call: Call) -> float:
        """Return the value."""
        return self.value


@dataclass(kw_only=True)
class CostPlus(Strategy):
    """The cost and a margin: cost × (1 + margin), or × (1 − margin) where the highest wins."""

    cost: float
    margin: float = 0.1
    """A part of the cost, 0.1 is a tenth."""
    per: str = ""
    """A dotted path in the call, "task.gpu_hours"; the cost is for one of these."""

    def price(self, call: Call) -> float | None:
        """Return the price, None when the call lacks the number that `per` names."""
        units: Any = call.read(self.per) if self.per else 1
        if not isinstance(units, int | float) or isinstance(units, bool):
            return None
        sign = 1 if call.direction == "procure" else -1
        return self.cost * units * (1 + sign * self.margin)


@dataclass(kw_only=True)
class Linear(Strategy):
    """From `start` to `limit` in equal steps, one for every round or lost negotiation."""

    start: float
    limit: float
    steps: int = 5
    """After so many steps the limit is reached."""
    lost: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Check the parameters; raises StrategyError."""
        super().__post_init__()
        if self.steps < 1:
            raise StrategyError("steps must be 1 or more")

    def price(self, call: Call) -> float:
        """Return the value after the steps so far."""
        done = min(max(call.round - 1, self.lost) / self.steps, 1.0)
        return self.start + (self.limit - self.start) * done

    def heard(self, verdict: Verdict) -> None:
        """Concede after a loss; after a win begin anew."""
        self.lost = 0 if verdict.won else self.lost + 1


@dataclass(kw_only=True)
class Aspiration(Strategy):
    """From `start` to `limit` in `horizon` seconds: start + (limit − start) × t^(1/exponent)."""

    start: float
    limit: float
    horizon: float = 60.0
    exponent: float = 1.0
    """1 concedes evenly, above 1 early (a conceder), below 1 late (a boulware)."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def __post_init__(self) -> None:
        """Check the parameters and start the time; raises StrategyError."""
        super().__post_init__()
        if self.horizon <= 0 or self.exponent <= 0:
            raise StrategyError("horizon and exponent must be above 0")
        self._began = self.clock()

    def price(self, call: Call) -> float:
        """Return the value at this moment."""
        passed = min(max((self.clock() - self._began) / self.horizon, 0.0), 1.0)
        done: float = passed ** (1 / self.exponent)
        return self.start + (self.limit - self.start) * done


@dataclass(kw_only=True)
class Random(Strategy):
    """Evenly drawn between `low` and `high`; the same `seed` draws the same values."""

    low: float
    high: float

    def __post_init__(self) -> None:
        """Check the parameters; raises StrategyError."""
        super().__post_init__()
        if self.low > self.high:
            raise StrategyError("low must not be above high")

    def price(self, call: Call) -> float:
        """Return a drawn value."""
        return self.chance.uniform(self.low, self.high)


@dataclass(kw_only=True)
class Reserve(Strategy):
    """A fixed price while there is capacity; every award takes some of it."""

    value: float
    capacity: float
    """How much there is."""
    per: str = ""
    """A dotted path in the call, "task.gpus", that says how much it takes; empty means 1."""
    used: float = field(default=0.0, init=False)

    def price(self, call: Call) -> float | None:
        """Return the price, or None when the capacity does not suffice."""
        return self.value if self._needs(call) <= self.capacity - self.used else None

    def heard(self, verdict: Verdict) -> None:
        """Take the capacity that was awarded."""
        if verdict.won:
            self.used += self._needs(verdict.call)

    def release(self, amount: float) -> None:
        """Give capacity back, when work is done."""
        self.used = max(self.used - amount, 0.0)

    def _needs(self, call: Call) -> float:
        units: Any = call.read(self.per) if self.per else 1
        return units if isinstance(units, int | float) and units > 0 else 1


@dataclass(kw_only=True)
class Worth(Strategy):
    """What a task is worth, priority × urgency × gain, less a margin; stops when it is too dear."""

    priority: float
    gain: float
    """What doing it brings, in credits, at urgency 1."""
    due_in: float
    """Seconds, from when the strategy is made, until the task is due."""
    margin: float = 0.0
    """The part of the worth that it keeps for itself; 0 bids all of it."""
    budget: float | None = None
    """What it may spend in all; None for as much as it likes."""
    reference: float = 3600.0
    """A task with so many seconds left has urgency 1."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    spent: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        """Check the parameters and start the time; raises StrategyError."""
        super().__post_init__()
        if min(self.priority, self.gain) < 0 or self.reference <= 0:
            raise StrategyError("priority and gain must be 0 or more, reference above 0")
        if not 0 <= self.margin < 1:
            raise StrategyError("margin is a part: 0 or more, and less than 1")
        self._urgency = Urgency(reference=self.reference)
        self._due = self.clock() + self.due_in

    def worth(self) -> float:
        """Return what the task is worth at this moment, 0 once it is over."""
        return valuation.value(self.priority, self._urgency(self._due - self.clock()), self.gain)

    def price(self, call: Call) -> float | None:
        """Return the bid, or None when the task is worth nothing, or more than is left."""
        worth = self.worth()
        if worth <= 0:
            return None
        if call.direction != "allocate":
            return worth * (1 + self.margin)  # to do without it costs that much at least
        bid = worth * (1 - self.margin)
        left = math.inf if self.budget is None else self.budget - self.spent
        return bid if bid <= left else None

    def heard(self, verdict: Verdict) -> None:
        """Count what a won bid costs."""
        if verdict.won and verdict.call.direction == "allocate":
            self.spent += verdict.offer.value if verdict.price is None else verdict.price


_KINDS: dict[str, type[Strategy]] = {
    "fixed": Fixed,
    "cost_plus": CostPlus,
    "linear": Linear,
    "aspiration": Aspiration,
    "random": Random,
    "reserve": Reserve,
    "worth": Worth,
}

NAMES: dict[str, str] = {name: (kind.__doc__ or "") for name, kind in _KINDS.items()}
"""What each strategy does, by its name."""


def parameters(name: str) -> tuple[str, ...]:
    """Return the names of a strategy's parameters. Raises StrategyError."""
    return tuple(f.name for f in fields(_kind(name)) if f.init and f.name != "clock")


def build(name: str, **params: Any) -> Strategy:
    """Return a strategy by its name.

    Raises StrategyError when the name is unknown or a parameter is missing, unknown or wrong.
    """
    kind, known = _kind(name), parameters(name)
    for param, value in params.items():
        if param not in known:
            raise StrategyError(f"{name} has no {param!r}; it has {', '.join(known)}")
        numeric = param not in ("conditions", "terms", "per")
        if numeric and (isinstance(value, bool) or not isinstance(value, int | float | None)):
            raise StrategyError(f"{name}: {param} must be a number, not {value!r}")
    missing = [need for need in _needed(kind) if need not in params]
    if missing:
        raise StrategyError(f"{name} needs {' and '.join(missing)}; it has {', '.join(known)}")
    try:
        return kind(**params)
    except TypeError as error:
        raise StrategyError(f"{name}: {error}") from None


def _needed(kind: type[Strategy]) -> list[str]:
    return [f.name for f in fields(kind) if f.init and f.default is f.default_factory is MISSING]


def from_json(description: Mapping[str, Any]) -> Strategy:
    """Return what `{"strategy": "fixed", "value": 40}` describes. Raises StrategyError."""
    params = dict(description)
    name = params.pop("strategy", None)
    if not isinstance(name, str):
        raise StrategyError(f'"strategy" must be one of {", ".join(NAMES)}')
    return build(name, **params)


def from_file(path: str | Path) -> Strategy:
    """Return what a JSON file describes. Raises StrategyError; OSError when there is no file."""
    try:
        description = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise StrategyError(f"{path} is not JSON: {error}") from None
    if not isinstance(description, dict):
        raise StrategyError(f"{path} must hold an object")
    return from_json(description)


def is_better(one: float, other: float, direction: str = "procure") -> bool:
    """Is `one` strictly better for the initiator than `other`?"""
    return one < other if direction == "procure" else one > other


def cheapest(offers: Sequence[AnyOffer]) -> AnyOffer | None:
    """Return the offer with the lowest value, the earliest of equals; None without offers."""
    return min(offers, key=_price, default=None)


def _price(offer: OfferMade | RankedOffer) -> float:
    return math.inf if offer.value is None else offer.value


def _kind(name: str) -> type[Strategy]:
    kind = _KINDS.get(name)
    if kind is None:
        raise StrategyError(f"no strategy {name!r}; there are {', '.join(NAMES)}")
    return kind
