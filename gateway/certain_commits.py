"""Commits that are asked for until their fate is known, with what an operator should know of them.

A commit whose answer is lost is asked for again under the same key, which makes that harmless.
Why the ledger refuses is logged here, in full: agents hear no more than the code and the name that
it is about.
"""

from __future__ import annotations

import asyncio

import structlog

from gateway.clock import Clock
from policy.store import Commit, Committed, Refused, Store, StoreError

RETRY_SECONDS_FIRST = 0.05
RETRY_SECONDS_MAX = 1.0
FOR_EVER = float("inf")

log = structlog.get_logger("llmx.settlement")


class CertainCommits:
    """A store that is asked again and again."""

    def __init__(self, store: Store, now: Clock) -> None:
        """Write to `store`."""
        self._store = store
        self._now = now

    async def commit(self, commit: Commit, until: float = FOR_EVER) -> Committed | Refused | None:
        """Commit, again and again until its fate is known; None when that took too long."""
        wait = RETRY_SECONDS_FIRST
        while True:
            try:
                answer = await self._store.commit(commit)
            except StoreError as error:
                log.warning("the ledger cannot be written", key=commit.key, error=str(error))
            else:
                if not isinstance(answer, Refused) or answer.code != "FENCED":
                    return answer
            if self._now() + wait >= until:
                return None
            await asyncio.sleep(wait)
            wait = min(2 * wait, RETRY_SECONDS_MAX)

    async def award(self, commit: Commit, until: float) -> Committed | Refused | None:
        """Commit what an award or an offer wants to hold, which may well be refused."""
        answer = await self.commit(commit, until)
        if isinstance(answer, Refused):
            log.info(
                "the ledger refuses an award",
                key=commit.key,
                code=answer.code,
                subject=answer.subject,
                detail=answer.detail,
            )
        return answer

    async def owed(self, commit: Commit, until: float = FOR_EVER) -> None:
        """Commit what is owed to the ledger; that it is not done is an error."""
        answer = await self.commit(commit, until)
        if isinstance(answer, Committed):
            return
        reason = "it took too long" if answer is None else f"{answer.code}: {answer.detail}"
        log.error("the ledger refuses what is owed", key=commit.key, reason=reason)
