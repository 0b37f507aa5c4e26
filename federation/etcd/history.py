"""What an observer was told, from where it goes on, and when it has to begin anew.

It goes on after the last change that it was told of: the revision in a header may be ahead of the
changes that are still to come. It begins anew, with all that is there, when what it missed is
forgotten, when another cluster answers, or when the store knows less than it did: somebody put an
older copy of the data in its place, or a crash has lost what was acknowledged. Because such a
store may have caught up in numbers, the observer also compares one key that it was told of, its
*anchor*, whenever a stream begins. That read is linearizable; the revisions in the headers of a
stream are not: a healthy follower lags behind, and etcd 3.4 lets an answer about progress be
overtaken by the change after it.

Pure: this only reads messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from federation.etcd.transactions import KeyValue, pair_of
from federation.etcd.v1.key_value_pb2 import RangeResponse
from federation.etcd.v1.watch_pb2 import WatchResponse

_DELETED = 1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is there; whatever was told before is void."""

    pairs: tuple[KeyValue, ...]
    """Ascending by key."""
    revision: int
    """As of which revision."""
    reason: str
    """Why it begins anew; empty for the first one."""


@dataclass(frozen=True, slots=True)
class Change:
    """One key was written or deleted."""

    key: str
    pair: KeyValue | None
    """The key as it is now; None when it was deleted."""
    revision: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed, in order; nothing between it and what was told before."""

    changes: tuple[Change, ...]
    revision: int
    """That of the last one."""


@dataclass(frozen=True, slots=True)
class Anew:
    """The observer has to begin anew."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The server does not let it observe."""

    reason: str


Heard: TypeAlias = Changes | Anew | Refused | None
"""What a message means; None when it tells nothing but that the server is alive."""


class History:
    """What one observer was told."""

    __slots__ = ("anchor", "cluster_id", "revision")

    def __init__(self, cluster_id: int, revision: int, pairs: tuple[KeyValue, ...]) -> None:
        """Begin with all there is at a revision."""
        self.cluster_id = cluster_id
        self.revision = revision
        """Everything up to it was told."""
        self.anchor = max(pairs, key=lambda pair: pair.mod_revision, default=None)
        """The youngest key that was told of, to recognise the store by."""

    @property
    def next_revision(self) -> int:
        """Return the first revision to hear of."""
        return self.revision + 1

    def is_of(self, answer: RangeResponse) -> bool:
        """Tell whether the store is the same: the answer to a linearizable read of the anchor."""
        header = answer.header
        if header.cluster_id != self.cluster_id or header.revision < self.revision:
            return False
        return self.anchor is None or [pair_of(pair) for pair in answer.kvs] == [self.anchor]

    def hear(self, response: WatchResponse) -> Heard:
        """Return what a message of the server means."""
        if response.compact_revision:
            return Anew(f"what was before revision {response.compact_revision} is forgotten")
        if response.canceled:
            return Refused(response.cancel_reason or "the server does not say why")
        header = response.header
        if header.cluster_id != self.cluster_id:
            return Anew("another cluster answers")
        if not response.events:
            return None
        changes = tuple(
            Change(
                event.kv.key.decode(errors="surrogateescape"),
                None if event.type == _DELETED else pair_of(event.kv),
                event.kv.mod_revision,
            )
            for event in response.events
        )
        if changes[0].revision <= self.revision:
            return Anew(f"a change of revision {changes[0].revision} came twice")
        self.revision = changes[-1].revision
        for change in changes:
            self.anchor = change.pair or self.anchor
        return Changes(changes, self.revision)
