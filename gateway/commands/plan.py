"""What a contractor of the command line is: an address, what it hears, and how it prices.

    {"agent": "agent://bob", "topics": ["gpu"], "capabilities": ["propose"],
     "strategy": "fixed", "params": {"value": 40, "conditions": {"start_in": 2}}}

The same object stands in a file for `llmx agent --file` and in the scenarios of the demo.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.commands.access import check_agent
from gateway.commands.json_files import check_members, read_object
from gateway.commands.trouble import CommandError
from llmx import strategies

PRICES = ("value", "cost", "start", "limit", "low", "high")
"""The parameters of strategies that are prices."""
COPY_DELAY_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Plan:
    """One contractor."""

    agent: str
    strategy: str
    params: Mapping[str, Any]
    topics: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ("propose",)
    consents: tuple[str, ...] = ()
    """Agents that may send to this one beside its topics; "*" is all."""
    first_offer_breaks: bool = False
    """Write the first offer of every call as a careless language model would, the price as
    words, and mend it as the gateway's refusal says."""
    bargain: Mapping[str, float] | None = None
    """From which price to which it gives way in a bargain, {"start": 60, "limit": 40}; None: it
    does not bargain."""

    def build(self) -> strategies.Strategy:
        """Return the strategy. Raises StrategyError."""
        return strategies.build(self.strategy, **self.params)

    def described(self) -> dict[str, Any]:
        """Return the object that `plan_of` reads."""
        return asdict(self)

    def copy(self, number: int) -> Plan:
        """Return another contractor of this kind, the `number`-th from 1, at other prices."""
        factor = 1 + (0.04 if number % 2 else -0.03) * number
        params = {
            name: round(value * factor, 2) if name in PRICES and _is_number(value) else value
            for name, value in self.params.items()
        }
        params["delay"] = round(params.get("delay", 0.0) + COPY_DELAY_SECONDS * number, 3)
        if "seed" in params:
            params["seed"] += number
        return Plan(
            f"{self.agent}-{number + 1}",
            self.strategy,
            params,
            self.topics,
            self.capabilities,
            self.consents,
            bargain=None
            if self.bargain is None
            else {name: round(price * factor, 2) for name, price in self.bargain.items()},
        )


MEMBERS = tuple(Plan.__dataclass_fields__)


def plan_of(description: Mapping[str, Any], where: str, topics: Sequence[str] = ()) -> Plan:
    """Return the contractor that an object describes.

    `where` says where the object stands, `topics` are what it hears when it says nothing of
    that. Raises CommandError.
    """
    check_members(description, MEMBERS, where)
    agent, strategy = description.get("agent"), description.get("strategy")
    if not isinstance(agent, str):
        raise CommandError(f"{where}: it says not who it is", 'write "agent": "agent://bob"')
    if not isinstance(strategy, str):
        known = ", ".join(strategies.NAMES)
        raise CommandError(f"{where}: it has no strategy", f'"strategy" is one of {known}')
    params = description.get("params", {})
    if not isinstance(params, dict):
        raise CommandError(f'{where}: "params" is no object', 'write "params": {"value": 40}')
    breaks = description.get("first_offer_breaks", False)
    if not isinstance(breaks, bool):
        raise CommandError(f'{where}: "first_offer_breaks" is true or false')
    heard = _texts(description, "topics", where, topics)
    plan = Plan(
        check_agent(agent),
        strategy,
        params,
        tuple(topic.removeprefix("topic://") for topic in heard),
        _texts(description, "capabilities", where, ("propose",)),
        _texts(description, "consents", where, ()),
        breaks,
        _bargain(description, where),
    )
    try:
        plan.build()
    except strategies.StrategyError as error:
        raise CommandError(f"{where}: {error}") from None
    return plan


def _bargain(description: Mapping[str, Any], where: str) -> Mapping[str, float] | None:
    prices = description.get("bargain")
    if prices is None:
        return None
    if (
        not isinstance(prices, dict)
        or prices.keys() != {"start", "limit"}
        or not all(map(_is_number, prices.values()))
    ):
        raise CommandError(
            f'{where}: "bargain" does not say its prices',
            'write "bargain": {"start": 60, "limit": 40}',
        )
    return prices


def plan_from_flags(
    file: Path | None,
    *,
    agent: str | None,
    topics: Sequence[str] | None,
    capabilities: Sequence[str] | None,
    consents: Sequence[str] | None,
    strategy: str | None,
    params: Sequence[str] | None,
) -> Plan:
    """Return the contractor of a command line: its file, if any, with the flags before it.

    Raises CommandError.
    """
    described = read_object(file) if file is not None else {}
    if strategy is not None and strategy != described.get("strategy"):
        described.pop("params", None)  # they belong to the strategy of the file
    given = {
        "agent": agent,
        "topics": list(topics) if topics else None,
        "capabilities": list(capabilities) if capabilities else None,
        "consents": list(consents) if consents else None,
        "strategy": strategy,
    }
    described |= {name: value for name, value in given.items() if value is not None}
    if params:
        before = described.get("params")
        described["params"] = (before if isinstance(before, dict) else {}) | _params(params)
    where = str(file) if file is not None else "the command line"
    if file is None:
        if agent is None:
            raise CommandError("nobody is named", "llmx agent agent://bob …, or --file bob.json")
        if strategy is None:
            raise CommandError("it has no strategy", "add --strategy fixed --param value=40")
    return plan_of(described, where)


def _params(pairs: Sequence[str]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise CommandError(f"--param {pair}", "use NAME=VALUE, for example value=40")
        try:
            params[name] = json.loads(text)
        except ValueError:
            params[name] = text
    return params


def _texts(
    description: Mapping[str, Any], name: str, where: str, otherwise: Sequence[str]
) -> tuple[str, ...]:
    texts = description.get(name, otherwise)
    if not isinstance(texts, list | tuple) or not all(text and type(text) is str for text in texts):
        raise CommandError(f'{where}: "{name}" is no list of texts', f'write "{name}": ["…"]')
    return tuple(texts)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
