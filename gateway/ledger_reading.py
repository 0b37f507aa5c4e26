"""Looking through a whole journal for operators and agents, without holding up the gateway.

The journal of a month is hundreds of thousands of entries, and adding them up takes a second: that
is done in a thread, for one who asks after the other, so that many who ask cost the streams no more
than one. Whoever would be one too many hears so at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from gateway.settling.reading import AT_ONCE_MAX
from policy.ledger import Entry
from policy.store import Store

ASKING_MAX = 16
"""Who may wait for the journal at once, with the one that is answered."""
STATEMENTS_MAX = 12
"""Those of them that want a statement: agents may ask for theirs, and leave room for operators."""

T = TypeVar("T")


class JournalCrowded(Exception):
    """As many wait for the journal as may."""


class JournalReader:
    """Reads the journal of one ledger for whoever asks."""

    def __init__(self, store: Store) -> None:
        """Read the journal of `store`."""
        self._store = store
        self._turn = asyncio.Lock()
        self._asking = 0

    async def look(
        self, through: Callable[[Sequence[Entry]], T], asking_max: int = ASKING_MAX
    ) -> T:
        """Return what a pure function finds in the journal.

        A long journal is looked through in a thread. Raises JournalCrowded when `asking_max` wait,
        and the store's errors.
        """
        if self._asking >= asking_max:
            raise JournalCrowded(f"{self._asking} wait for the journal")
        self._asking += 1
        thread: asyncio.Future[T] | None = None
        try:
            await self._turn.acquire()
            try:
                entries = await self._store.entries()
                if len(entries) <= AT_ONCE_MAX:
                    return through(entries)
                thread = asyncio.get_running_loop().run_in_executor(None, through, entries)
            finally:
                if thread is None:
                    self._turn.release()
        finally:
            if thread is None:
                self._asking -= 1
        # It cannot be ended: its turn and its place last as long as it does, whoever still waits.
        thread.add_done_callback(self._ended)
        return await asyncio.shield(thread)

    def _ended(self, _: object) -> None:
        self._turn.release()
        self._asking -= 1
