"""How frames go through other gateways while two cannot reach each other.

A frame goes to a gateway that says it is connected with the destination, another one after each
attempt that brought no confirmation, and where nobody says so, to somebody who may know one. It
bears the gateways that it has passed, never goes to one of them again, and ends after `HOPS_MAX`.
Relays may lose it: they drop what finds no room or no way, and may die. What is not confirmed in
time goes again, from the oldest on; a few frames at a time, because nothing else slows it down.

Pure: the caller says what time it is, and `soon` does something a little later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from federation.neighbour import Neighbour
from federation.way import Way
from llmx.wire.v1.peer_frame_pb2 import PeerContent, PeerFrameBytes, RelayedFrameBytes

HOPS_MAX = 4
"""Gateways that a relayed frame may have passed, the first of them its origin."""
RELAYED_FRAMES_MAX = 8
"""Frames of one link that are under way through others."""


class Relays:
    """What one gateway sends through others, and carries for them."""

    def __init__(
        self,
        own_id: str,
        own_epoch: Callable[[], int],
        neighbours: Mapping[str, Neighbour],
        after_seconds: float,
        now: Callable[[], float],
        soon: Callable[[float, Callable[[], None]], object],
        counts: Counter[str],
    ) -> None:
        """Go through `neighbours`, when one of them was not reached for so long."""
        self._own_id = own_id
        self._own_epoch = own_epoch
        self._neighbours = neighbours
        self._after = after_seconds
        self._now = now
        self._soon = soon
        self._counts = counts
        self._to_relay: set[Neighbour] = set()

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Relays of {self._own_id}: {self._counts['relayed']} frames carried>"

    def is_for_us(self, way: Way, relayed: RelayedFrameBytes) -> bool:
        """Tell whether a frame that others have carried is at its end; it goes on if it is not."""
        hops, own_id = relayed.hops, self._own_id
        if (
            not 0 < len(hops) <= HOPS_MAX
            or hops[0] != relayed.origin
            or hops[-1] != way.gateway_id
            or own_id in hops
            or relayed.destination in hops
        ):
            self._counts["relay_dropped"] += 1
            return False
        if relayed.destination == own_id:
            return True
        onward = self._next_hop(relayed.destination, hops)
        if onward is None or len(hops) == HOPS_MAX:
            self._counts["relay_dropped"] += 1
            return False
        relayed.hops.append(own_id)
        self._let_pass(onward, relayed)
        return False

    def relay_soon(self, neighbour: Neighbour) -> None:
        """Send what is due to a gateway, once for all that is queued in this turn."""
        if neighbour.is_relayed(self._now(), self._after):
            if not self._to_relay:
                self._soon(0.0, self._relay_all)
            self._to_relay.add(neighbour)

    def _relay_all(self) -> None:
        due = list(self._to_relay)
        self._to_relay.clear()
        for neighbour in due:
            self.relay(neighbour)

    def relay(self, neighbour: Neighbour) -> None:
        """Send what is due through another gateway, if there is no other way."""
        now, link = self._now(), neighbour.link
        if link is None or not neighbour.is_relayed(now, self._after):
            return
        onward = self._next_hop(neighbour.gateway_id, (), neighbour.attempts)
        if onward is None:
            return
        # Where nobody is known to be connected with it, one frame tries whether somebody is.
        most = RELAYED_FRAMES_MAX if neighbour.gateway_id in onward.connected else 1
        while link.has_due and link.in_flight < most:
            if not self._send_by(onward, neighbour, neighbour.frame(link)):
                break
        if link.in_flight:
            neighbour.relayed(now)

    def probe(self, neighbour: Neighbour) -> None:
        """Send a word through another gateway: what we have handled, or only that we are here."""
        neighbour.probed_at = self._now()
        neighbour.owes_word_by_relay = False
        onward = self._next_hop(neighbour.gateway_id, (), neighbour.attempts)
        if onward is not None and self._own_epoch():
            is_due = neighbour.word_due
            word = neighbour.word()
            word.epoch = self._own_epoch()
            neighbour.word_due = is_due  # the stream, if there is one, may be quicker
            self._send_by(onward, neighbour, word)

    def _next_hop(self, destination: str, hops: Sequence[str], attempt: int = 0) -> Way | None:
        """Return the stream on which a frame comes closer, another one with each attempt."""
        direct = self._neighbours.get(destination)
        if hops and direct is not None and direct.way is not None:
            return direct.way
        ways = [
            one.way
            for gateway_id, one in sorted(self._neighbours.items())
            if one.way is not None and gateway_id != destination and gateway_id not in hops
        ]
        # Who is not connected either may know somebody who is; that is tried where a frame
        # begins, and not over and over by everybody on its way.
        near = [way for way in ways if destination in way.connected] or ([] if hops else ways)
        return near[attempt % len(near)] if near else None

    def _send_by(self, onward: Way, neighbour: Neighbour, frame: PeerFrameBytes) -> bool:
        own_id = self._own_id
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
        self._counts["relayed" if passed else "relay_dropped"] += 1
        return passed
