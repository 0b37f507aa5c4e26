"""What this gateway tells the others: which agents have their home here.

There are two versions of it. Gateways of the same region hear of all topics, the others of those
that are not regional; without regional topics both are one. Each version is a row of numbered
updates that say what changed, so a receiver notices a gap, and each row of updates ends with the
digest of all entries, so it notices every other difference too. A snapshot says everything again,
under the number of the last change. From time to time a *check* repeats number and digest alone,
for the case that the last change got lost and none follows.

An update says how things are, never how they were changed, so whatever was told before, all is
well once the newest was heard.

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from federation.commons import Commons, GroupAt, SchemaAt
from federation.entries import (
    DIGEST_MASK,
    EMPTY_DIGEST,
    AgentAt,
    AgentConsent,
    Pool,
    mark_of,
    settled,
    written,
)
from federation.regional_topics import RegionalTopics
from llmx.v1.peering_pb2 import AgentEntry, AgentKey, DirectoryUpdate, GroupEntry, SchemaEntry

UPDATE_BYTES_MAX = 256 * 1024
"""What one update weighs at most, unless a single entry weighs more."""
ITEM_BYTES = 6
"""What an update adds to the weight of each entry, at most."""

Key = tuple[str, str]
Item = AgentEntry | AgentKey | GroupEntry | SchemaEntry


class Changes(msgspec.Struct, frozen=True):
    """What is to be told since the last time, in order."""

    near: list[DirectoryUpdate]
    """To the gateways of the own region."""
    far: list[DirectoryUpdate]
    """To all others; the same list where no topic is regional."""

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return bool(self.near or self.far)


class Announcer:
    """The agents whose home is here, as they are told to others."""

    def __init__(
        self,
        gateway_id: str,
        region: str,
        commons: Commons,
        regional: RegionalTopics | None = None,
        update_bytes_max: int = UPDATE_BYTES_MAX,
    ) -> None:
        """Start without agents; groups and schemas to tell of are in `commons`."""
        self.gateway_id = gateway_id
        self._region = region
        self.commons = commons
        self._update_bytes_max = update_bytes_max
        self._pool = Pool()
        self._agents: dict[Key, AgentAt] = {}
        self._near = self._far = _Telling(lambda entry: entry)
        if regional:
            topics = regional
            self._far = _Telling(
                lambda entry: msgspec.structs.replace(
                    entry, topics=topics.without_regional(entry.topics)
                )
            )

    def __repr__(self) -> str:
        """Tell the state in words."""
        return (
            f"<Announcer of {self.gateway_id}: {len(self._agents)} agents, "
            f"{len(self._near.due)} changes to tell after number {self._near.number}>"
        )

    def __len__(self) -> int:
        """Return how many agents have their home here."""
        return len(self._agents)

    @property
    def has_due(self) -> bool:
        """Tell whether `drain` would return something."""
        return bool(self._near.due) or self.commons.has_due

    def entry(self, tenant: str, agent_id: str) -> AgentAt | None:
        """Return what is told of an agent to the own region."""
        return self._agents.get((tenant, agent_id))

    def put(
        self,
        tenant: str,
        agent_id: str,
        *,
        generation: int,
        capabilities: Iterable[str] = (),
        topics: Iterable[str] = (),
        consents: Iterable[AgentConsent] = (),
        is_away: bool = False,
    ) -> bool:
        """Tell of an agent that came or changed; False when all that is told already."""
        pool, key = self._pool, (tenant, agent_id)
        entry = AgentAt(
            pool.name(tenant),
            agent_id,
            self.gateway_id,
            generation,
            pool.names(capabilities),
            pool.names(topics),
            settled(consents),
            is_away,
        )
        known = self._agents.get(key)
        if known == entry:
            return False
        self._agents[key] = entry
        for telling in self._tellings():
            telling.change(key, known, entry)
        return True

    def remove(self, tenant: str, agent_id: str) -> bool:
        """Tell that an agent has its home here no more; False when nobody was told it had."""
        key = (tenant, agent_id)
        known = self._agents.pop(key, None)
        if known is None:
            return False
        for telling in self._tellings():
            telling.change(key, known, None)
        return True

    def drain(self) -> Changes:
        """Return what changed since the last time, each update for everybody of its version."""
        if not self.has_due:
            return Changes([], [])
        groups, schemas = self.commons.drain()
        near = self._changes(self._near, groups, schemas)
        far = near if self._far is self._near else self._changes(self._far, groups, schemas)
        return Changes(near, far)

    def snapshot(self, region: str) -> list[DirectoryUpdate]:
        """Return everything, for one gateway of a region; at least one update.

        What `drain` has not returned yet is in it too, and does no harm when it comes again.
        """
        telling = self._telling(region)
        updates = self._packed(
            (written(telling.view(entry)) for entry in self._agents.values()),
            *self.commons.told_from_here(),
        )
        if not updates:
            updates.append(DirectoryUpdate())
        for update in updates:
            update.number = telling.number
        updates[0].begins_snapshot = True
        updates[-1].ends_snapshot = True
        updates[-1].digest = telling.digest
        return updates

    def check(self, region: str) -> DirectoryUpdate:
        """Return what every gateway of a region shall hear now and then, to notice drift.

        It bears no digest while changes wait to be told: some have heard them in a snapshot.
        """
        telling = self._telling(region)
        return DirectoryUpdate(number=telling.number, digest=0 if telling.due else telling.digest)

    def digest(self, region: str) -> int:
        """Return the digest of all entries as a region is told of them."""
        return self._telling(region).digest

    def _tellings(self) -> tuple[_Telling, ...]:
        return (self._near,) if self._far is self._near else (self._near, self._far)

    def _telling(self, region: str) -> _Telling:
        return self._near if region == self._region else self._far

    def _changes(
        self, telling: _Telling, groups: list[GroupAt], schemas: list[SchemaAt]
    ) -> list[DirectoryUpdate]:
        agents, view = self._agents, telling.view
        due = telling.drain()
        items: Iterator[AgentEntry | AgentKey] = (
            AgentKey(tenant=key[0], agent_id=key[1])
            if (entry := agents.get(key)) is None
            else written(view(entry))
            for key in due
        )
        updates = self._packed(items, groups, schemas)
        for update in updates:
            telling.number += 1
            update.number = telling.number
        if updates:
            updates[-1].digest = telling.digest
        return updates

    def _packed(
        self,
        items: Iterable[AgentEntry | AgentKey],
        groups: Iterable[GroupAt],
        schemas: Iterable[SchemaAt],
    ) -> list[DirectoryUpdate]:
        """Put everything into as few updates as their size allows."""
        updates: list[DirectoryUpdate] = []
        puts: list[AgentEntry] = []
        removed: list[AgentKey] = []
        told_groups: list[GroupEntry] = []
        told_schemas: list[SchemaEntry] = []
        size = 0

        def close() -> None:
            nonlocal size
            if size:
                updates.append(
                    DirectoryUpdate(
                        put=puts, removed=removed, groups=told_groups, schemas=told_schemas
                    )
                )
                for filled in (puts, removed, told_groups, told_schemas):
                    filled.clear()
                size = 0

        for item in _all_of(items, groups, schemas):
            weight = item.ByteSize() + ITEM_BYTES
            if size + weight > self._update_bytes_max:
                close()
            size += weight
            match item:
                case AgentEntry():
                    puts.append(item)
                case AgentKey():
                    removed.append(item)
                case GroupEntry():
                    told_groups.append(item)
                case SchemaEntry():
                    told_schemas.append(item)
        close()
        return updates


class _Telling:
    """One version: its number, its digest, and which agents changed since it was last told."""

    __slots__ = ("digest", "due", "number", "view")

    def __init__(self, view: Callable[[AgentAt], AgentAt]) -> None:
        self.view = view
        """What of an entry is told."""
        self.number = 0
        self.digest = EMPTY_DIGEST
        self.due: dict[Key, None] = {}

    def change(self, key: Key, known: AgentAt | None, entry: AgentAt | None) -> None:
        """Know that an entry came, changed or went."""
        before = None if known is None else self.view(known)
        after = None if entry is None else self.view(entry)
        if before == after:
            return
        digest = self.digest
        if before is not None:
            digest -= mark_of(before)
        if after is not None:
            digest += mark_of(after)
        self.digest = digest & DIGEST_MASK
        self.due[key] = None

    def drain(self) -> list[Key]:
        """Return which agents changed, and forget it."""
        due = list(self.due)
        self.due.clear()
        return due


def _all_of(
    items: Iterable[AgentEntry | AgentKey], groups: Iterable[GroupAt], schemas: Iterable[SchemaAt]
) -> Iterator[Item]:
    yield from items
    for group in groups:
        yield GroupEntry(
            tenant=group.tenant,
            group_id=group.group_id,
            owner=group.owner,
            members=group.members,
            put_at=group.put_at,
        )
    for schema in schemas:
        yield SchemaEntry(tenant=schema.tenant, schema=schema.schema)
