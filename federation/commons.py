"""What belongs to the whole cluster, whichever gateway it came to: groups and schemas.

Each group and schema has one gateway, as far as this one knows, that *tells* of it to whoever
joins. That is the gateway that it came to first. When that gateway is gone, each of the others
adopts what it had heard from it, and tells of it from then on: those that had not heard it in time
hear it now, and newcomers always do.

Of two versions of a group the one that was put later counts. Clocks differ, so a version that is
put here is dated after the one it replaces. Of versions with one date the same one counts
everywhere, by comparing what they say.

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

GONE_MAX = 10_000
"""Groups without members that are remembered, so that an older version does not bring them back."""


class GroupAt(msgspec.Struct, frozen=True, gc=False):
    """One version of a group."""

    tenant: str
    group_id: str
    owner: str
    members: tuple[str, ...]
    """Empty when the group is gone."""
    put_at: int
    """Nanoseconds since 1970."""

    @property
    def rank(self) -> tuple[int, str, tuple[str, ...]]:
        """Return what decides between two versions; the higher counts."""
        return (self.put_at, self.owner, self.members)


class SchemaAt(msgspec.Struct, frozen=True, gc=False):
    """A JSON Schema that somebody registered."""

    tenant: str
    schema: bytes

    @property
    def key(self) -> tuple[str, bytes]:
        """Return what tells it from others."""
        return (self.tenant, hashlib.blake2b(self.schema, digest_size=16).digest())


class Commons:
    """Groups and schemas, who tells of them, and what is still to be told from here."""

    def __init__(self, gateway_id: str) -> None:
        """Start empty; what is put here is told by `gateway_id`."""
        self._own = gateway_id
        self._groups: dict[tuple[str, str], GroupAt] = {}
        self._schemas: dict[tuple[str, bytes], SchemaAt] = {}
        self._group_tellers: dict[tuple[str, str], str] = {}
        self._schema_tellers: dict[tuple[str, bytes], str] = {}
        self._groups_due: dict[tuple[str, str], None] = {}
        self._schemas_due: dict[tuple[str, bytes], None] = {}
        self._gone = 0

    def __repr__(self) -> str:
        """Tell the state in words."""
        groups = len(self._groups) - self._gone
        return f"<Commons: {groups} groups and {len(self._schemas)} schemas, {self._due} to tell>"

    @property
    def _due(self) -> int:
        return len(self._groups_due) + len(self._schemas_due)

    @property
    def has_due(self) -> bool:
        """Tell whether `drain` would return something."""
        return self._due > 0

    def group(self, tenant: str, group_id: str) -> GroupAt | None:
        """Return the version of a group that counts; None when there is none or it is gone."""
        known = self._groups.get((tenant, group_id))
        return known if known is not None and known.members else None

    def groups(self) -> list[GroupAt]:
        """Return every group that is not gone."""
        return [group for group in self._groups.values() if group.members]

    def schemas(self) -> list[SchemaAt]:
        """Return every schema."""
        return list(self._schemas.values())

    def put_group(
        self, tenant: str, group_id: str, owner: str, members: Iterable[str], now: int
    ) -> GroupAt:
        """Put a group, or end it (no members); it is told from here, dated at least `now`."""
        known = self._groups.get((tenant, group_id))
        put_at = now if known is None else max(now, known.put_at + 1)
        group = GroupAt(tenant, group_id, owner, tuple(members), put_at)
        self._keep_group(group, self._own)
        return group

    def hear_group(self, group: GroupAt, teller: str) -> bool:
        """Hear a version of a group; tells whether it is the one that counts now, and was not."""
        known = self._groups.get((group.tenant, group.group_id))
        if known is not None and known.rank >= group.rank:
            return False
        self._keep_group(group, teller)
        return True

    def put_schema(self, tenant: str, schema: bytes) -> bool:
        """Register a schema; False when it is known, then there is nothing to tell."""
        return self.hear_schema(SchemaAt(tenant, schema), self._own)

    def hear_schema(self, schema: SchemaAt, teller: str) -> bool:
        """Hear of a schema; tells whether it was unknown."""
        key = schema.key
        if key in self._schemas:
            return False
        self._schemas[key] = schema
        self._schema_tellers[key] = teller
        if teller == self._own:
            self._schemas_due[key] = None
        return True

    def adopt(self, teller: str) -> None:
        """Tell from here, from now on, what a gateway told that is gone."""
        assert teller != self._own, "nobody outlives itself"
        for group_key, told_by in self._group_tellers.items():
            if told_by == teller:
                self._group_tellers[group_key] = self._own
                self._groups_due[group_key] = None
        for schema_key, told_by in self._schema_tellers.items():
            if told_by == teller:
                self._schema_tellers[schema_key] = self._own
                self._schemas_due[schema_key] = None

    def drain(self) -> tuple[list[GroupAt], list[SchemaAt]]:
        """Return what is to be told since the last time."""
        groups = [self._groups[key] for key in self._groups_due]
        schemas = [self._schemas[key] for key in self._schemas_due]
        self._groups_due.clear()
        self._schemas_due.clear()
        return groups, schemas

    def told_from_here(self) -> tuple[list[GroupAt], list[SchemaAt]]:
        """Return all that this gateway tells of, for whoever joins."""
        return (
            [group for key, group in self._groups.items() if self._group_tellers[key] == self._own],
            [one for key, one in self._schemas.items() if self._schema_tellers[key] == self._own],
        )

    def _keep_group(self, group: GroupAt, teller: str) -> None:
        key = (group.tenant, group.group_id)
        known = self._groups.get(key)
        was_gone = known is not None and not known.members
        self._groups[key] = group
        self._group_tellers[key] = teller
        if teller == self._own:
            self._groups_due[key] = None
        else:
            self._groups_due.pop(key, None)  # it is told by somebody else now
        self._gone += (not group.members) - was_gone
        if self._gone > GONE_MAX:
            self._forget_gone()

    def _forget_gone(self) -> None:
        """Forget the older half of the groups that are gone, but none that is still to be told."""
        gone = sorted(
            (group.put_at, key) for key, group in self._groups.items() if not group.members
        )
        for _, key in gone[: len(gone) // 2]:
            if key not in self._groups_due:
                del self._groups[key], self._group_tellers[key]
                self._gone -= 1
