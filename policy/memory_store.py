"""A store that ends with its process: for tests, and for a gateway that keeps nothing.

Several stores may share one `Memory`, as the gateways of a cluster share etcd.
"""

from __future__ import annotations

from collections.abc import Sequence

from policy.facts import Fact, decode, encode
from policy.judging import Writer, judge
from policy.store import Commit, Committed, Refused, StoreUnavailable
from policy.views import FactReader


class Memory:
    """Facts, as bytes: what was read is never what somebody else goes on changing."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._facts: dict[str, tuple[int, bytes]] = {}
        self._revision = 0
        self.epochs: dict[str, int] = {}
        """The epoch that each gateway lives in; those that are not named here live in 0."""
        self.is_away = False
        """Nobody can reach it."""

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Memory: {len(self._facts)} facts, revision {self._revision}>"

    def get(self, key: str) -> Fact | None:
        """Return what stands under a key."""
        kept = self._facts.get(key)
        return None if kept is None else decode(kept[1])

    def under(self, prefix: str) -> list[Fact]:
        """Return what stands under the keys that begin so, in the order in which it was written."""
        found = [kept for key, kept in self._facts.items() if key.startswith(prefix)]
        return [decode(fact) for _, fact in sorted(found, key=lambda kept: kept[0])]

    def put(self, key: str, fact: Fact | None) -> None:
        """Let a fact stand under a key, or nothing."""
        self._revision += 1
        if fact is None:
            self._facts.pop(key, None)
        else:
            self._facts[key] = self._revision, encode(fact)


class MemoryStore(FactReader):
    """A store in memory."""

    def __init__(self, writer: Writer, memory: Memory | None = None, epoch: int = 0) -> None:
        """Write for a gateway that lives in an epoch, to a memory of its own unless told."""
        self.memory = Memory() if memory is None else memory
        self.epoch = epoch
        self._writer = writer

    async def commit(self, commit: Commit) -> Committed | Refused:
        """Do all of it or nothing, and tell which."""
        memory = self._reached()
        judgement = judge(commit, self._writer, memory.get)
        if isinstance(judgement.answer, Committed) and judgement.answer.is_first:
            gateway_id, epoch = self._writer.gateway_id, commit.epoch or self.epoch
            if memory.epochs.get(gateway_id, 0) != epoch:
                return Refused("FENCED", gateway_id, f"it lives in epoch {epoch} no more")
            for key, fact in judgement.writes.items():
                memory.put(key, fact)
        return judgement.answer

    async def at(self, key: str) -> Fact | None:
        """Return what stands under a key."""
        return self._reached().get(key)

    async def under(self, prefix: str) -> Sequence[Fact]:
        """Return what stands under the keys that begin so, in the order in which it was written."""
        return self._reached().under(prefix)

    def _reached(self) -> Memory:
        if self.memory.is_away:
            raise StoreUnavailable("the memory is away")
        return self.memory
