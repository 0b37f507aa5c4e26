"""What became of the commits of one gateway, counted as they are answered.

Only what happened counts, and once: a commit that is answered again under its key is not counted,
and what was refused is counted by its code alone. Holds that end by their time are counted by who
sweeps them.
"""

from __future__ import annotations

from collections import Counter

from policy.ledger import Entry
from policy.store import (
    Burn,
    Capture,
    CarryForward,
    Change,
    Commit,
    Committed,
    Decide,
    GiveBack,
    HoldCredit,
    Lock,
    Mint,
    Refund,
    Refused,
    Release,
    Reopen,
    SetBudget,
    SetResource,
    ShowLock,
    Unlock,
)

LOCKS_MAX = 100_000
"""Locks whose end is known; of more the oldest are not counted as open any more."""

WORDS: dict[type[Change], str] = {
    Burn: "burn",
    Capture: "capture",
    CarryForward: "carry",
    Decide: "award",
    GiveBack: "give_back",
    HoldCredit: "hold",
    Lock: "lock",
    Mint: "mint",
    Refund: "refund",
    Release: "release",
    Reopen: "reopen",
    SetBudget: "budget",
    SetResource: "resource",
    ShowLock: "show_lock",
    Unlock: "unlock",
}
"""What each change is called as a label; a soft hold of units is "soft_hold"."""


class Tally:
    """Counts since the gateway has started."""

    def __init__(self) -> None:
        """Start at zero."""
        self.changes: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.moved_micros: Counter[str] = Counter()
        """Credit that was minted, held, released, paid, refunded and burned."""
        self.voids = 0
        """Awards that were called off before they were written."""
        self.expired = 0
        """Holds that ended by their time."""
        self.fencing = 0
        """The highest number of a lock that was granted."""
        self._locks: dict[str, float] = {}
        """Until when each lock stands."""

    def note(self, commit: Commit, answer: Committed | Refused) -> None:
        """Count a commit by its answer."""
        if isinstance(answer, Refused):
            self.refused[answer.code] += 1
            return
        if not answer.is_first:
            return
        self.voids += answer.entry.is_void
        for change in commit.changes:
            self._note_change(change)
        self.fencing = max((self.fencing, *answer.entry.locks.values()))
        if not answer.entry.is_carried:
            self._note_moves(answer.entry)

    def locks_open(self, at: float) -> int:
        """Return how many locks that this gateway was granted stand at a time.

        A thread that scrapes asks this, so it changes nothing.
        """
        return sum(ends > at for ends in list(self._locks.values()))

    def _note_change(self, change: Change) -> None:
        word = WORDS[type(change)]
        if isinstance(change, Lock) and change.soft_until is not None:
            word = "soft_hold"
        elif isinstance(change, Lock):
            self._locks[change.lock_id] = change.ends_at
            if len(self._locks) > LOCKS_MAX:
                del self._locks[next(iter(self._locks))]
        elif isinstance(change, Unlock):
            self._locks.pop(change.lock_id, None)
        self.changes[word] += 1

    def _note_moves(self, entry: Entry) -> None:
        """Count what an entry moves; what was held and paid in one go is both."""
        gained: Counter[str] = Counter()
        lost: Counter[str] = Counter()
        for posting in entry.postings:
            (gained if posting.micros > 0 else lost)[posting.kind] += abs(posting.micros)
        self.moved_micros.update(
            minted=lost["mint"],
            held=gained["held"],
            released=lost["held"] - gained["market"],
            paid=gained["market"],
            refunded=lost["market"],
            burned=gained["burn"],
        )
