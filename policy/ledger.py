"""The ledger: credit that is moved and never made up, in integer millionths.

Every movement is an `Entry` of postings that sum to nothing. Accounts have five kinds:

    mint ──▶ available ⇄ held ──▶ market
                 │  ▲                │
                 ▼  └────────────────┘ refund
                burn

`mint` is where credit comes from, so its balance is below zero by all that was ever given out;
`available` and `held` belong to an agent and are never below zero; `market` has what was paid;
`burn` what was taken out. The balance of an account is the sum of its postings, and the sum of all
accounts is zero.

Credit of an agent may lie at several *places*: "" is the treasury of the whole cluster, any other
place is a gateway that has taken some of it along, to spend it without asking anybody. A movement
between places is an entry like any other, so the sum is exact at all times. What lies at one
place is a `Purse`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

MICROS_MAX = 1 << 53
"""What one movement and one purse can hold: JSON keeps such a number exact everywhere."""
PLACES_MAX = 64
"""Gateways at which the credit of one agent may lie; one that has none left is not counted."""

MICROS = 1_000_000
"""Micro-credits in a credit."""

Kind = Literal["mint", "available", "held", "market", "burn"]
KINDS: tuple[Kind, ...] = ("mint", "available", "held", "market", "burn")


def credits_of(micros: int) -> str:
    """Return an amount as people say it, in credits, exact: "1,250.5" for 1,250,500,000."""
    whole, rest = divmod(abs(micros), MICROS)
    decimals = f".{rest:06d}".rstrip("0") if rest else ""
    return f"{'-' if micros < 0 else ''}{whole:,}{decimals}"


class Posting(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one account gains, or loses below zero."""

    kind: Kind
    micros: int
    owner: str = ""
    """The agent; "" for the accounts of the exchange."""
    place: str = ""


