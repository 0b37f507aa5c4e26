"""Which resources a cluster has, kept current at each gateway by watching etcd.

Whoever registers a resource writes a short fact of its own beside the calendar, and only those are
watched: a calendar changes with every award. Resources that a release before this one registered
have none; they are read when the watch begins. Until then, and while it cannot begin, nothing is
known, and an award finds out. A view that is a moment behind refuses what was registered in that
moment; who asks again is served.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import structlog

from federation.etcd import EtcdClient, EtcdDenied, Snapshot
from gateway.known_resources import KnownResources
from policy.facts import REGISTERED, decode
from policy.resources import Registered
from policy.store import Store, StoreError

RETRY_SECONDS = 1.0
DENIED_SECONDS = 5.0
"""How long to wait for somebody to grant what was denied, before asking again."""

log = structlog.get_logger("llmx.market")


class WatchedCatalogue:
    """The view of one gateway."""

    def __init__(
        self, client: EtcdClient, prefix: str, resources: KnownResources, store: Store
    ) -> None:
        """Watch the facts under `prefix` and tell `resources`."""
        self._client = client
        self._prefix = prefix + REGISTERED
        self._resources = resources
        self._store = store

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                await self._watch()
            except EtcdDenied as denied:
                log.error("resources cannot be watched", reason=str(denied))
                await asyncio.sleep(DENIED_SECONDS)

    async def _watch(self) -> None:
        async with aclosing(self._client.observe(self._prefix)) as observed:
            async for told in observed:
                if isinstance(told, Snapshot):
                    units = await self._unnoted()
                    units |= dict(_units(pair.value) for pair in told.pairs)
                    self._resources.learn(units)
                    continue
                for change in told.changes:
                    if change.pair is not None:
                        self._resources.note(*_units(change.pair.value))

    async def _unnoted(self) -> dict[str, int]:
        """Return the units of all resources by their calendars."""
        while True:
            try:
                return {one.name: one.units for one in await self._store.resources()}
            except StoreError as error:
                log.warning("resources cannot be read", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)


def _units(fact: bytes) -> tuple[str, int]:
    registered = decode(fact)
    assert isinstance(registered, Registered), "a key tells what stands under it"
    return registered.name, registered.units
