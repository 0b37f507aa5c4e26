"""Whether a ledger adds up: every entry and the whole journal to zero, and what is held to holds.

The journal and the holds are read one after the other, and awards go on meanwhile. So the holds are
read before and after the journal, and compared with it only if none has begun or ended between; a
difference is believed when it is found again. A long journal is added up in a thread.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import msgspec

from policy import ledger
from policy.ledger import Entry, Hold
from policy.store import Store

ATTEMPTS_MAX = 3
"""How often it is read when holds change meanwhile, or something seems wrong."""


class Audit(msgspec.Struct, frozen=True):
    """What was found; all is well when every figure but the first two is zero."""

    at: float
    entries: int
    unbalanced: int = 0
    """Entries that do not sum to zero."""
    difference_micros: int = 0
    """The sum of all accounts."""
    held_micros: int | None = 0
    """By how much what agents hold differs from their holds, agent by agent; None: not compared."""

    @property
    def is_balanced(self) -> bool:
        """Tell whether it adds up, as far as it was looked at."""
        return not (self.unbalanced or self.difference_micros or self.held_micros)


async def audit(store: Store, at: float) -> Audit:
    """Read a ledger and say whether it adds up; raises a StoreError."""
    for attempt in range(ATTEMPTS_MAX):
        before = await store.holds()
        entries = await store.entries()
        is_still = _ids(before) == _ids(await store.holds())
        looked = await asyncio.to_thread(found, entries, before if is_still else None, at)
        if (is_still and looked.is_balanced) or attempt == ATTEMPTS_MAX - 1:
            return looked
    raise AssertionError("the last attempt is answered whatever it has found")


def _ids(holds: Sequence[Hold]) -> set[str]:
    return {hold.hold_id for hold in holds}


def found(entries: Sequence[Entry], holds: Sequence[Hold] | None, at: float) -> Audit:
    """Return whether a journal adds up, and whether the holds of that moment are what it says."""
    unbalanced = sum(sum(one.micros for one in entry.postings) != 0 for entry in entries)
    difference = sum(ledger.totals(entries).values())
    return Audit(at, len(entries), unbalanced, difference, _held(entries, holds))


def _held(entries: Sequence[Entry], holds: Sequence[Hold] | None) -> int | None:
    if holds is None:
        return None
    sums: Counter[str] = Counter()
    for (kind, owner, _), micros in ledger.balances(entries).items():
        if kind == "held":
            sums[owner] += micros
    for hold in holds:
        sums[hold.agent] -= hold.micros
    return sum(abs(micros) for micros in sums.values())
