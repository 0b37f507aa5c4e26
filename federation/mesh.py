"""All neighbours of one gateway, and which way a frame takes to each of them.

The usual way is the one stream between two gateways. While there is none for longer than
`relay_after_seconds`, frames go through a gateway that says it is connected with the other one;
they are the same frames under the same numbers, so what comes over two paths counts once and in
order. A relay may lose them: what is not confirmed in time goes again, from the oldest on.

    what came ─▸ heard ─▸ inbox of the neighbour ─▸ handled by whoever holds the mesh ─▸ finished
    queued, due again, confirmations, signs of life, frames of others ─▸ next_for ─▸ what goes out

Pure: streams are `Way`s that somebody else reads and writes, time is what `now` returns, and
`soon` does something a little later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from google.protobuf.message import DecodeError

from federation.greeting import OwnGateway, Refusal, fault_of, hello_of
from federation.link import Heard
from federation.neighbour import Arrived, Neighbour, News
from federation.peer_states import UNHEARD, LinkState, PeerAddress, PeeringLimits, PeerView
from federation.pulse import SILENT_HEARTBEATS
from federation.way import Way
from llmx.v1.peering_pb2 import PeerHeartbeat, PeerHello
from llmx.wire.v1.peer_frame_pb2 import PeerContent, PeerFrameBytes, RelayedFrameBytes

CONFIRM_SECONDS = 0.005
"""How long a confirmation may wait for a frame to ride on."""
HOPS_MAX = 4
"""Gateways that a relayed frame may have passed, the first of them its origin."""
RELAYED_FRAMES_MAX = 8
"""Frames of one link that are under way through others."""
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
        self._to_relay: set[Neighbour] = set()
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
                if address.epoch <= neighbour.epoch:
                    neighbour.come_back(now)
            neighbour.region = address.region
            self._meet(neighbour, address.epoch)

    def _part(self, neighbour: Neighbour) -> None:
        if neighbour.way is not None:
            neighbour.way.close(f"{neighbour.gateway_id} is no member of the cluster any more")
            self.closed(neighbour.way)
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
            if neighbour.way is not None:
                neighbour.way.close("this gateway has a new epoch")
                self.closed(neighbour.way)
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
            self._relay_soon(neighbour)
        return True

    # ------------------------------------------------------------------ streams

    def hello_for(self, gateway_id: str) -> PeerHello:
        """Return what we say first on a stream to a gateway."""
        neighbour = self.neighbours.get(gateway_id)
        handled = neighbour.link.handled if neighbour is not None and neighbour.link else 0
        return hello_of(self.own, 0 if neighbour is None else neighbour.epoch, handled)

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
        if neighbour.way is not None:
            neighbour.way.close("a newer stream is open")
            neighbour.closed(self._now())
        neighbour.opened(way, self._now())
        way.wake()
        return True

    def closed(self, way: Way) -> None:
        """Have a stream no longer."""
        neighbour = self.neighbours.get(way.gateway_id)
        if neighbour is not None and neighbour.way is way:
            neighbour.closed(self._now())

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
                return self._pass_on(way, content.relayed)
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
                self._probe(neighbour)

    # ------------------------------------------------------------------ relays

    def _pass_on(self, way: Way, relayed: RelayedFrameBytes) -> Neighbour | None:
        """Take a frame that others have carried: it is for us, or goes on."""
        hops, own_id = relayed.hops, self.own.gateway_id
        if (
            not 0 < len(hops) <= HOPS_MAX
            or hops[0] != relayed.origin
            or hops[-1] != way.gateway_id
            or own_id in hops
            or relayed.destination in hops
        ):
            self.counts["relay_dropped"] += 1
            return None
        if relayed.destination == own_id:
            return self._take_relayed(way, relayed)
        onward = self._next_hop(relayed.destination, hops)
        if onward is None or len(hops) == HOPS_MAX:
            self.counts["relay_dropped"] += 1
            return None
        relayed.hops.append(own_id)
        self._let_pass(onward, relayed)
        return None

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
        if not origin.has_room:
            self.counts["relay_dropped"] += 1
            return None
        return self._take_in_order(origin, frame)

    def _take_in_order(self, origin: Neighbour, frame: PeerFrameBytes) -> Neighbour | None:
        """Take a frame for which one before it may be missing; it comes again then."""
        link = origin.link
        if frame.number and link is not None and frame.number > link.accepted + 1:
            self.counts["overtaken"] += 1
            frame.number = 0
        before = origin.attempts, link and link.in_flight
        taken = self._take(origin, frame)
        if (origin.attempts, link and link.in_flight) != before:
            self._relay_soon(origin)  # there is room for more
        return taken

    def _meet(self, neighbour: Neighbour, epoch: int) -> None:
        if epoch > neighbour.epoch and neighbour.way is not None:
            neighbour.way.close(f"{neighbour.gateway_id} has a new epoch")
            self.closed(neighbour.way)
        neighbour.meet(epoch, self.own.epoch)

    def _relay_soon(self, neighbour: Neighbour) -> None:
        if neighbour.is_relayed(self._now(), self._limits.relay_after_seconds):
            if not self._to_relay:
                self._soon(0.0, self._relay_all)
            self._to_relay.add(neighbour)

    def _relay_all(self) -> None:
        due = list(self._to_relay)
        self._to_relay.clear()
        for neighbour in due:
            self._relay(neighbour)

    def _relay(self, neighbour: Neighbour) -> None:
        """Send what is due through another gateway, if there is no other way."""
        now, link = self._now(), neighbour.link
        if link is None or not neighbour.is_relayed(now, self._limits.relay_after_seconds):
            return
        onward = self._next_hop(neighbour.gateway_id, (), neighbour.attempts)
        while onward is not None and link.has_due and link.in_flight < RELAYED_FRAMES_MAX:
            if not self._send_by(onward, neighbour, neighbour.frame(link)):
                break
        if link.in_flight:
            neighbour.relayed(now)

    def _probe(self, neighbour: Neighbour) -> None:
        """Send a word through another gateway: what we have handled, or only that we are here."""
        neighbour.probed_at = self._now()
        neighbour.owes_word_by_relay = False
        onward = self._next_hop(neighbour.gateway_id, (), neighbour.attempts)
        if onward is not None and self.own.epoch:
            is_due = neighbour.word_due
            word = neighbour.word()
            word.epoch = self.own.epoch
            neighbour.word_due = is_due  # the stream, if there is one, may be quicker
            self._send_by(onward, neighbour, word)

    def _next_hop(self, destination: str, hops: Sequence[str], attempt: int = 0) -> Way | None:
        """Return the stream on which a frame comes closer, another one with each attempt."""
        direct = self.neighbours.get(destination)
        if hops and direct is not None and direct.way is not None:
            return direct.way
        ways = [
            one.way
            for gateway_id, one in sorted(self.neighbours.items())
            if one.way is not None and gateway_id != destination and gateway_id not in hops
        ]
        # Who is not connected either may know somebody who is; that is tried where a frame
        # begins, and not over and over by everybody on its way.
        near = [way for way in ways if destination in way.connected] or ([] if hops else ways)
        return near[attempt % len(near)] if near else None

    def _send_by(self, onward: Way, neighbour: Neighbour, frame: PeerFrameBytes) -> bool:
        own_id = self.own.gateway_id
        return self._let_pass(
            onward,
            RelayedFrameBytes(
                origin=own_id,
                destination=neighbour.gateway_id,
                hops=(own_id,),
                frame=frame.SerializeToString(),
            ),
        )

    def _let_pass(self, onward: Way, relayed: RelayedFrameBytes) -> bool:
        passed = onward.let_pass(PeerContent(relayed=relayed).SerializeToString())
        self.counts["relayed" if passed else "relay_dropped"] += 1
        return passed

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
                self._relay(neighbour)
                if now - neighbour.probed_at >= limits.heartbeat_seconds:
                    self._probe(neighbour)
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
