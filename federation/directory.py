"""Where the agents of other gateways are, as far as those have told.

Each home tells of its agents by itself (`federation.announcer`), and what each has told is kept
apart. Where two tell of the same agent the higher rank counts (`federation.entries`); what the
other told stays known and counts when the first one takes its word back, or is gone.

    nothing known → snapshot, in parts → changes, numbered without gap
                       ↑                      │ a gap, or another digest
                       └── asked for once ────┘

While a snapshot comes, what was known before stays; what the snapshot did not repeat vanishes
with its end. So a snapshot on a living link changes only what is different. If one is cut short,
or its digest is wrong in spite of it, the next check asks for another: never more than one
a check, whatever goes wrong.

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

import enum
from typing import assert_never

import msgspec

from federation.commons import Commons, GroupAt, SchemaAt
from federation.entries import DIGEST_MASK, EMPTY_DIGEST, AgentAt, Pool, mark_of, read
from llmx.v1.peering_pb2 import DirectoryUpdate


class Applied(msgspec.Struct):
    """What an update, or the end of a home, has changed. Each agent is in one list at most."""

    appeared: list[AgentAt]
    """Agents that had no home elsewhere, and have one."""
    changed: list[AgentAt]
    """Agents that have another entry now, at the same home or at another: the new one."""
    vanished: list[AgentAt]
    """Agents that have no home elsewhere any more: the last entry."""
    groups: list[GroupAt]
    """Groups of which this version counts from now on; one without members is gone."""
    schemas: list[SchemaAt]
    """Schemas that were unknown."""
    wants_snapshot: bool = False
    """Shall the home be asked for a snapshot? Something of what it told is missing."""
    owes_snapshot: bool = False
    """Does the other gateway ask for a snapshot of what is told here?"""


class HomeState(msgspec.Struct, frozen=True):
    """What is known of one home, for operators."""

    gateway_id: str
    agents: int
    number: int
    """The number of the last update."""
    is_complete: bool
    """Is nothing missing, as far as can be known?"""


class Place(enum.Enum):
    """Where an update belongs in what its sender has told."""

    BEGINNING = enum.auto()
    """It begins a snapshot."""
    PART = enum.auto()
    """It goes on with the snapshot at hand."""
    NEXT = enum.auto()
    CHECK = enum.auto()
    """It repeats number and digest of the last update, and says nothing else."""
    GAP = enum.auto()
    """Something before it is missing."""
    OLD = enum.auto()
    """It is older than what is known."""


class Directory:
    """What every other gateway has told."""

    def __init__(self, commons: Commons) -> None:
        """Start empty; groups and schemas that are heard go into `commons`."""
        self._commons = commons
        self._pool = Pool()
        self._homes: dict[str, _Home] = {}
        self._tenants: dict[str, dict[str, AgentAt]] = {}  # the entries that count

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Directory: {len(self)} agents of {len(self._homes)} gateways>"

    def __len__(self) -> int:
        """Return how many agents are known, each counted once."""
        return sum(map(len, self._tenants.values()))

    def entry(self, tenant: str, agent_id: str) -> AgentAt | None:
        """Return the entry of an agent that counts."""
        agents = self._tenants.get(tenant)
        return None if agents is None else agents.get(agent_id)

    def entries(self) -> list[AgentAt]:
        """Return all entries that count."""
        return [entry for agents in self._tenants.values() for entry in agents.values()]

    def homes(self) -> list[HomeState]:
        """Return what is known of each gateway that has told something."""
        return [
            HomeState(home.gateway_id, home.count, home.number, home.is_complete)
            for home in self._homes.values()
        ]

    def digest_of(self, gateway_id: str) -> int:
        """Return the digest of what a gateway has told."""
        home = self._homes.get(gateway_id)
        return EMPTY_DIGEST if home is None else home.digest

    def apply(self, gateway_id: str, update: DirectoryUpdate) -> Applied:
        """Take in what a gateway tells of itself, and return what is different now."""
        applied = Applied([], [], [], [], [])
        if update.wants_snapshot:
            applied.owes_snapshot = True
            return applied
        home = self._homes.get(gateway_id)
        if home is None:
            home = self._homes[gateway_id] = _Home(gateway_id)
        place = home.place(update)
        is_missing = home.turn_to(place, update.number)
        if place is not Place.OLD:
            self._take_in(home, update, applied)
        if place in (Place.BEGINNING, Place.PART) and update.ends_snapshot:
            for stale in home.end_snapshot():
                self._remove(home, stale.tenant, stale.agent_id, applied)
            home.is_asked = update.digest not in (0, home.digest)
        elif place in (Place.NEXT, Place.CHECK):
            is_missing |= update.digest not in (0, home.digest)
        if is_missing:
            # A check comes by the clock, so it may ask again for what was asked for in vain.
            applied.wants_snapshot = place is Place.CHECK or not home.is_asked
            home.is_asked = True
        return applied

    def forget(self, gateway_id: str) -> Applied:
        """Forget what a gateway has told: it is gone. Its groups and schemas are adopted."""
        applied = Applied([], [], [], [], [])
        home = self._homes.pop(gateway_id, None)
        if home is not None:
            for tenant, agents in home.tenants.items():
                for entry in agents.values():
                    if self._tenants[tenant][entry.agent_id] is entry:
                        self._fall_back(entry, applied)
        self._commons.adopt(gateway_id)
        return applied

    def _take_in(self, home: _Home, update: DirectoryUpdate, applied: Applied) -> None:
        gateway_id, pool, commons = home.gateway_id, self._pool, self._commons
        for entry in update.put:
            self._put(home, read(entry, gateway_id, pool), applied)
        for key in update.removed:
            self._remove(home, key.tenant, key.agent_id, applied)
        for told in update.groups:
            group = GroupAt(
                told.tenant, told.group_id, told.owner, tuple(told.members), told.put_at
            )
            if commons.hear_group(group, gateway_id):
                applied.groups.append(group)
        for one in update.schemas:
            schema = SchemaAt(one.tenant, one.schema)
            if commons.hear_schema(schema, gateway_id):
                applied.schemas.append(schema)

    def _put(self, home: _Home, entry: AgentAt, applied: Applied) -> None:
        known = home.entry(entry.tenant, entry.agent_id)
        if known is not None:
            home.repeat(known)
            if known == entry:
                return
            # One copy of the address, whoever keeps it.
            entry = msgspec.structs.replace(entry, agent_id=known.agent_id)
        home.put(entry, known)
        agents = self._tenants.get(entry.tenant)
        if agents is None:
            agents = self._tenants[entry.tenant] = {}
        counted = agents.get(entry.agent_id)
        if counted is None:
            agents[entry.agent_id] = entry
            applied.appeared.append(entry)
        elif entry.rank >= counted.rank:
            agents[entry.agent_id] = entry
            applied.changed.append(entry)
        elif counted is known:  # its home has lowered its rank
            self._fall_back(counted, applied)

    def _remove(self, home: _Home, tenant: str, agent_id: str, applied: Applied) -> None:
        known = home.remove(tenant, agent_id)
        if known is not None and self._tenants[tenant][agent_id] is known:
            self._fall_back(known, applied)

    def _fall_back(self, entry: AgentAt, applied: Applied) -> None:
        """Let that entry count which is the highest without this one, which counted."""
        agents, agent_id = self._tenants[entry.tenant], entry.agent_id
        highest: AgentAt | None = None
        for home in self._homes.values():
            told = home.entry(entry.tenant, agent_id)
            if told is not None and (highest is None or told.rank > highest.rank):
                highest = told
        if highest is not None:
            agents[agent_id] = highest
            applied.changed.append(highest)
            return
        del agents[agent_id]
        if not agents:
            del self._tenants[entry.tenant]
        applied.vanished.append(entry)


class _Home:
    """What one gateway has told."""

    __slots__ = (
        "_is_known",
        "_stale",
        "count",
        "digest",
        "gateway_id",
        "is_asked",
        "number",
        "tenants",
    )

    def __init__(self, gateway_id: str) -> None:
        self.gateway_id = gateway_id
        self.tenants: dict[str, dict[str, AgentAt]] = {}
        self.count = 0
        self.number = 0
        self.digest = EMPTY_DIGEST
        self.is_asked = False
        """Has another snapshot been asked for, or shall the next check ask for one?"""
        self._is_known = False  # is there a snapshot that the changes build on?
        # What the snapshot at hand has not repeated yet; None when there is none at hand.
        self._stale: dict[str, dict[str, AgentAt]] | None = None

    @property
    def is_complete(self) -> bool:
        return self._is_known and self._stale is None and not self.is_asked

    def entry(self, tenant: str, agent_id: str) -> AgentAt | None:
        agents = self.tenants.get(tenant)
        return None if agents is None else agents.get(agent_id)

    def place(self, update: DirectoryUpdate) -> Place:
        """Tell where an update belongs; changes nothing."""
        if update.begins_snapshot:
            return Place.BEGINNING
        number = update.number
        if not (update.put or update.removed or update.groups or update.schemas):
            is_end = update.ends_snapshot and self._stale is not None and number == self.number
            return Place.PART if is_end else Place.CHECK
        if number == self.number and self._stale is not None:
            return Place.PART
        if number <= self.number:
            return Place.OLD
        follows = number == self.number + 1 and self._is_known and self._stale is None
        return Place.NEXT if follows else Place.GAP

    def turn_to(self, place: Place, number: int) -> bool:
        """Go on from an update with a number; tells whether something is missing before it."""
        match place:
            case Place.BEGINNING:
                self._stale = {tenant: dict(agents) for tenant, agents in self.tenants.items()}
                self._is_known = True
                self.is_asked = False
                self.number = number
                return False
            case Place.PART:
                return False
            case Place.NEXT:
                self.number = number
                return False
            case Place.CHECK:
                was_cut_short, self._stale = self._stale is not None, None
                return was_cut_short or number != self.number or not self.is_complete
            case Place.GAP:
                self._stale = None  # if a snapshot was at hand, its end is what is missing
                self.number = number
                return True
            case Place.OLD:
                return True
            case _:
                assert_never(place)

    def end_snapshot(self) -> list[AgentAt]:
        """Return what the snapshot has not repeated."""
        assert self._stale is not None, "only a snapshot at hand can end"
        stale = [entry for agents in self._stale.values() for entry in agents.values()]
        self._stale = None
        return stale

    def repeat(self, entry: AgentAt) -> None:
        """Know that the snapshot at hand, if there is one, has said this again."""
        if self._stale is not None and entry.tenant in self._stale:
            self._stale[entry.tenant].pop(entry.agent_id, None)

    def put(self, entry: AgentAt, known: AgentAt | None) -> None:
        """Keep an entry instead of the known one."""
        self.digest += mark_of(entry)
        if known is None:
            self.count += 1
        else:
            self.digest -= mark_of(known)
        self.digest &= DIGEST_MASK
        agents = self.tenants.get(entry.tenant)
        if agents is None:
            agents = self.tenants[entry.tenant] = {}
        agents[entry.agent_id] = entry

    def remove(self, tenant: str, agent_id: str) -> AgentAt | None:
        """Forget an entry, and return it."""
        agents = self.tenants.get(tenant)
        known = None if agents is None else agents.pop(agent_id, None)
        if agents is None or known is None:
            return None
        if not agents:
            del self.tenants[tenant]
        self.count -= 1
        self.digest = (self.digest - mark_of(known)) & DIGEST_MASK
        return known
