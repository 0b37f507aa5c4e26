"""What an award holds: units of resources, and credit. Plain values, and how an offer fills them.

A call says what each of its awards *stakes*: so many units of a resource for so long, and who
pays. An offer may say more about it, in its `terms`: `resource`, a part of what the call names
("gpu/h100" for a call that asks for "gpu"), and `start_in`, in how many seconds the units are
wanted. A `Stake` is what one award then holds, until it is captured or released, or ends by itself.

Credit is counted in integer micro-credits; a value of 1 in an offer is one credit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from policy.ledger import MICROS

MICROS_MAX = 10**15
"""No award costs more, a billion credits; whoever asks for more exceeds every budget."""
START_SECONDS_MAX = 30 * 86_400.0
"""How far ahead an offer may reserve units."""
ESCROW_SLACK_SECONDS = 60.0
"""How much longer credit is held than anybody may take to confirm and to report."""
SPANS_MAX = 2
"""How often the time to confirm fits into the longest that it may take; see `thinking`."""
SETTLE_SECONDS = 10.0
"""How long an award may wait for the store, when the call does not say."""

Payer = Literal["initiator", "winner"]


class Need(msgspec.Struct, frozen=True, gc=False):
    """Units of one resource that every award of a call locks."""

    resource: str
    units: int
    """1 or more."""
    seconds: float
    """For how long; above 0."""
    starts_at: float | None = None
    """Seconds on the gateway's clock; None: from the award on, or when the offer says."""


class Credit(msgspec.Struct, frozen=True, gc=False):
    """Who pays the price of an award, and out of what."""

    payer: Payer
    project: str = ""
    """The project whose budget is used besides the agent's own account; "": none."""
    multipliers: Mapping[str, float] = msgspec.field(default_factory=dict)
    """By what the price is multiplied for noisy payers, above 1 (`policy.noise`); set when the call
    was opened. Who is not in it pays the plain price."""


class Stakes(msgspec.Struct, frozen=True, gc=False):
    """What each award of a call holds."""

    needs: tuple[Need, ...] = ()
    credit: Credit | None = None
    within: float = SETTLE_SECONDS
    """How long an award may wait for the store, in seconds."""


class Lock(msgspec.Struct, frozen=True, gc=False):
    """Units of a resource for a time: wanted, or locked once it has a fencing number."""

    resource: str
    units: int
    starts_at: float
    ends_at: float
    fence: int = 0
    """Grows with each lock of the resource; who comes with a smaller one is refused."""


class Stake(msgspec.Struct, frozen=True, gc=False):
    """What one award holds."""

    key: str
    """Names it in the store, for ever: `<negotiation_id>/<attempt>/<place>`."""
    agent: str
    """Who wins."""
    offer_id: str
    holder: str
    """Who may use the units: whoever is paid for does not."""
    payer: str
    """Whose credit is held; "" when none is."""
    project: str
    micros: int
    locks: tuple[Lock, ...]
    ends_at: float
    """When held credit ends by itself, back with its payer; of a soft hold, when that ends."""
    instead_of: str = ""
    """The key of the soft hold whose units it locks; "" without one."""
    multiplier: float = 1.0
    """By what the price was multiplied, 1 or more; it is in `micros`."""


def stake_of(
    stakes: Stakes,
    key: str,
    *,
    initiator: str,
    agent: str,
    offer_id: str,
    price: float,
    wishes: object,
    buys: bool,
    now: float,
    ends_at: float,
    instead_of: str = "",
) -> Stake:
    """Return what the award of an offer holds when it is made now.

    `wishes` are the offer's terms, whatever they are. `buys` tells whether the winner is who gets
    the units: in an allocation it is, in a procurement the initiator does.
    """
    credit = stakes.credit
    pays = "" if credit is None else agent if credit.payer == "winner" else initiator
    multiplier = 1.0 if credit is None else credit.multipliers.get(pays, 1.0)
    return Stake(
        key,
        agent,
        offer_id,
        agent if buys else initiator,
        pays,
        "" if credit is None else credit.project,
        micros_of(price * multiplier) if pays else 0,
        locks_of(stakes, wishes if isinstance(wishes, Mapping) else {}, now),
        ends_at,
        instead_of,
        multiplier,
    )


def micros_of(price: float) -> int:
    """Return a price in micro-credits; nothing is paid for less than nothing."""
    return max(0, round(min(price, MICROS_MAX / MICROS + 1) * MICROS))


def locks_of(stakes: Stakes, wishes: Mapping[str, object], now: float) -> tuple[Lock, ...]:
    """Return which units are locked for an offer, and from when to when."""
    start_in = wishes.get("start_in", 0.0)
    if isinstance(start_in, bool) or not isinstance(start_in, int | float):
        start_in = 0.0
    wanted = now + min(max(0.0, start_in), START_SECONDS_MAX)
    part = wishes.get("resource")
    locks = []
    for need in stakes.needs:
        starts_at = wanted if need.starts_at is None else need.starts_at
        is_part = isinstance(part, str) and part.startswith(f"{need.resource}/")
        resource = str(part) if is_part else need.resource
        locks.append(Lock(resource, need.units, starts_at, starts_at + need.seconds))
    return tuple(locks)


def told(stake: Stake) -> dict[str, object]:
    """Return what the parties are told of a stake, in JSON."""
    shown: dict[str, object] = {}
    if stake.locks:
        shown["locks"] = [
            {
                "resource": lock.resource,
                "units": lock.units,
                "from": lock.starts_at,
                "until": lock.ends_at,
                "fence": lock.fence,
                "holder": stake.holder,
            }
            for lock in stake.locks
        ]
    if stake.payer:
        paid = {"payer": stake.payer, "micros": stake.micros, "project": stake.project}
        noisy = {"multiplier": stake.multiplier} if stake.multiplier > 1 else {}
        shown["credit"] = {**paid, **noisy}
    return shown
