"""A network in virtual time that does what networks do to streams.

A connection has two *wires*, one at each side. What is sent on one arrives at the other, in order,
some time later, at most `in_flight_max` frames at once; whoever finds no room hears `writable` when
there is. The faults, each drawn from the seed:

- a *cut*: of what is in flight only the frames before a random point still arrive, then both
  sides hear `lost`; when it leaves the connection *half open*, one of them only much later;
- a *stall*: a frame, and all behind it, takes long;
- a *double*: a frame that bears a number arrives twice, at once or after the one behind it;
- a *loss*: a frame that bears a number does not arrive, though the next that bears one does;
- a *refusal*: a connection is not made at all.

Frames keep their order, whatever happens: below us there is TCP. It neither doubles nor loses, but
who stands between may, and the numbers are there to notice it.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from tests.support.virtual_time import VirtualTime

IN_FLIGHT_MAX = 4


@dataclass(frozen=True, slots=True)
class Faults:
    """How likely what is; the default is a perfect network."""

    delay: float = 0.001
    """Seconds that every frame takes at least."""
    jitter: float = 0.0
    """Seconds that it may take beyond."""
    cut_share: float = 0.0
    """Of all frames: while how many, at some point, the connection is cut."""
    half_open_share: float = 0.0
    """Of all cuts: how many one side does not notice for long."""
    half_open_seconds: float = 10.0
    """How long at most."""
    stall_share: float = 0.0
    """Of all frames: how many take long."""
    stall_seconds: float = 1.0
    """How long at most."""
    double_share: float = 0.0
    """Of the frames with a number: how many arrive twice."""
    loss_share: float = 0.0
    """Of the frames with a number: how many do not arrive."""
    refusal_share: float = 0.0
    """Of all connections: how many are not made."""


PERFECT = Faults()


class Peer(Protocol):
    """Who is at one side of a connection."""

    def heard(self, frame: Any) -> None:
        """Hear a frame that arrived."""

    def writable(self) -> None:
        """Hear that there is room for frames again."""

    def lost(self) -> None:
        """Hear that the connection is over; nothing comes after that."""


class _Nobody:
    """Is at the far side until somebody has accepted."""

    def heard(self, frame: Any) -> None:
        raise AssertionError("a frame arrives after its connection was accepted")

    def writable(self) -> None:
        raise AssertionError("nobody sends before the connection was accepted")

    def lost(self) -> None:
        """Miss nothing."""


class Wire:
    """One side of a connection."""

    __slots__ = (
        "_arrives_at",
        "_echo",
        "_flying",
        "_held",
        "_network",
        "is_cut",
        "is_open",
        "other",
        "peer",
    )

    def __init__(self, network: FaultyNetwork, peer: Peer) -> None:
        """Belong to `peer`."""
        self._network = network
        self._flying: deque[list[Any]] = deque()  # each a list of one frame, or empty when lost
        self._arrives_at = 0.0
        self._echo: Any = None
        self._held: Any = None
        self.other: Wire = self
        self.peer = peer
        self.is_cut = False
        self.is_open = True
        """Does this side believe in the connection?"""

    @property
    def can_send(self) -> bool:
        """Tell whether there is room for a frame; behind an unnoticed cut there soon is none."""
        return self.is_open and len(self._flying) < IN_FLIGHT_MAX

    @property
    def last_arrival(self) -> float:
        """Return when the last of what was sent arrives."""
        return max(self._arrives_at, self._network.time.now)

    def send(self, frame: Any, *, is_numbered: bool = False) -> None:
        """Send a frame, wherever it may end."""
        if not self.is_open:
            return
        network = self._network
        faults, draw = network.faults, network.rng.random
        echo, self._echo = self._echo, None
        held, self._held = self._held, None
        if held is not None and not is_numbered:
            self._put(held)
        if is_numbered and faults.loss_share and draw() < faults.loss_share:
            self._held = frame
            network.time.after(faults.delay + faults.jitter, partial(self._let_go, frame))
        else:
            self._put(frame)
        if echo is not None:
            self._put(echo)
        if is_numbered and faults.double_share and draw() < faults.double_share:
            if draw() < 0.5:
                self._put(frame)
            else:
                self._echo = frame
        if faults.cut_share and draw() < faults.cut_share:
            network.time.after(draw() * (faults.delay + faults.jitter), self.cut)

    def _put(self, frame: Any) -> None:
        cell = [frame]
        self._flying.append(cell)
        if self.is_cut:
            return  # it fills a buffer, and that is all
        network = self._network
        faults, draw, time = network.faults, network.rng.random, network.time
        delay = faults.delay + draw() * faults.jitter
        if faults.stall_share and draw() < faults.stall_share:
            delay += draw() * faults.stall_seconds
        self._arrives_at = max(self._arrives_at, time.now + delay)
        time.at(self._arrives_at, partial(self._arrive, cell))

    def _let_go(self, frame: Any) -> None:
        """Send what was to be lost if nothing has come behind it that shows the gap."""
        if self._held is frame:
            self._held = None
            self._put(frame)

    def _arrive(self, cell: list[Any]) -> None:
        if not cell:
            return
        had_room = self.can_send
        first = self._flying.popleft()
        assert first is cell, "frames keep their order"
        other = self.other
        if other.is_open:
            other.peer.heard(cell[0])
        if not had_room and self.can_send:
            self.peer.writable()

    def cut(self) -> None:
        """Break the connection, unless the network is perfect by now."""
        network = self._network
        if self.is_cut or network.faults is PERFECT:
            return
        network.cuts += 1
        faults, draw = network.faults, network.rng.random
        wires = (self, self.other)
        for wire in wires:
            wire._lose(network.rng.randrange(len(wire._flying) + 1))
        late = draw() < faults.half_open_share
        for wire in wires if draw() < 0.5 else wires[::-1]:
            moment = wire.other.last_arrival + faults.delay
            if late:
                moment += draw() * faults.half_open_seconds
                late = False
            network.time.at(moment, wire.end)

    def _lose(self, kept: int) -> None:
        """Let only the first `kept` of what is in flight arrive, and nothing after."""
        self.is_cut = True
        for index, cell in enumerate(self._flying):
            if index >= kept:
                cell.clear()

    def end(self) -> None:
        """Let this side hear that the connection is over."""
        if self.is_open:
            self.is_open = False
            self.peer.lost()

    def kill(self) -> None:
        """Die with the process at this side: the other one hears of it soon, and gets the rest."""
        self.is_open = False
        if not self.is_cut:
            network = self._network
            self._lose(network.rng.randrange(len(self._flying) + 1))
            self.other._lose(0)
            network.time.at(self.last_arrival + network.faults.delay, self.other.end)

    def close(self) -> None:
        """Leave; the other side hears of it after all that was sent."""
        if self.is_open:
            self.is_open = False
            if not self.is_cut:
                network = self._network
                network.time.at(self.last_arrival + network.faults.delay, self.other.end)


class FaultyNetwork:
    """Every connection there is."""

    def __init__(self, rng: random.Random, faults: Faults, time: VirtualTime) -> None:
        """Draw what happens from `rng`; let it happen in `time`."""
        self.rng = rng
        self.faults = faults
        self.time = time
        self.cuts = 0
        """How many connections were cut."""

    def __repr__(self) -> str:
        """Tell the state in words."""
        state = "perfect" if self.faults is PERFECT else "faulty"
        return f"<FaultyNetwork: {state}, {self.cuts} cuts so far>"

    def connect(self, peer: Peer, accept: Callable[[Wire], Peer | None]) -> Wire:
        """Return the wire of `peer`; whoever is on the other side is what `accept` returns.

        None refuses the connection, as the network itself may.
        """
        here, there = Wire(self, peer), Wire(self, _Nobody())
        here.other, there.other = there, here
        if self.faults.refusal_share and self.rng.random() < self.faults.refusal_share:
            here.is_cut = there.is_cut = True
            self.time.after(self.faults.delay, here.end)
            return here

        def arrive() -> None:
            accepted = accept(there) if here.is_open else None
            if accepted is None:
                there.close()
            else:
                there.peer = accepted

        self.time.after(0.0, arrive)
        return here

    def heal(self) -> None:
        """Be perfect from now on; what is broken stays so until both sides have noticed."""
        self.faults = PERFECT
