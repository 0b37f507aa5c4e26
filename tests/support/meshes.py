"""Meshes beside each other, whose ways a test joins and reads by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from federation.greeting import OwnGateway
from federation.link import LinkLimits
from federation.mesh import Mesh
from federation.neighbour import News
from federation.peer_states import PeerAddress, PeeringLimits
from federation.pulse import Pulse
from federation.way import Way
from llmx.wire.v1.peer_frame_pb2 import PeerContent
from tests.support.virtual_time import VirtualTime

LIMITS = PeeringLimits(
    link=LinkLimits(frame_messages_max=2), heartbeat_seconds=1.0, relay_after_seconds=2.0
)


@dataclass
class Side:
    """A mesh and what it told."""

    mesh: Mesh
    heard: list[bytes] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    ended: list[tuple[str, list[bytes]]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    """Why its ways were closed."""
    holds: bool = False
    """Is nothing handled?"""

    def handle(self) -> None:
        for neighbour in self.mesh.neighbours.values():
            while neighbour.inbox and not self.holds:
                arrived = neighbour.inbox[0]
                self.heard += arrived.messages
                self.mesh.finished(neighbour, arrived)


class Meshes:
    """Some of them, in virtual time."""

    def __init__(self, *gateway_ids: str, limits: PeeringLimits = LIMITS, epoch: int = 1) -> None:
        self.time = VirtualTime(100.0)
        self.sides: dict[str, Side] = {}
        for gateway_id in gateway_ids:
            self.begin(gateway_id, limits, epoch)
        for side in self.sides.values():
            side.mesh.set_members({one: self.address(one) for one in gateway_ids})

    def begin(self, gateway_id: str, limits: PeeringLimits = LIMITS, epoch: int = 1) -> Side:
        own = OwnGateway(gateway_id, epoch, "test", "")
        news = News(
            lambda peer_id: self.sides[gateway_id].begun.append(peer_id),
            lambda peer_id, messages: self.sides[gateway_id].ended.append((peer_id, messages)),
        )
        now: Callable[[], float] = lambda: self.time.now  # noqa: E731 (it is typed here)
        side = Side(Mesh(own, limits, now, self.time.after, news, lambda: True))
        self.sides[gateway_id] = side
        return side

    def address(self, gateway_id: str) -> PeerAddress:
        return PeerAddress("", self.sides[gateway_id].mesh.own.epoch, "somewhere")

    def join(self, one: str, other: str) -> tuple[Way, Way]:
        """Open a stream between two and return both its ends."""
        hellos = {
            name: self.sides[name].mesh.hello_for(self._not(name, one, other))
            for name in (one, other)
        }
        for name in (one, other):
            assert self.sides[name].mesh.greet(hellos[self._not(name, one, other)]) is None
        return self._way(one, other, hellos[other]), self._way(other, one, hellos[one])

    def _not(self, name: str, one: str, other: str) -> str:
        return other if name == one else one

    def _way(self, here: str, there: str, hello: object) -> Way:
        side = self.sides[here]
        pulse = Pulse(LIMITS.heartbeat_seconds, self.time.now)
        way = Way(there, pulse, self.time.now, lambda: None, side.closed.append)
        assert side.mesh.opened(way, hello, side.mesh.own.epoch)  # type: ignore[arg-type]
        return way

    def carry(self, *ends: tuple[Way, Way]) -> None:
        """Let everything through that is due, on these streams, until nothing is."""
        moved = True
        while moved:
            self.time.run_until(self.time.now + 0.01)
            moved = False
            for one, other in ends:
                for here, there in ((one, other), (other, one)):
                    for raw in self.said(here, there.gateway_id):
                        moved = True
                        self.hear(there, here.gateway_id, raw)
            for side in self.sides.values():
                side.handle()

    def said(self, way: Way, by: str) -> list[PeerContent]:
        """Return what a mesh writes on one end of a stream."""
        contents = []
        while (raw := self.sides[by].mesh.next_for(way)) is not None:
            contents.append(PeerContent.FromString(raw))
        return contents

    def hear(self, way: Way, by: str, content: PeerContent) -> None:
        """Let a mesh hear something on its end of a stream."""
        self.sides[by].mesh.heard(way, content)
