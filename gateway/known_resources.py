"""Which resources there are, as far as a gateway can tell at once.

A gateway with a ledger of its own, in memory or in a file, writes all of it, and so knows every
resource. In etcd other gateways register resources too: nothing is known then, and an award finds
out. Whoever asks is told the units of a resource, or of the largest of its parts: an offer may name
"gpu/h100" to a call for "gpu".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from policy.store import Commit, Committed, Refused, SetResource, Store


class KnownResources:
    """How many units resources have."""

    def __init__(self) -> None:
        """Know nothing until the ledger is read."""
        self._units: dict[str, dict[str, int]] = {}
        self._is_whole = False
        self._changing = asyncio.Lock()

    def most_units(self, tenant: str, resource: str) -> int | None:
        """Return how many units one award can have at most; None when that is not known."""
        if not self._is_whole:
            return None
        return max(self._units.get(f"{tenant}|{resource}", {}).values(), default=0)

    async def read(self, store: Store) -> None:
        """Read every resource; nobody else changes them from now on."""
        async with self._changing:
            for resource in await store.resources():
                self._note(resource.name, resource.units)
            self._is_whole = True

    async def commit(self, store: Store, commit: Commit) -> Committed | Refused:
        """Commit, and know afterwards which resources that has changed.

        When the store does not say whether it has, nothing is known any more.
        """
        changed = [one.name for one in commit.changes if isinstance(one, SetResource)]
        if not changed:
            return await store.commit(commit)
        async with self._changing:
            was_whole, self._is_whole = self._is_whole, False
            answer = await store.commit(commit)
            for name in changed:
                resource = await store.resource(name)
                self._note(name, 0 if resource is None else resource.units)
            self._is_whole = was_whole
            return answer

    def _note(self, name: str, units: int) -> None:
        for whole in _wholes(name):
            self._units.setdefault(whole, {})[name] = units


def _wholes(name: str) -> Iterator[str]:
    """Return what a resource is a part of, itself included: of "a/b/c" also "a/b" and "a"."""
    while name:
        yield name
        name = name.rpartition("/")[0]
