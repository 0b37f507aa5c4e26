"""What every agent heard of every award, held against the ledger.

double    two agents heard that they won, or one did that the outcome does not name
lost      credit that is nowhere, or was paid though nobody won
made      credit that nobody gave
leaked    credit that is held, or units that are locked, when the time of all of it is over
gone      a verdict of a call that was not durable, which its gateway took with it: that is allowed,
          once the initiator has heard, because then it does not call again
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Call:
    """One award, as its agents saw it."""

    step: str
    durable: bool
    state: str = ""
    """The outcome that the initiator heard: "committed", "no_award"; "" for none."""
    winners: tuple[str, ...] = ()
    negotiation_id: str = ""
    price: float = 0.0
    told_won: list[str] = field(default_factory=list)
    told_lost: list[str] = field(default_factory=list)
    did_die: bool = True
    is_late: bool = False
    """Somebody had not heard of it in time."""
    doomed: asyncio.Event = field(default_factory=asyncio.Event, compare=False, repr=False)
    """Set when it is known at which step its gateway ends; nobody offers before."""

    @property
    def is_gone(self) -> bool:
        """Did the gateway take with it what it had to tell, as it may?"""
        return self.is_late and bool(self.state) and not self.durable

    @property
    def is_double(self) -> bool:
        """Were there two awards, or one that not all heard of alike?"""
        return len(set(self.told_won)) > 1 or not set(self.told_won) <= set(self.winners)

    @property
    def is_told_twice(self) -> bool:
        """Did an agent hear twice that it won?"""
        return len(self.told_won) != len(set(self.told_won))


@dataclass(frozen=True, slots=True)
class Sums:
    """The ledger of a gateway when all is over, in micro-credits."""

    minted: int
    available: int
    held: int
    paid: int
    locks: int
    """Units of resources that are still booked."""


Played = tuple[list[Call], Sums]
"""What was heard at one gateway, and what its ledger had in the end."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of the repetitions of one step on one store."""

    store: str
    step: str
    repetitions: int
    died: int
    awarded: int
    none: int
    """Without an award: everybody heard so."""
    unheard: int
    """Of which one of the three agents heard nothing in time, and should have."""
    gone: int
    """Of which one of the three agents heard nothing, and need not have."""
    doubles: int
    repeated: int


def judged(store: str, step: str, calls: Sequence[Call]) -> Verdict:
    """Return what came of the calls of one step."""
    return Verdict(
        store,
        step,
        len(calls),
        sum(call.did_die for call in calls),
        sum(bool(call.winners) for call in calls),
        sum(bool(call.state) and not call.winners for call in calls),
        sum((call.is_late and not call.is_gone) or not call.state for call in calls),
        sum(call.is_gone for call in calls),
        sum(call.is_double for call in calls),
        sum(call.is_told_twice for call in calls),
    )


def made(sums: Sums) -> int:
    """Return by how much the ledger has more, or less below zero, than was given."""
    return sums.available + sums.held + sums.paid - sums.minted


def owed(calls: Sequence[Call], paid_for: Sequence[str]) -> int:
    """Return what has to be paid for awards, in the plots in which work is paid for."""
    return sum(round(call.price * 1e6) for call in calls if call.winners and call.step in paid_for)
