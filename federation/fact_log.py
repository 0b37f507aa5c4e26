"""Facts in etcd: keys with bytes, written together if what was read before still stands.

The caller says under which keys it has read what (`compared`: the revision of each, 0 for nothing)
and what shall stand there instead. Besides, the writer's own registration must be the one that it
lives under; so a gateway whose lease is over, or that somebody has replaced, writes nothing,
however long its request was under way.

Requests share transactions of etcd (`GroupCommit`): each has a branch of its own, and one that
conflicts does not fail the others. A conflict is answered with what stands now, so the next try
needs no reading. What etcd leaves uncertain (EtcdUncertain) stays so here: the caller reads and
asks again, and can, because it compares what it wants to write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from federation.etcd import (
    Committed,
    Compare,
    Delete,
    EtcdClient,
    Found,
    Get,
    GroupCommit,
    Operation,
    Put,
    Transaction,
    created,
    modified,
)

KEYS_MAX = 120
"""That one swap compares and writes; etcd takes 128 with what is around them."""

Kept = tuple[bytes, int]
"""What stands under a key, and the revision in which it was written."""


class FactLog:
    """Reads and swaps facts under a prefix."""

    def __init__(
        self,
        client: EtcdClient,
        prefix: str,
        registration: str = "",
        epoch: Callable[[], int] = lambda: 0,
        *,
        in_flight_max: int = 4,
        grouped: bool = True,
    ) -> None:
        """Write while the key `registration` was created in `epoch`; "" for no such condition.

        Unless it is `grouped`, every swap is a transaction of its own.
        """
        self._client = client
        self._group = GroupCommit(client, in_flight_max=in_flight_max)
        self._grouped = grouped
        self._prefix = prefix
        self._registration = registration
        self._epoch = epoch
        self.swaps = 0
        self.conflicts = 0
        self.reads = 0
        """Transactions that only read."""
        self.operations = 0
        """What all swaps compared, put and deleted."""

    def __repr__(self) -> str:
        """Tell the state in words."""
        return (
            f"<FactLog: {self.swaps} swaps in {self.requests} transactions, "
            f"{self.conflicts} conflicts>"
        )

    @property
    def requests(self) -> int:
        """Return how many transactions were sent."""
        return self._group.requests if self._grouped else self.swaps

    async def run(self) -> None:
        """Send what is asked for, until cancelled."""
        await self._group.run()

    async def read(self, keys: Iterable[str]) -> dict[str, Kept]:
        """Return what stands under keys, as of one instant for each 120 of them."""
        wanted = iter(keys)
        found: dict[str, Kept] = {}
        while some := list(islice(wanted, KEYS_MAX)):
            self.reads += 1
            done = await self._client.commit([], [Get(self._prefix + key) for key in some])
            found |= self._found(done)
        return found

    async def under(self, prefix: str) -> list[tuple[str, bytes, int]]:
        """Return the keys that begin so with what they hold, in the order of their revisions."""
        pairs, _ = await self._client.get_prefix(self._prefix + prefix)
        pairs.sort(key=lambda pair: pair.mod_revision)
        cut = len(self._prefix)
        return [(pair.key[cut:], pair.value, pair.mod_revision) for pair in pairs]

    async def swap(
        self, compared: Mapping[str, int], writes: Mapping[str, bytes | None], epoch: int = 0
    ) -> int | dict[str, Kept] | None:
        """Write if everything stands as it was compared, and return the revision of that.

        Otherwise return what stands under the compared keys, or None if the writer does not live
        in the epoch, its own if it is 0. Raises an EtcdError.
        """
        epoch = epoch or self._epoch()
        if self._registration and not epoch:
            return None
        self.swaps += 1
        asked = self._transaction(compared, writes, epoch)
        self.operations += len(asked.compares) + len(asked.then)
        writer = self._group if self._grouped else self._client
        done = await writer.commit(asked.compares, asked.then, asked.otherwise)
        if done.succeeded:
            return done.revision
        self.conflicts += 1
        if self._registration:
            *_, registration = done.responses
            assert isinstance(registration, Found), "it was asked for last"
            if not registration.pairs or registration.pairs[0].create_revision != epoch:
                return None
        return self._found(done)

    def _transaction(
        self, compared: Mapping[str, int], writes: Mapping[str, bytes | None], epoch: int
    ) -> Transaction:
        compares: list[Compare] = [
            modified(self._prefix + key) == revision for key, revision in compared.items()
        ]
        otherwise: list[Operation] = [Get(self._prefix + key) for key in compared]
        if self._registration:
            compares.append(created(self._registration) == epoch)
            otherwise.append(Get(self._registration))
        then: list[Operation] = [
            Delete(self._prefix + key) if value is None else Put(self._prefix + key, value)
            for key, value in writes.items()
        ]
        return Transaction(compares, then, otherwise)

    def _found(self, done: Committed) -> dict[str, Kept]:
        cut = len(self._prefix)
        return {
            pair.key[cut:]: (pair.value, pair.mod_revision)
            for found in done.responses
            if isinstance(found, Found)
            for pair in found.pairs
            if pair.key.startswith(self._prefix)
        }