class Spent(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What was paid to the market, or given back when it is below zero, and for what."""

    hold_id: str
    agent: str
    micros: int
    negotiation_id: str = ""
    resource: str = ""
    project: str = ""


class Entry(msgspec.Struct, frozen=True, gc=False, tag="entry"):
    """One line of the journal: written once, never changed."""

    key: str
    """The idempotency key of the commit that wrote it."""
    at: float
    """Seconds since 1970, by the clock of the gateway that wrote it."""
    gateway_id: str
    postings: tuple[Posting, ...] = ()
    spent: tuple[Spent, ...] = ()
    locks: Mapping[str, int] = msgspec.field(default_factory=dict)
    """The fencing number of every lock that was granted, by its id."""
    units: Mapping[str, tuple[int, ...]] = msgspec.field(default_factory=dict)
    """Which units of its resource each lock has."""
    is_void: bool = False
    """Nothing was committed under this key, and nothing ever will be."""
    is_carried: bool = False
    """It has the sums of older entries, which are gone."""
    number: int = 0
    """Its place among the entries that were written at the same instant."""


class Purse(msgspec.Struct, frozen=True, gc=False, tag="purse"):
    """The credit of one agent at one place."""

    agent: str
    place: str = ""
    available: int = 0
    held: int = 0
    places: tuple[str, ...] = ()
    """Of the treasury's purse: where else the agent has one."""


class Hold(msgspec.Struct, frozen=True, gc=False, tag="hold"):
    """Credit that is promised and not paid yet; it ends once."""

    hold_id: str
    agent: str
    micros: int
    place: str
    """Where the credit lies."""
    expires_at: float
    """From then on it can be released only."""
    negotiation_id: str = ""
    resource: str = ""
    project: str = ""
    budgets: Mapping[str, int] = msgspec.field(default_factory=dict)
    """The budgets that it counts in, each with the window in which it was made."""


class Refunded(msgspec.Struct, frozen=True, gc=False, tag="refunded"):
    """How much of a captured hold was given back."""

    micros: int


Moved = tuple[Purse, tuple[Posting, ...]]


def minted(purse: Purse, micros: int) -> Moved:
    """Give an agent credit that was not there before."""
    return _checked(replace(purse, available=purse.available + micros)), (
        Posting("mint", -micros),
        Posting("available", micros, purse.agent, purse.place),
    )


def burned(purse: Purse, micros: int) -> Moved:
    """Take credit out for good."""
    return _checked(replace(purse, available=purse.available - micros)), (
        Posting("available", -micros, purse.agent, purse.place),
        Posting("burn", micros),
    )


def held(purse: Purse, micros: int) -> Moved:
    """Promise credit that is available."""
    moved = replace(purse, available=purse.available - micros, held=purse.held + micros)
    return _checked(moved), _between(purse, "available", "held", micros)


def released(purse: Purse, hold: Hold) -> Moved:
    """Make the whole of a hold available again."""
    moved = replace(purse, available=purse.available + hold.micros, held=purse.held - hold.micros)
    return _checked(moved), _between(purse, "held", "available", hold.micros)


def captured(purse: Purse, hold: Hold, micros: int) -> Moved:
    """Pay `micros` of a hold to the market and make the rest available again."""
    assert 0 <= micros <= hold.micros, "more than was promised is never paid"
    rest = hold.micros - micros
    moved = replace(purse, available=purse.available + rest, held=purse.held - hold.micros)
    paid = (Posting("held", -micros, purse.agent, purse.place), Posting("market", micros))
    return _checked(moved), paid + (_between(purse, "held", "available", rest) if rest else ())


def refunded(purse: Purse, micros: int) -> Moved:
    """Give back what was paid to the market."""
    return _checked(replace(purse, available=purse.available + micros)), (
        Posting("market", -micros),
        Posting("available", micros, purse.agent, purse.place),
    )


def carried(source: Purse, target: Purse, micros: int) -> tuple[Purse, Purse, tuple[Posting, ...]]:
    """Take credit of an agent from one place to another."""
    assert source.agent == target.agent, "credit changes its place, not its owner"
    return (
        _checked(replace(source, available=source.available - micros)),
        _checked(replace(target, available=target.available + micros)),
        (
            Posting("available", -micros, source.agent, source.place),
            Posting("available", micros, target.agent, target.place),
        ),
    )


def _between(purse: Purse, source: Kind, target: Kind, micros: int) -> tuple[Posting, ...]:
    return (
        Posting(source, -micros, purse.agent, purse.place),
        Posting(target, micros, purse.agent, purse.place),
    )


def _checked(purse: Purse) -> Purse:
    assert 0 <= purse.available <= MICROS_MAX, "who moves credit has looked how much there is"
    assert 0 <= purse.held <= MICROS_MAX, "what ends was held"
    return purse


class Balance(msgspec.Struct, frozen=True, gc=False):
    """What an agent has, at all places together."""

    available: int = 0
    held: int = 0


def balances(entries: Iterable[Entry]) -> dict[tuple[Kind, str, str], int]:
    """Return the balance of each account (kind, owner, place), as the journal has it."""
    sums: Counter[tuple[Kind, str, str]] = Counter()
    for entry in entries:
        for posting in entry.postings:
            sums[posting.kind, posting.owner, posting.place] += posting.micros
    return dict(sums)


def totals(entries: Iterable[Entry]) -> dict[Kind, int]:
    """Return the sum of all accounts of each kind; together they are zero."""
    sums: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    for entry in entries:
        for posting in entry.postings:
            sums[posting.kind] += posting.micros
    return sums


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What an agent has spent on one thing."""

    agent: str
    resource: str
    negotiation_id: str
    project: str
    micros: int


def attribution(entries: Iterable[Entry]) -> list[Cost]:
    """Return who has spent how much on what; refunds are taken off, and the sum is the market's."""
    sums: Counter[tuple[str, str, str, str]] = Counter()
    for entry in entries:
        for spent in entry.spent:
            sums[spent.agent, spent.resource, spent.negotiation_id, spent.project] += spent.micros
    return [Cost(*what, micros) for what, micros in sorted(sums.items())]


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line of a statement."""

    at: float
    key: str
    available: int
    """What the agent gained or lost."""
    held: int
    balance: Balance
    """What it had afterwards."""
    spent: tuple[Spent, ...] = ()


def statement(agent: str, entries: Iterable[Entry]) -> list[Line]:
    """Return what changed the credit of an agent, in the order of the journal.

    What only changes its place is no line.
    """
    lines: list[Line] = []
    available = held_now = 0
    for entry in entries:
        more = {"available": 0, "held": 0}
        for posting in entry.postings:
            if posting.owner == agent:
                more[posting.kind] += posting.micros
        spent = tuple(one for one in entry.spent if one.agent == agent)
        if not (more["available"] or more["held"] or spent):
            continue
        available += more["available"]
        held_now += more["held"]
        balance = Balance(available, held_now)
        lines.append(Line(entry.at, entry.key, more["available"], more["held"], balance, spent))
    return lines
