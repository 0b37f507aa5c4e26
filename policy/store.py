"""Where hard facts are kept: awards, locks and credit, one commit at a time.

A `Commit` is a list of changes that happen together or not at all, under an idempotency key:

    Commit("award:g.0.n", at, (
        Decide(call, "g.0.n", outcome),
        Lock("g.0.n/1", "h100", 4, t, t + 1800, agent="agent://bob", negotiation_id="g.0.n"),
        HoldCredit("g.0.n/1", "agent://alice", 50_000_000, expires_at, negotiation_id="g.0.n"),
    ))

It is answered by `Committed`, or by `Refused` with a code and nothing written. Who asks again with
the same key hears the first answer; a refusal is not remembered, for nothing happened. A commit
without changes makes its key *void*: whoever comes later under it hears so, and nothing is ever
written. That is how an award whose fate is unknown is called off.

    CLOSED ──Decide──▶ DECIDED ──Reopen──▶ CLOSED ──Decide──▶ ...

A `Store` carries it out. There is one for tests and for a gateway that keeps nothing
(`memory_store`), one in a file and one in etcd; all judge a commit by the same pure function
(`judging`), against the facts that it reads, and write only if those still hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from policy.budgets import Grant
from policy.ledger import Balance, Entry, Hold
from policy.resources import Resource

CHANGES_MAX = 64
"""Of one commit."""
KEY_CHARACTERS_MAX = 512
CARRIED_MAX = 10_000
"""Commits that put the journal together in one go."""
CHUNK_MICROS = 100_000_000
"""What a gateway takes along of an agent's credit, or of a budget, if there is plenty."""


class Decide(msgspec.Struct, frozen=True, gc=False):
    """Award a call; refused ALREADY_DECIDED when it has an award."""

    call: str
    """Names the call, whichever gateway it came to."""
    negotiation_id: str
    outcome: bytes = b""
    """What its initiator is told."""


class Reopen(msgspec.Struct, frozen=True, gc=False):
    """Take back the award of a call, if it is this negotiation's: the next best may win."""

    call: str
    negotiation_id: str


class Lock(msgspec.Struct, frozen=True, gc=False):
    """Lock units of a resource, or hold them softly; refused RESOURCE_GONE when they are taken."""

    lock_id: str
    """Unlike every other of this resource, ever."""
    resource: str
    units: int
    starts_at: float
    ends_at: float
    agent: str = ""
    negotiation_id: str = ""
    soft_until: float | None = None
    """Hold them softly until then; None for a lock."""
    instead_of: str = ""
    """The soft hold that the lock takes the place of; when it has ended, the lock stands alone."""
    is_system: bool = False
    """Is it for an agent of the system class, which may take the reserve too?"""


class Unlock(msgspec.Struct, frozen=True, gc=False):
    """Take off a lock or a soft hold; nothing happens when it has ended."""

    resource: str
    lock_id: str


class ShowLock(msgspec.Struct, frozen=True, gc=False):
    """Go on only while a lock stands under this number; refused LOCK_STALE otherwise."""

    resource: str
    lock_id: str
    fencing: int


class HoldCredit(msgspec.Struct, frozen=True, gc=False):
    """Promise credit; refused CREDIT_SHORT or BUDGET_EXHAUSTED when there is too little."""

    hold_id: str
    """Unlike every other, ever; best begun with the id of the negotiation."""
    agent: str
    micros: int
    """Above 0."""
    expires_at: float
    """Seconds since 1970; from then on it is released."""
    negotiation_id: str = ""
    resource: str = ""
    project: str = ""
    budgets: tuple[str, ...] = ()
    """Every budget that it counts in."""


class Capture(msgspec.Struct, frozen=True, gc=False):
    """Pay part or all of a hold and release the rest; refused HOLD_ENDED when it has ended."""

    hold_id: str
    micros: int
    """0 up to what is held; more is refused CAPTURE_TOO_LARGE."""


class Release(msgspec.Struct, frozen=True, gc=False):
    """Make a hold available again; nothing happens when it has ended."""

    hold_id: str
    only_expired: bool = False
    """Leave it as it is unless its time is over."""


class Refund(msgspec.Struct, frozen=True, gc=False):
    """Give back what a hold has paid; refused REFUND_TOO_LARGE beyond what that was."""

    captured_by: str
    """The key of the commit that captured it."""
    hold_id: str
    micros: int


class Mint(msgspec.Struct, frozen=True, gc=False):
    """Give an agent credit."""

    agent: str
    micros: int


class Burn(msgspec.Struct, frozen=True, gc=False):
    """Take credit out; refused CREDIT_SHORT when there is too little."""

    agent: str
    micros: int


class GiveBack(msgspec.Struct, frozen=True, gc=False):
    """Take what is available in the purse of a place, "" for the writer's own, to the treasury."""

    agent: str
    place: str = ""


class SetBudget(msgspec.Struct, frozen=True, gc=False):
    """Make a budget, or change it; what is used in this window stays used."""

    name: str
    micros: int
    seconds: float | None = 3600.0
    """How long a window lasts; None for a project."""


