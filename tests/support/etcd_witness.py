"""A witness of what etcd acknowledged and what an observer was told of it.

    async with witnessed(etcd.endpoints) as witness:
        await etcd.kill()
        await etcd.restart()
        await witness.settled()

While it is open it writes one new key after the other, observes them by a client of its own, and
is registered. A write that was acknowledged and never told is a missed one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from federation.etcd import (
    Changes,
    EtcdClient,
    EtcdError,
    Registration,
    Snapshot,
)
from tests.support.etcd import etcd_version, passed

ATTEMPT_SECONDS = 0.4
WRITE_PAUSE_SECONDS = 0.01
SETTLE_SECONDS_MAX = 10.0
POLL_SECONDS = 0.02
FORGETS_WHEN_KILLED = (3, 5, 0), (3, 5, 5)
"""The first version that loses or moves what it acknowledged, the first that no longer does."""
WRITTEN = "written/"
REGISTERED = "gateways/"


class Witness:
    """What was acknowledged, what was told."""

    def __init__(self, writer: EtcdClient, observer: EtcdClient, lease_seconds: int) -> None:
        """Write with one client, observe and be registered with the other."""
        self.writer = writer
        self.observer = observer
        self.acknowledged: dict[str, int] = {}
        """The revision of each key that etcd has confirmed."""
        self.told: dict[str, int] = {}
        """The revision of each key that the observer was told of, in whatever way."""
        self.known: dict[str, int] = {}
        """What the observer believes to be there now."""
        self.snapshots: list[Snapshot] = []
        self.epochs: list[int] = []
        """The epoch after each change of the registration."""
        self.gap_seconds = 0.0
        """The longest time in which the observer was told nothing."""
        self.is_writing = True
        self._heard_at = time.monotonic()
        self.registration = Registration(
            observer, f"{REGISTERED}me", lambda: b"me", lease_seconds, time.monotonic
        )
        self.registration.on_change = lambda: self.epochs.append(self.registration.epoch)

    async def write(self) -> None:
        """Write for ever; what is not acknowledged is not counted."""
        number = 0
        while True:
            await passed(WRITE_PAUSE_SECONDS)
            if not self.is_writing:
                continue
            number += 1
            key = f"{WRITTEN}{number:06}"
            try:
                self.acknowledged[key] = await self.writer.put(key, b"x" * 200)
            except EtcdError:
                continue

    async def observe(self) -> None:
        """Note what is told for ever; changes must come in order, each once."""
        revision = 0
        async with aclosing(self.observer.observe(WRITTEN)) as told:
            async for news in told:
                now = time.monotonic()
                self.gap_seconds = max(self.gap_seconds, now - self._heard_at)
                self._heard_at = now
                match news:
                    case Snapshot(pairs):
                        self.snapshots.append(news)
                        self.known = {pair.key: pair.mod_revision for pair in pairs}
                        self.told |= self.known
                    case Changes(changes):
                        for change in changes:
                            assert change.revision > revision, "a change came twice, or too late"
                            revision = change.revision
                            self.known.pop(change.key, None)
                            if change.pair is not None:
                                self.known[change.key] = change.revision
                                self.told[change.key] = change.revision
                revision = news.revision

    async def until(self, holds: Callable[[], bool], within: float = SETTLE_SECONDS_MAX) -> None:
        """Wait until `holds()`."""
        try:
            async with asyncio.timeout(within):
                while not holds():
                    await passed(POLL_SECONDS)
        except TimeoutError:
            raise AssertionError(f"not within {within} s; {self}") from None

    async def runs(self, writes: int = 5) -> None:
        """Wait until all is well: so many more writes are told of, and the lease is sure."""
        wanted = len(self.acknowledged) + writes
        await self.until(
            lambda: (
                len(self.acknowledged) >= wanted
                and self.acknowledged.keys() <= self.told.keys()
                and self.is_sure
            )
        )

    async def settled(self) -> None:
        """Let all be well again, stop writing, and check that nothing acknowledged was missed."""
        await self.runs()
        self.is_writing = False
        there: dict[str, int] = {}
        try:
            async with asyncio.timeout(SETTLE_SECONDS_MAX):
                while not there or there != self.known:
                    await passed(POLL_SECONDS)
                    pairs, _ = await self.observer.get_prefix(WRITTEN)
                    there = {pair.key: pair.mod_revision for pair in pairs}
        except TimeoutError:
            raise AssertionError(f"it believes in what is not there; {self}") from None
        acknowledged = self.acknowledged
        if FORGETS_WHEN_KILLED[0] <= etcd_version() < FORGETS_WHEN_KILLED[1]:
            acknowledged = {key: there[key] for key in acknowledged if key in there}
        missed = acknowledged.keys() - self.told.keys()
        assert not missed, f"it was never told of {missed}"
        assert acknowledged.items() <= there.items(), "etcd itself has lost or moved some"
        logging.getLogger(__name__).info("%s", self)

    @property
    def is_sure(self) -> bool:
        """Tell whether the lease cannot have expired elsewhere."""
        return self.registration.sure_until > time.monotonic()

    def __repr__(self) -> str:
        """Tell the state in words."""
        missed = len(self.acknowledged.keys() - self.told.keys())
        return (
            f"<Witness: {len(self.acknowledged)} acknowledged, {missed} missed, "
            f"{len(self.snapshots)} snapshots {[one.reason for one in self.snapshots[1:]]}, "
            f"epochs {self.epochs}, "
            f"longest gap {self.gap_seconds:.2f} s, {self.registration}, {self.observer}>"
        )


@asynccontextmanager
async def witnessed(
    endpoints: Sequence[str],
    *,
    observes: Sequence[str] = (),
    lease_seconds: int = 5,
    **options: Any,
) -> AsyncIterator[Witness]:
    """Let a witness write and observe until left; `observes` is where, if not where it writes."""
    options = {"attempt_seconds": ATTEMPT_SECONDS, **options}
    async with (
        EtcdClient(endpoints, **options) as writer,
        EtcdClient(observes or endpoints, **options) as observer,
        asyncio.TaskGroup() as tasks,
    ):
        witness = Witness(writer, observer, lease_seconds)
        running = [
            tasks.create_task(work)
            for work in (witness.write(), witness.observe(), witness.registration.run())
        ]
        await witness.runs()
        yield witness
        for task in running:
            task.cancel()
