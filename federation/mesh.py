"""All neighbours of one gateway, and which way a frame takes to each of them.

The usual way is the one stream between two gateways. While there is none for longer than
`relay_after_seconds`, frames go through others (see `relays`); they are the same frames under the
same numbers, so what comes over two paths counts once and in order.

    what came ─▸ heard ─▸ inbox of the neighbour ─▸ handled by whoever holds the mesh ─▸ finished
    queued, due again, confirmations, signs of life, frames of others ─▸ next_for ─▸ what goes out

Pure: streams are `Way`s that somebody else reads and writes, time is what `now` returns, and
`soon` does something a little later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

from google.protobuf.message import DecodeError

from federation.greeting import OwnGateway, Refusal, fault_of, hello_of
from federation.link import Heard
from federation.neighbour import Arrived, Neighbour, News
from federation.peer_states import UNHEARD, LinkState, PeerAddress, PeeringLimits, PeerView
from federation.pulse import SILENT_HEARTBEATS
from federation.relays import Relays
from federation.way import Way
from llmx.v1.peering_pb2 import PeerHeartbeat, PeerHello
from llmx.wire.v1.peer_frame_pb2 import PeerContent, PeerFrameBytes, RelayedFrameBytes

CONFIRM_SECONDS = 0.005
"""How long a confirmation may wait for a frame to ride on."""
FORMER_MAX = 1_024
"""Gateways that left and are remembered."""
MESSAGE_BYTES_MAX = 100 * 1024 * 1024
"""What fits into a frame that grpc takes."""


class Mesh:
    """One gateway among its neighbours."""

    def __init__(
        self,
        own: OwnGateway,
        limits: PeeringLimits,
        now: Callable[[], float],
        soon: Callable[[float, Callable[[], None]], object],
        news: News,
        sees_discovery: Callable[[], bool],
    ) -> None:
        """Be `own` among nobody, until `set_members` says otherwise."""
        self.own = own
        self.neighbours: dict[str, Neighbour] = {}
        self.counts: Counter[str] = Counter()
        """What happened: relayed, relay_dropped, repeats, gaps, overtaken."""
        self._limits = limits
        self._now = now
        self._soon = soon
        self._news = news
        self._sees_discovery = sees_discovery
        self._former: dict[str, Neighbour] = {}
        self._owing: set[Neighbour] = set()
        self._relays = Relays(
            own.gateway_id,
            lambda: self.own.epoch,
            self.neighbours,
            limits.relay_after_seconds,
            now,
            soon,
            self.counts,
        )
        self._ticked_at = now()

    def __repr__(self) -> str:
        """Tell the state in words."""
        open_ways = sum(one.way is not None for one in self.neighbours.values())
        return f"<Mesh of {self.own.gateway_id}: {open_ways} of {len(self.neighbours)} open>"

    # ------------------------------------------------------------------ who there is

    def set_members(self, members: Mapping[str, PeerAddress]) -> None:
        """Have these neighbours from now on; we ourselves are never among them."""
        now = self._now()
        for gateway_id in [one for one in self.neighbours if one not in members]:
            self._part(self.neighbours.pop(gateway_id))
        for gateway_id, address in members.items():
            if gateway_id == self.own.gateway_id:
                continue
            neighbour = self.neighbours.get(gateway_id)
            if neighbour is None:
                neighbour = self._former.pop(gateway_id, None)
                if neighbour is None:
                    neighbour = Neighbour(gateway_id, self._limits.link, self._news, now)
                self.neighbours[gateway_id] = neighbour
                neighbour.hear_told(address.epoch)
                if address.epoch <= neighbour.epoch:
                    neighbour.come_back(now)
            neighbour.region = address.region
            neighbour.hear_told(address.epoch)
            self._meet(neighbour, address.epoch)

    def _part(self, neighbour: Neighbour) -> None:
        self._close(neighbour, f"{neighbour.gateway_id} is no member of the cluster any more")
        neighbour.leave()
        self._former[neighbour.gateway_id] = neighbour
        if len(self._former) > FORMER_MAX:
            del self._former[next(iter(self._former))]

    def set_own_epoch(self, epoch: int) -> None:
        """Live under a new epoch: all links begin anew."""
        if epoch == self.own.epoch:
            return
        self.own = replace(self.own, epoch=epoch)
        self._former.clear()  # no pair of epochs comes again
        for neighbour in list(self.neighbours.values()):
            self._close(neighbour, "this gateway has a new epoch")
            neighbour.begin(epoch)

    def send(self, gateway_id: str, message: bytes) -> bool:
        """Queue a message; False when there is no link to that gateway, or no room."""
        neighbour = self.neighbours.get(gateway_id)
        if neighbour is None or neighbour.link is None or len(message) > MESSAGE_BYTES_MAX:
            return False
        if not neighbour.link.push(message):
            return False
        if neighbour.way is not None:
            neighbour.way.wake()
        else:
            self._relays.relay_soon(neighbour)
        return True

    # ------------------------------------------------------------------ streams

    def hello_for(self, gateway_id: str) -> PeerHello:
        """Return what we say first on a stream to a gateway."""
        neighbour = self.neighbours.get(gateway_id)
        if neighbour is None or neighbour.link is None:
            return hello_of(self.own, 0, 0)
        return hello_of(self.own, neighbour.epoch, neighbour.link.handled)

    def greet(self, hello: PeerHello) -> Refusal | None:
        """Take what a gateway says first; returns why it is not talked to, if it is not."""
        fault = fault_of(hello, self.own)
        if fault is not None:
            return fault
        neighbour = self.neighbours.get(hello.gateway_id)
        if neighbour is None:
            return Refusal(f"{hello.gateway_id} is not a member of the cluster", for_good=False)
        if hello.epoch < neighbour.epoch:
            return Refusal(
                f"{hello.gateway_id} was met under the epoch {neighbour.epoch}, which is newer "
                f"than {hello.epoch}",
                for_good=False,
            )
        self._meet(neighbour, hello.epoch)
        link = neighbour.link
        assert link is not None, "both have an epoch"
        received = hello.received_number if hello.received_epoch == self.own.epoch else 0
        if received > link.sent:
            return Refusal(
                f"{hello.gateway_id} has received frame {received}, and {self.own.gateway_id} has "
                f"sent {link.sent}; one of them must be started anew",
                for_good=True,
            )
        link.confirm(received)
        return None

    def opened(self, way: Way, hello: PeerHello, own_epoch: int) -> bool:
        """Have a stream on which both have said hello; it replaces an older one.

        False when what they said does not hold any more.
        """
        neighbour = self.neighbours.get(way.gateway_id)
        if neighbour is None or (hello.epoch, own_epoch) != (neighbour.epoch, self.own.epoch):
            return False
        self._close(neighbour, "a newer stream is open")
        neighbour.opened(way, self._now())
        way.wake()
        return True

    def closed(self, way: Way) -> None:
        """Have a stream no longer."""
        neighbour = self.neighbours.get(way.gateway_id)
        if neighbour is not None and neighbour.way is way:
            neighbour.closed(self._now())

    def _close(self, neighbour: Neighbour, reason: str) -> None:
        way = neighbour.way
        if way is not None:
            way.close(reason)
            self.closed(way)

    # ------------------------------------------------------------------ what comes

    def heard(self, way: Way, content: PeerContent) -> Neighbour | None:
        """Take what came on a stream; returns who has frames to be handled now."""
        now = self._now()
        way.pulse.heard_at = now
        neighbour = self.neighbours.get(way.gateway_id)
        if neighbour is None or neighbour.way is not way:
            return None  # the last words of a stream that was replaced
        match content.WhichOneof("content"):
            case "frame":
                return self._take(neighbour, content.frame)
            case "relayed":
                if self._relays.is_for_us(way, content.relayed):
                    return self._take_relayed(way, content.relayed)
            case "heartbeat":
                try:
                    beat = PeerHeartbeat.FromString(content.heartbeat)
                except DecodeError:
                    way.close("malformed: a heartbeat that is none")
                    return None
                way.pulse.hear(beat, now)
                way.connected = frozenset(beat.connected)
                said_at = min(beat.echo / 1e9, now) if beat.echo else float("-inf")
                neighbour.view = PeerView(now, beat.sees_discovery, way.connected, said_at)
            case "hello":
                way.close("malformed: a second hello")
        return None

    def _take(self, neighbour: Neighbour, frame: PeerFrameBytes) -> Neighbour | None:
        link = neighbour.link
        if link is None or (frame.epoch, frame.receiver_epoch) != (link.peer_epoch, link.own_epoch):
            return None  # of an epoch that is over
        if link.confirm(frame.confirmed_number):
            neighbour.progressed()
        if not frame.number:
            return None
        match link.hear(frame.number):
            case Heard.REPEAT:
                self.counts["repeats"] += 1
                self._owe_word(neighbour)  # the confirmation may have been lost
                return None
            case Heard.GAP:
                self.counts["gaps"] += 1
                if neighbour.way is not None:
                    neighbour.way.close(f"out of order: frame {frame.number}, {link!r}")
                return None
        neighbour.inbox.append(Arrived(link, frame.number, list(frame.messages)))
        return neighbour

    def finished(self, neighbour: Neighbour, arrived: Arrived) -> None:
        """Note that a frame from an inbox was handled."""
        was_full = not neighbour.has_room
        if neighbour.finish(arrived):
            self._owe_word(neighbour)
        if was_full and neighbour.way is not None:
            neighbour.way.pulse.heard_at = self._now()  # it was we who did not listen

    # ------------------------------------------------------------------ what goes

    def next_for(self, way: Way) -> bytes | None:
        """Return what to write on a stream now, or None when there is nothing."""
        now = self._now()
        if way.pulse.owes_beat(now):
            connected = [one.gateway_id for one in self.neighbours.values() if one.way is not None]
            beat = way.pulse.beat(now, connected, self._sees_discovery())
            return PeerContent(heartbeat=beat.SerializeToString()).SerializeToString()
        neighbour = self.neighbours.get(way.gateway_id)
        if neighbour is None or neighbour.way is not way:
            return None
        if way.has_passing and not way.passed_last:
            way.passed_last = True
            return way.next_passing()
        way.passed_last = False
        frame = neighbour.next_frame()
        if frame is not None:
            return PeerContent(frame=frame).SerializeToString()
        return way.next_passing() if way.has_passing else None

    def _owe_word(self, neighbour: Neighbour) -> None:
        neighbour.owes_word = True
        if not self._owing:
            self._soon(CONFIRM_SECONDS, self._confirm)
        self._owing.add(neighbour)

    def _confirm(self) -> None:
        """Send the confirmations that found no frame to ride on."""
        owing = list(self._owing)
        self._owing.clear()
        for neighbour in owing:
            if neighbour.owes_word and neighbour.way is not None:
                neighbour.word_due = True
                neighbour.way.wake()
            if neighbour.owes_word_by_relay or (neighbour.owes_word and neighbour.way is None):
                self._relays.probe(neighbour)

    # ------------------------------------------------------------------ relays

    def _take_relayed(self, way: Way, relayed: RelayedFrameBytes) -> Neighbour | None:
        origin = self.neighbours.get(relayed.origin)
        if origin is None:
            self.counts["relay_dropped"] += 1
            return None
        try:
            frame = PeerFrameBytes.FromString(relayed.frame)
        except DecodeError:
            way.close("malformed: a relayed frame that is none")
            return None
        self._meet(origin, frame.epoch)
        if frame.receiver_epoch != self.own.epoch or frame.number:
            origin.owes_word_by_relay = True  # it has no other way to hear of us
            self._owe_word(origin)
        origin.relayed_by, origin.relayed_at = way.gateway_id, self._now()
        self._note_state(origin)
        if frame.number and not origin.has_room:
            self.counts["relay_dropped"] += 1
            frame.number = 0  # what it confirms still counts
        return self._take_in_order(origin, frame)

    def _take_in_order(self, origin: Neighbour, frame: PeerFrameBytes) -> Neighbour | None:
        """Take a frame for which one before it may be missing; it comes again then."""
        link = origin.link
        if frame.number and link is not None and frame.number > link.accepted + 1:
            self.counts["overtaken"] += 1
            frame.number = 0
        taken = self._take(origin, frame)
        if link is not None and link.has_due:
            self._relays.relay_soon(origin)  # what it confirmed made room for more
        return taken

    def _meet(self, neighbour: Neighbour, epoch: int) -> None:
        if epoch > neighbour.epoch:
            self._close(neighbour, f"{neighbour.gateway_id} has a new epoch")
        neighbour.meet(epoch, self.own.epoch)

    # ------------------------------------------------------------------ by the clock

    def tick(self) -> None:
        """Do what is due: signs of life, ends of silent streams, what relays have lost."""
        now, limits = self._now(), self._limits
        # After a long pause of ours there is much to read, and first it is to be read.
        was_away = now - self._ticked_at > limits.heartbeat_seconds
        self._ticked_at = now
        for neighbour in list(self.neighbours.values()):
            way = neighbour.way
            if way is not None:
                if way.pulse.is_silent(now) and neighbour.has_room and not was_away:
                    way.close(f"silent for {SILENT_HEARTBEATS} heartbeats")
                elif way.pulse.owes_beat(now):
                    way.wake()
            elif neighbour.is_relayed(now, limits.relay_after_seconds):
                neighbour.retry(now)
                self._relays.relay(neighbour)
                if now - neighbour.probed_at >= limits.heartbeat_seconds:
                    self._relays.probe(neighbour)
            self._note_state(neighbour)

    def _note_state(self, neighbour: Neighbour) -> None:
        seconds = SILENT_HEARTBEATS * self._limits.heartbeat_seconds
        neighbour.note_state(self._now(), seconds)

    # ------------------------------------------------------------------ what others may know

    def links(self) -> list[LinkState]:
        """Return the state of every link, by gateway id."""
        return [self.neighbours[one].state() for one in sorted(self.neighbours)]

    def view(self, gateway_id: str) -> PeerView:
        """Return what a gateway has said of itself."""
        neighbour = self.neighbours.get(gateway_id)
        return UNHEARD if neighbour is None else neighbour.view
