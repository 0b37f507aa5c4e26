"""Looks after a ledger whenever an hour is over: checks that it adds up, and shortens its past.

Budgets by the hour, the day or longer begin anew at full hours; those of a project never do. So an
hour that is over changes no more, and what of the journal is older than the operator wants to keep
is carried forward then. What is carried is said by the keys of the commits: several gateways may
do the same at once, or one again after it was interrupted, and it happens once. Each gateway comes
at another minute, so that one usually finds the work of another done.

The clock may jump: what was due meanwhile is done once, and an hour that comes again is not due.
What is left when the bound is reached, or the ledger is away, is due again at the next look.
"""

from __future__ import annotations

import asyncio
from zlib import crc32

import structlog

from gateway.clock import Clock
from gateway.settling.audit import Audit, audit
from policy.ledger import credits_of
from policy.store import Store, StoreError

HOUR_SECONDS = 3600.0
LOOK_SECONDS = 60.0
"""How often the clock is looked at."""
SPREAD_SECONDS = 1800
"""By how much gateways come after the full hour, at most."""
CARRIED_MAX = 1_000
"""Commits of one look, each of 32 entries at most; the rest waits for the next."""

log = structlog.get_logger("llmx.market")


class Archive:
    """The chores of one gateway."""

    def __init__(self, gateway_id: str, store: Store, keep_seconds: float, now: Clock) -> None:
        """Carry forward what is older than `keep_seconds`."""
        self._store = store
        self._keep_seconds = keep_seconds
        self._now = now
        self._after = crc32(gateway_id.encode()) % SPREAD_SECONDS
        self._done: int | None = None
        """The hour after which everything was done."""
        self.carried = 0
        """Commits that were made here."""
        self.audited: Audit | None = None
        """What the last look at the sums has found."""

    async def run(self) -> None:
        """Look at the clock until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> int:
        """Do what is due; returns how many commits that took."""
        now = self._now()
        hour = int((now - self._after) // HOUR_SECONDS)
        if self._done is not None and hour <= self._done:
            return 0
        try:
            self._hear(await audit(self._store, now))
            carried = await self._store.carry_forward(now - self._keep_seconds, now, CARRIED_MAX)
        except StoreError as error:
            log.warning("the journal is not put together now", error=str(error))
            return 0
        self.carried += carried
        if carried < CARRIED_MAX:
            self._done = hour
        return carried

    def _hear(self, found: Audit) -> None:
        self.audited = found
        if not found.is_balanced:
            log.error(
                "the ledger does not add up",
                entries=found.entries,
                unbalanced=found.unbalanced,
                difference=credits_of(found.difference_micros),
                held=credits_of(found.held_micros or 0),
            )
