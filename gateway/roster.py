"""What agents said of themselves, kept on the disk: a gateway that starts again knows them.

Each member has one row, written when its registration changes and deleted when it is forgotten.
While the disk takes nothing, the changed ones are remembered by their keys and written later.
Groups are not kept: their owners put them again.
"""

from __future__ import annotations

import msgspec

from gateway.consents import ConsentGrant
from gateway.members import Member, Members
from gateway.store import Store

PUT = "INSERT OR REPLACE INTO members (key, registration) VALUES (?, ?)"
DELETE = "DELETE FROM members WHERE key = ?"
ALL = "SELECT key, registration FROM members WHERE key > ? ORDER BY key LIMIT ?"
ROWS_MAX = 1_000
FLUSH_MAX = 1_000
"""Registrations that one upkeep writes."""


class Registration(msgspec.Struct, frozen=True):
    """One agent as it registered."""

    tenant: str
    agent: str
    capabilities: frozenset[str]
    topics: frozenset[str]
    consents: tuple[ConsentGrant, ...]


_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(Registration).decode


class Roster:
    """The registrations of the members of one gateway."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store
        self._written: dict[str, int] = {}
        self._unwritten: dict[str, Member] = {}

    def note(self, member: Member) -> None:
        """Write a registration that is new or has changed."""
        row = _encode(
            Registration(
                member.tenant.name,
                member.agent_id,
                member.capabilities,
                member.topics,
                tuple(member.consents.values()),
            )
        )
        if self._written.get(member.key) == hash(row):
            return
        if not self._store.is_available or not self._store.has_room:
            self._unwritten[member.key] = member
            return
        self._written[member.key] = hash(row)
        self._unwritten.pop(member.key, None)

        def hear(written: bool) -> None:
            if not written:
                self._written.pop(member.key, None)
                self._unwritten[member.key] = member

        self._store.write([(PUT, (member.key, row))], hear, keep=False)

    def forget(self, member: Member) -> None:
        """Delete the registration of a member that is forgotten."""
        self._unwritten.pop(member.key, None)
        if self._written.pop(member.key, None) is not None:
            self._store.write([(DELETE, (member.key,))])

    def flush(self) -> None:
        """Write some of what could not be written before."""
        if self._unwritten and self._store.is_available:
            for member in list(self._unwritten.values())[:FLUSH_MAX]:
                del self._unwritten[member.key]
                self.note(member)

    async def restore(self, members: Members, now: float) -> int:
        """Make members of all registrations; returns how many found no place."""
        homeless, last = 0, ""
        while True:
            rows = await self._store.read(ALL, (last, ROWS_MAX))
            for key, row in rows:
                last = key
                said = _decode(row)
                member = members.join(said.tenant, said.agent, now)
                if member is None:
                    homeless += 1
                    continue
                member.capabilities = said.capabilities
                member.tenant.listen(member, said.topics)
                member.consents.update((one.consent_id, one) for one in said.consents)
                self._written[key] = hash(row)
            if len(rows) < ROWS_MAX:
                return homeless
