"""Which resources there are, as far as a gateway can tell at once.

A gateway with a ledger of its own, in memory or in a file, writes all of it, and so knows every
resource. In etcd other gateways register resources too: `settling.watched_catalogue` tells of them.
While nothing is known, an award finds out. Whoever asks is told the units of a resource, or of the
largest of its parts: an offer may name "gpu/h100" to a call for "gpu".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from policy.store import Commit, Committed, Refused, SetResource, Store


class KnownResources:
    """How many units resources have."""

    def __init__(self) -> None:
        """Know nothing until the ledger is read."""
        self._units: dict[str, dict[str, int]] = {}
        self._is_whole = False
        self._is_watched = False
        self._doubts = 0
        """Changes of which nobody has said whether they were made."""
        self._changing = asyncio.Lock()

    def most_units(self, tenant: str, resource: str) -> int | None:
        """Return how many units one award can have at most; None when that is not known."""
        if not self._is_whole or self._doubts:
            return None
        return max(self._units.get(f"{tenant}|{resource}", {}).values(), default=0)

    async def read(self, store: Store) -> None:
        """Read every resource; nobody else changes them from now on."""
        async with self._changing:
            for resource in await store.resources():
                self.note(resource.name, resource.units)
            self._is_whole = True

    def learn(self, units: Mapping[str, int]) -> None:
        """Know these resources and no others; whoever says so goes on to `note` what changes."""
        self._units = {}
        for name, count in units.items():
            self.note(name, count)
        self._is_whole = self._is_watched = True

    def note(self, name: str, units: int) -> None:
        """Know how many units a resource has from now on."""
        for whole in _wholes(name):
            self._units.setdefault(whole, {})[name] = units

    async def commit(self, store: Store, commit: Commit) -> Committed | Refused:
        """Commit, and know afterwards which resources that has changed.

        When the store does not say whether it has, nothing is known any more, unless somebody
        watches it and will tell.
        """
        changed = [one.name for one in commit.changes if isinstance(one, SetResource)]
        if not changed:
            return await store.commit(commit)
        async with self._changing:
            self._doubts += 1
            is_sure = False
            try:
                answer = await store.commit(commit)
                for name in changed:
                    resource = await store.resource(name)
                    self.note(name, 0 if resource is None else resource.units)
                is_sure = True
            finally:
                self._doubts -= is_sure or self._is_watched
            return answer


def _wholes(name: str) -> Iterator[str]:
    """Return what a resource is a part of, itself included: of "a/b/c" also "a/b" and "a"."""
    while name:
        yield name
        name = name.rpartition("/")[0]
