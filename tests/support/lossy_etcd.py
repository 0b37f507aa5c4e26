"""An etcd whose answers get lost, and whose requests may be done when nobody expects it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

from federation.etcd import (
    Committed,
    Compare,
    EtcdUnavailable,
    EtcdUncertain,
    Operation,
    Transaction,
)
from tests.support.etcd_store import EtcdStore
from tests.support.fake_etcd import FakeEtcd

Late = list[Transaction]
"""Requests that are still under way though whoever sent them was told that they timed out."""


class LossyEtcd(FakeEtcd):
    """A client that is told the truth in so many of a hundred answers."""

    def __init__(self, store: EtcdStore, chance: random.Random, late: Late, honest: int) -> None:
        super().__init__(store, lambda: 0.0)
        self._chance = chance
        self._late = late
        self.honest = honest
        """Of a hundred."""

    async def commit(
        self,
        compares: Sequence[Compare],
        then: Sequence[Operation],
        otherwise: Sequence[Operation] = (),
        *,
        seconds: float | None = None,
    ) -> Committed:
        """Do it, or not, or later, and say so or not."""
        await asyncio.sleep(0)  # as a real one lets others run
        if self._late and self._chance.random() < 0.5:
            self._store.commit(self._late.pop(self._chance.randrange(len(self._late))))
        if self._chance.randrange(100) < self.honest:
            return await super().commit(compares, then, otherwise, seconds=seconds)
        fate = self._chance.choice(["refused", "never", "lost", "late"])
        if fate == "refused":
            raise EtcdUnavailable("UNAVAILABLE", "failed to connect to all addresses")
        if fate == "lost":
            await super().commit(compares, then, otherwise, seconds=seconds)
        if fate == "late":
            self._late.append(Transaction(compares, then, otherwise))
        raise EtcdUncertain("DEADLINE_EXCEEDED", fate)
