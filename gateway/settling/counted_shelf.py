"""A shelf that counts what a book asks of it, and knows which shares of budgets it leases.

A book reads and swaps facts; what that costs, in transactions and operations, is seen here alike
for a file and for etcd. The shares of this gateway pass here whenever they change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gateway.book import Kept, Shelf
from policy.budgets import Share
from policy.facts import decode, share_key

SHARES_MAX = 10_000
"""Budgets whose shares are known; of more the oldest are not counted."""


class ShelfFigures:
    """What was asked of a shelf since the gateway has started."""

    def __init__(self) -> None:
        """Start at zero."""
        self.reads = 0
        self.swaps = 0
        self.conflicts = 0
        """Swaps that somebody else was faster than."""
        self.fenced = 0
        self.compared = 0
        self.written = 0
        """Facts that were put or taken off."""
        self.shares: dict[str, Share] = {}
        """What this gateway leases of each budget, by the key of the share.

        Copied before it is looked through, because a thread that scrapes reads it."""

    def leased(self, at: float) -> tuple[int, int]:
        """Return what is leased in the windows of a time and what of it is used, in millionths."""
        current = [share for share in list(self.shares.values()) if not share.is_over(at)]
        return sum(share.leased for share in current), sum(share.used for share in current)

    def leases(self, at: float) -> int:
        """Return of how many budgets something is leased in the window of a time."""
        shares = list(self.shares.values())
        return sum(bool(one.leased) and not one.is_over(at) for one in shares)


class CountedShelf:
    """A shelf with somebody who counts."""

    def __init__(self, shelf: Shelf, figures: ShelfFigures, place: str) -> None:
        """Count what is asked of `shelf`; the shares of `place` are our own."""
        self._shelf = shelf
        self._figures = figures
        self._place = share_key("", place).removeprefix(SHARES)

    async def read(self, keys: Iterable[str]) -> Mapping[str, Kept]:
        """Return what stands under keys; those with nothing are left out."""
        self._figures.reads += 1
        found = await self._shelf.read(keys)
        self._note({key: fact for key, (fact, _) in found.items()})
        return found

    async def under(self, prefix: str) -> Sequence[tuple[str, bytes, int]]:
        """Return the keys that begin so with what they hold, in the order of their revisions."""
        self._figures.reads += 1
        return await self._shelf.under(prefix)

    async def swap(
        self, compared: Mapping[str, int], writes: Mapping[str, bytes | None], epoch: int = 0
    ) -> int | Mapping[str, Kept] | None:
        """Write if everything stands as it was compared, and return the revision of that."""
        figures = self._figures
        figures.swaps += 1
        figures.compared += len(compared)
        done = await self._shelf.swap(compared, writes, epoch)
        if isinstance(done, int):
            figures.written += len(writes)
            self._note(writes)
        elif done is None:
            figures.fenced += 1
        else:
            figures.conflicts += 1
            self._note({key: fact for key, (fact, _) in done.items()})
        return done

    def _note(self, facts: Mapping[str, bytes | None]) -> None:
        """Know a share of our own as it stands now."""
        shares = self._figures.shares
        for key, fact in facts.items():
            if fact is None or not (key.startswith(SHARES) and key.endswith(self._place)):
                continue
            share = decode(fact)
            assert isinstance(share, Share), "a key tells what stands under it"
            shares[key] = share
            if len(shares) > SHARES_MAX:
                del shares[next(iter(shares))]


SHARES = share_key("", "").removesuffix("@")
