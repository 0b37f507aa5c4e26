"""Which budgets there are, as far as awards have to know: asked seldom, believed for seconds.

A commit names every budget that it counts in, and is refused when one does not exist. An agent
needs none; whether it has one is looked up here, so that the usual award asks the store once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from gateway.clock import Clock
from policy.store import Store, StoreError

BELIEVED_SECONDS = 5.0
"""So long a gateway may overlook a budget that was made at another one."""
BUDGETS_MAX = 100_000
RETRY_SECONDS = 0.2

log = structlog.get_logger("llmx.settlement")


class KnownBudgets:
    """What one gateway believes."""

    def __init__(self, store: Store, now: Clock) -> None:
        """Ask `store`."""
        self._store = store
        self._now = now
        self._believed: dict[str, tuple[float, bool]] = {}

    def forget(self) -> None:
        """Ask anew: an operator has changed one."""
        self._believed.clear()

    async def among(self, names: Iterable[str], until: float) -> frozenset[str] | None:
        """Return those that exist; None when the store did not say in time."""
        found = set()
        for name in names:
            exists = await self._exists(name, until)
            if exists is None:
                return None
            if exists:
                found.add(name)
        return frozenset(found)

    async def _exists(self, name: str, until: float) -> bool | None:
        believed_until, exists = self._believed.get(name, (0.0, False))
        while self._now() >= believed_until:
            try:
                use = await self._store.budget(name, self._now())
            except StoreError as error:
                log.warning("the ledger cannot be read", budget=name, error=str(error))
                if self._now() + RETRY_SECONDS >= until:
                    return None
                await asyncio.sleep(RETRY_SECONDS)
                continue
            exists, believed_until = use is not None, self._now() + BELIEVED_SECONDS
            if len(self._believed) >= BUDGETS_MAX:
                self._believed.clear()
            self._believed[name] = believed_until, exists
        return exists
