"""One gateway of the simulation: what it tells, and what it does with what it hears.

This mirrors what the product does around the pure parts: it keeps an index of its own by `Applied`
alone, gives an agent up that lives elsewhere by a higher rank, tells of it again if the agent's
stream is here, and sends a snapshot as far as there is room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from federation.announcer import Announcer
from federation.commons import Commons, GroupAt
from federation.directory import Applied, Directory
from federation.entries import AgentAt
from federation.regional_topics import RegionalTopics
from llmx.v1.peering_pb2 import DirectoryUpdate

TENANT = "t"
REGIONAL = ("local/*",)


class Violation(AssertionError):
    """A promise was broken."""


@dataclass(slots=True)
class Soul:
    """An agent as it is, whatever anybody believes."""

    agent_id: str
    home: str | None = None
    """The gateway that its stream is with."""
    topics: frozenset[str] = frozenset()
    is_away: bool = False


@dataclass(slots=True)
class Cable:
    """One direction of a link between two epochs: in order, each once, unless it overflows."""

    room: int
    updates: deque[bytes] = field(default_factory=deque)
    refused: int = 0
    is_forgotten: bool = False
    """Has the receiver forgotten, in between, what came before?"""

    def send(self, update: DirectoryUpdate) -> bool:
        """Queue an update; False when there is no room."""
        if len(self.updates) >= self.room:
            self.refused += 1
            return False
        self.updates.append(update.SerializeToString())
        return True


class Neighbourhood(Protocol):
    """What a gateway sees of the world."""

    @property
    def souls(self) -> Mapping[str, Soul]:
        """Every agent there is."""

    @property
    def living(self) -> Mapping[str, Side]:
        """Every gateway that lives, by its id."""

    def cable(self, side: Side, other: str) -> Cable | None:
        """Return what carries updates from a gateway to another one, if there is a link."""

    def check_question(self, side: Side, other: str) -> None:
        """Raise if a snapshot is asked for though nothing was lost."""


class Side:
    """One gateway: a process, and the registration that it has at the moment."""

    def __init__(
        self, world: Neighbourhood, name: str, region: str, epoch: int, bytes_max: int
    ) -> None:
        self.world = world
        self.name = name
        self.region = region
        self.epoch = epoch
        self.is_registered = True
        self.is_forgetful = False
        """Did a mistake of ours swallow a change? Then the digest has to notice."""
        self.commons = Commons(name)
        self.announcer = Announcer(name, region, self.commons, RegionalTopics(REGIONAL), bytes_max)
        self.directory = Directory(self.commons)
        self.members: dict[str, int] = {}
        """Whom it believes to be in the cluster, by epoch."""
        self.index: dict[str, AgentAt] = {}
        """What it has learned by `Applied` alone."""
        self.put: list[GroupAt] = []
        self.registered: list[bytes] = []

    def __repr__(self) -> str:
        return f"{self.name}:{self.epoch}"

    def tell_of(self, soul: Soul) -> None:
        """Tell what is true of an agent whose stream is here."""
        own, other = self._own(soul.agent_id), self.directory.entry(TENANT, soul.agent_id)
        generation = 1 if own is None else own.generation
        if other is not None and (own is None or other.rank > own.rank):
            generation = other.generation + 1
        self.announcer.put(
            TENANT,
            soul.agent_id,
            generation=generation,
            topics=soul.topics,
            is_away=soul.is_away,
        )

    def give_up(self, agent_id: str) -> None:
        self.announcer.remove(TENANT, agent_id)

    def _own(self, agent_id: str) -> AgentAt | None:
        return self.announcer.entry(TENANT, agent_id)

    def hear(self, other: str, update: DirectoryUpdate) -> None:
        cable = self.world.cable(self, other)
        applied = self.directory.apply(other, update)
        if applied.wants_snapshot:
            self.world.check_question(self, other)
            if cable is not None:
                cable.send(DirectoryUpdate(wants_snapshot=True))
        if applied.owes_snapshot and cable is not None:
            self.tell_everything(cable, self.world.living[other].region)
        self._learn(applied)

    def tell_everything(self, cable: Cable, region: str) -> None:
        for update in self.announcer.snapshot(region):
            if not cable.send(update):
                break  # a later part that fits would hide the loss of this one

    def forget(self, other: str) -> None:
        self._learn(self.directory.forget(other))

    def _learn(self, applied: Applied) -> None:
        index = self.index
        for entry in applied.appeared:
            if index.setdefault(entry.agent_id, entry) is not entry:
                raise Violation(f"{self}: {entry} appeared and was there")
        for entry in applied.changed:
            if index.get(entry.agent_id, entry) == entry:
                raise Violation(f"{self}: {entry} changed, and is as it was")
            index[entry.agent_id] = entry
        for entry in applied.vanished:
            if index.pop(entry.agent_id, None) != entry:
                raise Violation(f"{self}: {entry} vanished and was not there")
        for entry in (*applied.appeared, *applied.changed):
            own = self._own(entry.agent_id)
            if own is None or own.rank > entry.rank:
                continue
            soul = self.world.souls[entry.agent_id]
            if soul.home == self.name:
                self.tell_of(soul)
            else:
                self.give_up(entry.agent_id)
        self._check_index()

    def _check_index(self) -> None:
        """Raise if what was learned differs from what the directory says."""
        if self.index != {entry.agent_id: entry for entry in self.directory.entries()}:
            raise Violation(f"{self} learned {self.index}, and {self.directory} says otherwise")
        told: dict[str, AgentAt] = {}
        for home in self.directory._homes.values():
            for agents in home.tenants.values():
                for entry in agents.values():
                    known = told.setdefault(entry.agent_id, entry)
                    if (known.generation, known.home) < (entry.generation, entry.home):
                        told[entry.agent_id] = entry
        if self.index != told:
            raise Violation(f"{self} believes {self.index}, and was told {told}")