class SetResource(msgspec.Struct, frozen=True, gc=False):
    """Register a resource, or change it; refused RESOURCE_BUSY when bookings would not fit."""

    name: str
    units: int
    """0 takes it out."""
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    opens_at: float = 0.0
    closes_at: float | None = None
    reserve: float | None = None
    """The part of the units that only the system class may take; 0 to 1. None: as it was."""


class CarryForward(msgspec.Struct, frozen=True, gc=False):
    """Replace entries of the journal by one that has their sums, and forget awards of calls."""

    entries: tuple[str, ...]
    """The keys of their commits; whoever asks again with one of them is not known any more."""
    calls: tuple[str, ...] = ()


Change = (
    CarryForward
    | Decide
    | Reopen
    | Lock
    | Unlock
    | ShowLock
    | HoldCredit
    | Capture
    | Release
    | Refund
    | Mint
    | Burn
    | GiveBack
    | SetBudget
    | SetResource
)


class Commit(msgspec.Struct, frozen=True, gc=False):
    """Changes that happen together or not at all."""

    key: str
    """Idempotency: 1 to 512 characters; the same key is the same commit."""
    at: float
    """When it is asked for, seconds since 1970; what has ended by then has ended."""
    changes: tuple[Change, ...] = ()
    """At most 64; none makes the key void."""
    epoch: int = 0
    """The epoch of the gateway in which this was decided; 0 for whichever it lives in now."""


class Decision(msgspec.Struct, frozen=True, gc=False, tag="decision"):
    """The award of a call."""

    call: str
    negotiation_id: str
    gateway_id: str
    outcome: bytes
    at: float
    is_open: bool = False
    """It was taken back, and the call may be awarded again."""


class Committed(msgspec.Struct, frozen=True, gc=False):
    """Everything happened, now or when the key was used first."""

    entry: Entry
    """What stands in the journal; `entry.locks` has the fencing numbers, `entry.is_void` whether
    nothing happened and nothing will."""
    is_first: bool = True
    """False when the key had been used."""


Code = Literal[
    "ALREADY_DECIDED",
    "BUDGET_EXHAUSTED",
    "BUDGET_UNKNOWN",
    "CAPTURE_TOO_LARGE",
    "CREDIT_SHORT",
    "FENCED",
    "HOLD_ENDED",
    "HOLD_EXISTS",
    "INVALID",
    "LOCK_EXISTS",
    "LOCK_STALE",
    "REFUND_TOO_LARGE",
    "RESOURCE_BUSY",
    "RESOURCE_GONE",
    "RESOURCE_UNKNOWN",
]


class Refused(msgspec.Struct, frozen=True, gc=False):
    """Nothing happened."""

    code: Code
    subject: str
    """What it is about: the call, the resource, the agent, the budget, the hold."""
    detail: str
    agent: str = ""
    """Whom the change was for: a loser of a race hears RESOURCE_GONE."""
    resets_at: float | None = None
    """With BUDGET_EXHAUSTED: when the next window begins; None for a project."""
    decision: Decision | None = None
    """With ALREADY_DECIDED: the award that stands."""


class StoreError(Exception):
    """What a store cannot do now.

    StoreError
    ├── StoreUnavailable   nothing was written
    └── StoreUncertain     it may have been written, or may be in a moment: ask again with the same
                           key, or make the key void
    """


class StoreUnavailable(StoreError):
    """Nothing was written."""


class StoreUncertain(StoreError):
    """It may have been written, or may be in a moment."""


class BudgetUse(msgspec.Struct, frozen=True, gc=False):
    """How a budget stands."""

    grant: Grant
    used: int
    resets_at: float | None


class Store(Protocol):
    """Keeps hard facts; every method may raise a StoreError."""

    async def commit(self, commit: Commit) -> Committed | Refused:
        """Do all of it or nothing, and tell which."""

    async def decision(self, call: str) -> Decision | None:
        """Return the award of a call."""

    async def balance(self, agent: str) -> Balance:
        """Return what an agent has, at all places together."""

    async def holds(self, prefix: str = "") -> Sequence[Hold]:
        """Return the holds that have not ended, those whose id begins so."""

    async def budget(self, name: str, at: float) -> BudgetUse | None:
        """Return how a budget stands in the window of a time."""

    async def resource(self, name: str) -> Resource | None:
        """Return a resource with its calendar."""

    async def resources(self) -> Sequence[Resource]:
        """Return all resources, by name."""

    async def entries(self, since: float = 0.0) -> Sequence[Entry]:
        """Return the journal from a time on, in the order in which it was written."""

    async def carry_forward(self, before: float, at: float, commits_max: int = CARRIED_MAX) -> int:
        """Put the journal from before a time together, now; tell how many commits that took.

        When it took `commits_max`, some may be left.
        """

    async def expire(self, at: float) -> int:
        """Release every hold whose time is over, and tell how many there were."""
