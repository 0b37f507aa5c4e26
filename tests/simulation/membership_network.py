"""What the gateways of a simulated cluster have around them: etcd, watches, heartbeats, delays.

A question may reach etcd though its answer gets lost, and late; a watch tells everything in order,
some of it late, and goes on where it broke; between gateways there is order, a lag, and sometimes a
stall. Who is cut off is for the weather to say (`membership_world`).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from functools import partial

from tests.simulation.membership_side import CLUSTER, Side
from tests.support.etcd_store import EtcdStore
from tests.support.virtual_time import VirtualTime

GATEWAYS = f"{CLUSTER}/gateways/"


class Network:
    """Everything between the processes."""

    def __init__(self, rng: random.Random) -> None:
        """Draw the manner of the network."""
        self._rng = rng
        self._draw = rng.random
        self._time = VirtualTime(100.0)
        self._trace: deque[tuple[object, ...]] = deque(maxlen=120)
        self.store = EtcdStore()
        self.living: dict[str, Side] = {}
        self._told_revision = 1
        self._etcd_up = True
        self._etcd_cut: dict[str, str] = {}  # which way is cut: "both", "to", "from"
        self._cut: set[tuple[str, str]] = set()
        self._arrivals: dict[tuple[int, str], float] = {}
        self._watch_arrivals: dict[int, float] = {}
        self._watched: dict[int, int] = {}
        self._is_stormy = True
        self._slow_share = rng.choice((0.0, 0.02, 0.1))
        self._late_share = rng.choice((0.0, 0.05, 0.3))
        self._stall_share = rng.choice((0.0, 0.02))
        self._lag = rng.choice((0.0, 0.3, 0.9, 0.9))
        self._compacts = rng.choice((False, True))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something later."""
        self._time.after(seconds, action)

    def moment(self) -> float:
        """Return the time that no clock shows."""
        return self._time.now

    def ask(
        self,
        side: Side,
        serve: Callable[[EtcdStore, float], object],
        answer: Callable[[object], None],
        seconds: float,
    ) -> None:
        """Ask etcd; a question may arrive though its answer does not, and late."""
        give_up = self._time.now + seconds

        def arrive() -> None:
            if not self._reaches(side.gateway_id, "to"):
                self._time.at(max(give_up, self._time.now), partial(side.do, partial(answer, None)))
                return
            self.store.expire(self._time.now)
            served = serve(self.store, self._time.now)
            self._tell_watchers()
            back = self._time.now + self._delay()
            is_lost = not self._reaches(side.gateway_id, "from") or back > give_up
            said = None if is_lost else served
            self._time.at(
                max(give_up, self._time.now) if is_lost else back,
                partial(side.do, partial(answer, said)),
            )

        self._time.after(self._delay(), arrive)

    def subscribe(self, side: Side, revision: int) -> bool:
        """Begin a watch after a revision, or with all there is."""
        if not (self._reaches(side.gateway_id, "to") and self._reaches(side.gateway_id, "from")):
            return False
        self.store.expire(self._time.now)
        self._tell_watchers()
        self._watch_arrivals[side.number] = self._time.now
        self._watched[side.number] = self.store.revision
        if not revision or (self._compacts and self._draw() < 0.3):
            pairs, now = self.store.under(GATEWAYS), self.store.revision
            self._bring(side, lambda: side.begin_anew(pairs, now))
        else:
            changes = self.store.changes(GATEWAYS, revision)
            if changes:
                self._bring(side, lambda: side.hear(changes, changes[-1].revision))
        return True

    def _tell_watchers(self) -> None:
        """Send to every watch what has changed since it was told."""
        revision = self.store.revision
        if revision == self._told_revision:
            return
        self._told_revision = revision
        for side in self.living.values():
            if side.is_watching:
                changes = self.store.changes(GATEWAYS, self._watched[side.number])
                self._watched[side.number] = revision
                if changes:
                    self._bring(side, partial(side.hear, changes, changes[-1].revision))

    def _bring(self, side: Side, what: Callable[[], None]) -> None:
        """Bring what a watch says, behind what it said before; a stream that breaks is noticed."""
        watch = side.watch
        arrives = max(self._watch_arrivals[side.number], self._time.now + self._delay())
        if self._draw() < self._late_share:
            arrives += 2.0 * self._draw()
        self._watch_arrivals[side.number] = arrives

        def hear() -> None:
            if side.watch == watch and side.is_watching:
                what()

        def arrive() -> None:
            if side.watch != watch:
                return
            if self._reaches(side.gateway_id, "from"):
                side.do(hear)
            else:
                side.is_watching = False

        self._time.at(arrives, arrive)

    def tell(self, side: Side, gateway_id: str, what: Callable[[Side], None]) -> None:
        """Bring something to whoever is that gateway now, in order; nothing passes a cut."""
        hearer = self.living.get(gateway_id)
        if hearer is None or (side.gateway_id, gateway_id) in self._cut:
            return
        arrives = self._time.now + self._lag + 0.001 + 0.02 * self._draw()
        if self._draw() < self._stall_share:
            arrives += 6.0 * self._draw()
        way = side.number, gateway_id
        arrives = max(arrives, self._arrivals.get(way, 0.0))
        self._arrivals[way] = arrives
        self._time.at(arrives, partial(hearer.do, partial(what, hearer)))

    def note(self, *what: object) -> None:
        """Remember for the story, put into words only if somebody will read it."""
        self._trace.append((round(self._time.now, 2), *what))

    def _reaches(self, gateway_id: str, way: str) -> bool:
        return self._etcd_up and self._etcd_cut.get(gateway_id) not in ("both", way)

    def _delay(self) -> float:
        if self._is_stormy and self._draw() < self._slow_share:
            return 1.5 * self._draw()
        return 0.001 + 0.01 * self._draw()

    def _calm(self) -> None:
        """Be perfect from now on."""
        self._is_stormy = False
        self._late_share = self._stall_share = self._lag = 0.0
        self._etcd_cut.clear()
        self._cut.clear()
