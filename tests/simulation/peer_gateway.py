"""A gateway of the simulation: a real mesh, on wires in virtual time instead of streams.

It does what the shell around the mesh does: it dials, says hello, writes whatever the mesh has for
a stream when there is room, and handles what came, at once or later. Everything that it sends
bears who sent it, to whom, and a number, so that the diary can tell what is missing, what came
twice and what came too early.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from federation.greeting import OwnGateway
from federation.mesh import Mesh
from federation.neighbour import Arrived, Neighbour, News
from federation.peer_states import PeerAddress, PeeringLimits
from federation.pulse import Pulse
from federation.relays import HOPS_MAX
from federation.way import Way
from llmx.v1.peering_pb2 import PeerHello
from llmx.wire.v1.peer_frame_pb2 import PeerContent
from tests.support.faulty_network import FaultyNetwork, Wire
from tests.support.virtual_time import VirtualTime

TICK_SECONDS = 0.25
REDIAL_SECONDS = 0.2
HELLO_SECONDS_MAX = 1.0


class Violation(AssertionError):
    """Something happened that must not."""


@dataclass(frozen=True, slots=True, order=True)
class Letter:
    """One message."""

    sender: str
    receiver: str
    number: int
    is_greeting: bool

    @property
    def raw(self) -> bytes:
        kind = "greeting" if self.is_greeting else "letter"
        return f"{self.sender} {self.receiver} {self.number} {kind}".encode()


def letter_of(raw: bytes) -> Letter:
    sender, receiver, number, kind = raw.decode().split()
    return Letter(sender, receiver, int(number), kind == "greeting")


@dataclass(slots=True)
class Diary:
    """What was sent, handled and handed back, over all lives of all gateways."""

    sent: dict[Letter, PeerGateway] = field(default_factory=dict)
    handled: set[Letter] = field(default_factory=set)
    handed_back: set[Letter] = field(default_factory=set)
    last: dict[tuple[str, str], int] = field(default_factory=dict)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)
    trace: deque[str] = field(default_factory=lambda: deque(maxlen=60))

    def next_letter(self, sender: str, receiver: str, *, is_greeting: bool) -> Letter:
        number = self.numbers[sender, receiver] = self.numbers.get((sender, receiver), 0) + 1
        return Letter(sender, receiver, number, is_greeting)

    def handle(self, letter: Letter, by: str) -> None:
        self.trace.append(f"{letter} is handled")
        if letter.receiver != by:
            raise Violation(f"{by} got {letter}")
        if letter in self.handled:
            raise Violation(f"{letter} was handled twice")
        pair = letter.sender, letter.receiver
        if letter.number <= self.last.get(pair, 0):
            raise Violation(f"{letter} came after number {self.last[pair]}")
        self.handled.add(letter)
        self.last[pair] = letter.number

    def missing(self) -> list[Letter]:
        """Return what neither arrived nor came back, of senders that live."""
        return [
            letter
            for letter, sender in self.sent.items()
            if not sender.is_dead and letter not in self.handled and letter not in self.handed_back
        ]


class Line:
    """One side of a connection between two gateways."""

    def __init__(self, gateway: PeerGateway, peer_id: str | None) -> None:
        """Belong to a gateway; who dials knows whom it talks to."""
        self.gateway = gateway
        self.peer_id = peer_id
        self.wire: Wire | None = None
        self.way: Way | None = None
        self.own_epoch = gateway.mesh.own.epoch
        self.came: deque[PeerContent] = deque()

    def say_hello(self) -> None:
        assert self.wire is not None and self.peer_id is not None
        self.own_epoch = self.gateway.mesh.own.epoch
        hello = self.gateway.mesh.hello_for(self.peer_id).SerializeToString()
        self.wire.send(PeerContent(hello=hello).SerializeToString())

    def heard(self, frame: bytes) -> None:
        if self.gateway.is_dead:
            return
        self.came.append(PeerContent.FromString(frame))
        self.read()

    def read(self) -> None:
        """Read on, until what came before waits to be handled."""
        gateway, wire = self.gateway, self.wire
        while self.came and wire is not None and wire.is_open:
            content = self.came[0]
            if self.way is None:
                self.came.popleft()
                self._greeted(PeerHello.FromString(content.hello))
                continue
            neighbour = gateway.mesh.neighbours.get(self.way.gateway_id)
            if neighbour is not None and not neighbour.has_room:
                return
            self.came.popleft()
            if content.WhichOneof("content") == "relayed":
                _check_hops(content, gateway.gateway_id)
            heard = gateway.mesh.heard(self.way, content)
            if heard is not None:
                gateway.handle(heard)

    def _greeted(self, hello: PeerHello) -> None:
        gateway, wire = self.gateway, self.wire
        assert wire is not None
        dials = self.peer_id is not None
        if gateway.mesh.greet(hello) is not None:
            self.end("refused")
            return
        self.peer_id = hello.gateway_id
        if not dials:
            self.say_hello()
        time, seconds = gateway.time, gateway.limits.heartbeat_seconds
        pulse = Pulse(seconds, time.now)
        way = self.way = Way(self.peer_id, pulse, time.now, self.write, self.end)
        if not gateway.mesh.opened(way, hello, self.own_epoch):
            self.end("an epoch has changed")
            return
        gateway.lines[self.peer_id] = self

    def write(self) -> None:
        """Write what there is, as long as there is room."""
        wire, way = self.wire, self.way
        if wire is None or way is None or self.gateway.is_dead:
            return
        faults, draw = self.gateway.network.faults, self.gateway.rng.random
        while wire.can_send and (raw := self.gateway.mesh.next_for(way)) is not None:
            content = PeerContent.FromString(raw)
            if not content.HasField("relayed"):
                wire.send(raw, is_numbered=bool(content.frame.number))
            elif draw() >= faults.loss_share:  # nothing behind it on this stream would show a gap
                for _ in range(2 if draw() < faults.double_share else 1):
                    wire.send(raw)

    def writable(self) -> None:
        if not self.gateway.is_dead:
            self.write()

    def end(self, reason: str) -> None:
        """End it from this side."""
        self.gateway.note(f"ends its stream with {self.peer_id}: {reason}")
        if self.wire is not None:
            self.wire.close()
        self._gone()

    def lost(self) -> None:
        if not self.gateway.is_dead:
            self._gone()

    def _gone(self) -> None:
        if self.way is not None:
            self.gateway.mesh.closed(self.way)
        if self.peer_id is not None:
            self.gateway.dialling.discard(self.peer_id)


def _check_hops(content: PeerContent, receiver: str) -> None:
    hops = list(content.relayed.hops)
    if len(hops) > HOPS_MAX or len({*hops}) < len(hops) or receiver in hops:
        raise Violation(f"{receiver} got a frame that has passed {hops}")


class PeerGateway:
    """One life of a gateway."""

    def __init__(
        self,
        gateway_id: str,
        epoch: int,
        limits: PeeringLimits,
        time: VirtualTime,
        network: FaultyNetwork,
        rng: random.Random,
        diary: Diary,
        others: Mapping[str, PeerGateway],
        is_cut_off: Callable[[str, str], bool],
        slow_share: float,
    ) -> None:
        """Begin a life; `others` are reached by id, and `is_cut_off` says which are not."""
        self.gateway_id = gateway_id
        self.limits = limits
        self.time = time
        self.is_dead = False
        self.revision = 0
        """Of the membership that it was told last."""
        self.lines: dict[str, Line] = {}
        self.dialling: set[str] = set()
        self.members: dict[str, PeerAddress] = {}
        self.network = network
        self.rng = rng
        self._diary = diary
        self._others = others
        self._is_cut_off = is_cut_off
        self._slow_share = slow_share
        self._begun_under: dict[str, tuple[int, int]] = {}
        self._expects_greeting: set[str] = set()
        own = OwnGateway(gateway_id, epoch, "test", "")
        news = News(self._begun, self._ended)
        self.mesh = Mesh(own, limits, lambda: time.now, self._soon, news, lambda: True)
        time.after(rng.random() * TICK_SECONDS, self._tick)

    def note(self, what: str) -> None:
        self._diary.trace.append(f"{self.time.now:.3f} {self.gateway_id} {what}")

    def _soon(self, seconds: float, what: Callable[[], None]) -> None:
        def unless_dead() -> None:
            if not self.is_dead:
                what()

        self.time.after(seconds, unless_dead)

    def _tick(self) -> None:
        if self.is_dead:
            return
        self.mesh.tick()
        self._dial()
        self.time.after(TICK_SECONDS, self._tick)

    # ------------------------------------------------------------------ streams

    def _dial(self) -> None:
        for peer_id in self.members:
            if self.gateway_id < peer_id and peer_id not in self.dialling:
                neighbour = self.mesh.neighbours[peer_id]
                if neighbour.way is None:
                    self._open(peer_id)

    def _open(self, peer_id: str) -> None:
        self.dialling.add(peer_id)
        line = Line(self, peer_id)

        def accept(wire: Wire) -> Line | None:
            other = self._others.get(peer_id)
            if other is None or other.is_dead or self._is_cut_off(self.gateway_id, peer_id):
                return None
            theirs = Line(other, None)
            theirs.wire = wire
            return theirs

        line.wire = self.network.connect(line, accept)
        self.time.after(0.0, line.say_hello)

        def give_up() -> None:
            if line.way is None and not self.is_dead:
                line.end("no hello")

        self.time.after(HELLO_SECONDS_MAX, give_up)

    # ------------------------------------------------------------------ messages

    def send(self, peer_id: str, *, is_greeting: bool = False) -> None:
        letter = self._diary.next_letter(self.gateway_id, peer_id, is_greeting=is_greeting)
        if self.mesh.send(peer_id, letter.raw):
            self.note(f"sends {letter}")
            self._diary.sent[letter] = self
        elif is_greeting:
            raise Violation(f"{self.gateway_id} cannot send to {peer_id} as their link begins")

    def handle(self, neighbour: Neighbour) -> None:
        while neighbour.inbox and not neighbour.is_busy:
            arrived = neighbour.inbox[0]
            neighbour.is_busy = True
            self._take(neighbour, arrived)
            if self.rng.random() < self._slow_share:
                finish = partial(self._finish, neighbour, arrived)
                self._soon(self.rng.random() * 0.5, finish)
                return
            self.mesh.finished(neighbour, arrived)

    def _finish(self, neighbour: Neighbour, arrived: Arrived) -> None:
        self.mesh.finished(neighbour, arrived)
        self.handle(neighbour)
        for line in list(self.lines.values()):
            line.read()

    def _take(self, neighbour: Neighbour, arrived: Arrived) -> None:
        peer_id, link = neighbour.gateway_id, arrived.link
        if self._begun_under.get(peer_id) != (link.own_epoch, link.peer_epoch):
            raise Violation(f"{self.gateway_id} heard {peer_id} before their link began")
        for raw in arrived.messages:
            letter = letter_of(raw)
            if arrived.number == 1 and raw is arrived.messages[0] and not letter.is_greeting:
                raise Violation(f"{letter} came before the greeting")
            self._diary.handle(letter, self.gateway_id)

    def _begun(self, peer_id: str) -> None:
        epochs = self.mesh.own.epoch, self.mesh.neighbours[peer_id].epoch
        self.note(f"begins with {peer_id} under {epochs}")
        self._begun_under[peer_id] = epochs
        self.send(peer_id, is_greeting=True)

    def _ended(self, peer_id: str, unconfirmed: list[bytes]) -> None:
        letters = [letter_of(raw) for raw in unconfirmed]
        self.note(f"ends with {peer_id}, handed back {len(letters)}")
        if letters != sorted(letters):
            raise Violation(f"{letters} come back in disorder")
        self._diary.handed_back.update(letters)

    # ------------------------------------------------------------------ lives

    def know(self, members: Mapping[str, PeerAddress]) -> None:
        """Hear from the membership."""
        self.members = {one: members[one] for one in members if one != self.gateway_id}
        self.mesh.set_members(self.members)

    def begin_epoch(self, epoch: int) -> None:
        self.note(f"has the epoch {epoch}")
        self.mesh.set_own_epoch(epoch)

    def die(self) -> None:
        self.note("dies")
        self.is_dead = True
        for line in self.lines.values():
            if line.wire is not None:
                line.wire.kill()

    @property
    def is_quiet(self) -> bool:
        """Tell whether whoever can be reached is, all is confirmed and nothing to be handled."""
        return len(self.mesh.neighbours) == len(self._others) - 1 and all(
            (one.way is not None or self._is_cut_off(self.gateway_id, one.gateway_id))
            and one.link is not None
            and not one.link.kept
            and not one.inbox
            for one in self.mesh.neighbours.values()
        )

    def unrest(self) -> str:
        return f"{self.mesh!r} {list(self.mesh.neighbours.values())}"
