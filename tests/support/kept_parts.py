"""The inside of a gateway with a store on a disk that fills up when it is told to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.admission import Waiting
from gateway.durable_negotiations import DurableNegotiations
from gateway.headers import Sender
from gateway.members import Member
from gateway.restoration import restore
from gateway.store import Store
from gateway.store_file import open_store_file
from llmx.v1.envelope_pb2 import Envelope
from tests.support.gateway_parts import Parts

PAGES_MAX = 1_000_000
FAT = "INSERT INTO parcels VALUES (-2, '', 0, x'', zeroblob(100000))"


class KeptParts(Parts):
    """One gateway with a store."""

    async def settled(self) -> None:
        """Wait until the store has answered everything that was asked of it so far."""
        await self.store.committed()

    async def send(self, member: Member, *envelopes: Envelope) -> None:
        """Let an agent send a batch, as its stream would, and wait until it may be confirmed."""
        for one in envelopes:
            waiting: Waiting | None = self.admission.admit(Sender(member), one.SerializeToString())
            self.run()
            if waiting is not None:
                await waiting
        await member.settled()

    async def fill_disk(self) -> None:
        """Let the disk have no room for another page, and the store know it."""
        await self.store.read("PRAGMA max_page_count = 1")  # means: no more than there are
        self.store.write([(FAT, ())], keep=False)
        await self.store.committed()
        assert self.store.is_failing

    async def empty_disk(self) -> None:
        """Make room on the disk, and wait until the store has noticed."""
        await self.store.read(f"PRAGMA max_page_count = {PAGES_MAX}")
        while self.store.is_failing:
            await self.store.read("SELECT 1")


@asynccontextmanager
async def kept(path: Path, **given: Any) -> AsyncIterator[KeptParts]:
    """Run a gateway with the store at `path`, which takes up what an earlier one left."""
    store = Store(open_store_file(path), retry_first=0.02)
    store.start()
    try:
        parts = KeptParts(store=store, **given)
        assert isinstance(parts.negotiations, DurableNegotiations)
        await restore(
            store, parts.roster, parts.mailbox, parts.members, parts.negotiations, parts.now
        )
        yield parts
    finally:
        await store.close()
