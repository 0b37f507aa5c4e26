"""One simulation of gateways that peer, all drawn from a seed.

First the weather: connections break, stall, lose and repeat; pairs of gateways cannot reach each
other while others can; gateways die and start anew, register anew, and are forgotten by some for
a while. Then all heals, except that in some plays two gateways never reach each other. Within
`PATIENCE` seconds everything that was sent has arrived or was handed back, and is confirmed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial

from federation.link import LinkLimits
from federation.peer_states import PeerAddress, PeeringLimits
from tests.simulation.peer_gateway import Diary, PeerGateway, Violation
from tests.support.faulty_network import Faults, FaultyNetwork
from tests.support.virtual_time import VirtualTime

WEATHER_SECONDS = 4.0
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class PeerOutcome:
    """What one simulation has seen."""

    sent: int
    handled: int
    handed_back: int
    relayed: int
    cuts: int
    seconds: float
    """Of virtual time."""


class BrokenLinks(AssertionError):
    """A simulation failed; says with which seed, and what happened last."""

    def __init__(self, seed: int, error: Exception, trace: list[str]) -> None:
        self.seed = seed
        super().__init__("\n".join([f"seed {seed}: {error!r}", *trace, f"seed {seed}: {error}"]))


class PeerPlay:
    """What one seed draws."""

    def __init__(self, seed: int) -> None:
        """Draw everything that is drawn beforehand."""
        self._seed = seed
        rng = self._rng = random.Random(seed)
        self._time = VirtualTime(1.0)
        self._network = FaultyNetwork(rng, _faults(rng), self._time)
        self._diary = Diary()
        self._limits = PeeringLimits(
            link=LinkLimits(
                messages_max=rng.choice((5, 1_000)),
                bytes_max=rng.choice((200, 100_000)),
                frame_messages_max=rng.choice((1, 3, 100)),
                frame_bytes_max=rng.choice((50, 10_000)),
            ),
            heartbeat_seconds=0.5,
            relay_after_seconds=rng.choice((0.0, 0.3, 1.0)),
        )
        self._slow_share = rng.choice((0.0, 0.0, 0.2))
        self._knows_epochs = rng.random() < 0.8
        self._epochs = 0
        self._cut_off: set[frozenset[str]] = set()
        self._names = ("a", "b", "c", "d")[: rng.choice((2, 3, 3, 4))]
        self._for_good = (
            {frozenset(rng.sample(self._names, 2))}
            if len(self._names) > 2 and rng.random() < 0.3
            else set()
        )
        self._gateways: dict[str, PeerGateway] = {}
        self._relayed = 0
        self._is_over = False
        for name in self._names:
            self._begin_life(name)
        self._plan()

    def _begin_life(self, name: str) -> None:
        self._gateways[name] = PeerGateway(
            name,
            self._next_epoch(),
            self._limits,
            self._time,
            self._network,
            self._rng,
            self._diary,
            self._gateways,
            lambda one, other: frozenset((one, other)) in self._cut_off | self._for_good,
            self._slow_share,
        )
        self._tell_all()

    def _next_epoch(self) -> int:
        self._epochs += 1
        return self._epochs

    # ------------------------------------------------------------------ the plan

    def _plan(self) -> None:
        rng, at = self._rng, self._time.after
        for _ in range(rng.choice((10, 20, 40))):
            at(rng.random() * WEATHER_SECONDS, self._send_some)
        for _ in range(rng.choice((0, 1, 3))):
            at(rng.random() * WEATHER_SECONDS, self._cut_pair_off)
        for _ in range(rng.choice((0, 0, 1, 2))):
            at(rng.random() * WEATHER_SECONDS, self._restart)
        for _ in range(rng.choice((0, 0, 1, 2))):
            at(rng.random() * WEATHER_SECONDS, self._register_anew)
        for _ in range(rng.choice((0, 0, 1, 3))):
            at(rng.random() * WEATHER_SECONDS, self._forget)

    def _send_some(self) -> None:
        rng = self._rng
        sender, receiver = rng.sample(self._names, 2)
        for _ in range(rng.choice((1, 1, 2, 10))):
            if not self._gateways[sender].is_dead:
                self._gateways[sender].send(receiver)

    def _cut_pair_off(self) -> None:
        rng = self._rng
        one, other = sorted(rng.sample(self._names, 2))
        pair = frozenset((one, other))
        self._cut_off.add(pair)
        line = self._gateways[one].lines.get(other)
        if line is not None and line.wire is not None:
            line.wire.cut()
        self._time.after(rng.random() * 3.0, partial(self._cut_off.discard, pair))

    def _restart(self) -> None:
        name = self._rng.choice(self._names)
        if not self._gateways[name].is_dead:
            self._gateways[name].die()
            self._time.after(self._rng.random(), partial(self._begin_anew, name))

    def _begin_anew(self, name: str) -> None:
        if self._gateways[name].is_dead:
            self._begin_life(name)

    def _register_anew(self) -> None:
        gateway = self._gateways[self._rng.choice(self._names)]
        if not gateway.is_dead:
            gateway.begin_epoch(self._next_epoch())
            self._tell_all()

    def _forget(self) -> None:
        """Let one gateway believe for a while that another one has left."""
        one, other = self._rng.sample(self._names, 2)
        gateway = self._gateways[one]
        if not gateway.is_dead:
            gateway.know({name: gateway.members[name] for name in gateway.members if name != other})
            self._time.after(self._rng.random(), self._tell_all)

    def _tell_all(self) -> None:
        """Tell everybody of everybody, each when the news reaches it."""
        for name in self._names:
            delay = 0.0 if self._is_over else self._rng.choice((0.0, 0.05, 0.5))
            self._time.after(delay, partial(self._tell, name, self._epochs, self._members()))

    def _tell(self, name: str, revision: int, members: dict[str, PeerAddress]) -> None:
        """Tell one, unless it has heard something newer."""
        gateway = self._gateways.get(name)
        if gateway is not None and not gateway.is_dead and revision >= gateway.revision:
            gateway.revision = revision
            gateway.know(members)

    def _members(self) -> dict[str, PeerAddress]:
        return {
            name: PeerAddress("", gateway.mesh.own.epoch if self._knows_epochs else 0, "")
            for name, gateway in self._gateways.items()
        }

    # ------------------------------------------------------------------ the run

    def run(self) -> PeerOutcome:
        """Play it to its end. Raises BrokenLinks."""
        diary = self._diary
        try:
            self._time.run_until(1.0 + WEATHER_SECONDS)
            self._heal()
            while not all(one.is_quiet for one in self._gateways.values()):
                if self._time.now > 1.0 + WEATHER_SECONDS + PATIENCE:
                    unrest = "; ".join(one.unrest() for one in self._gateways.values())
                    raise Violation(f"not all is quiet: {unrest}")
                self._time.run_until(self._time.now + 0.25)
            self._time.run_until(self._time.now + 2.0)  # what is still under way arrives
            if diary.missing():
                raise Violation(f"lost: {diary.missing()}")
        except Exception as error:
            raise BrokenLinks(self._seed, error, list(diary.trace)) from error
        return PeerOutcome(
            len(diary.sent),
            len(diary.handled),
            len(diary.handed_back),
            sum(one.mesh.counts["relayed"] for one in self._gateways.values()),
            self._network.cuts,
            self._time.now,
        )

    def _heal(self) -> None:
        self._is_over = True
        self._diary.trace.append("the weather is over")
        self._network.heal()
        self._cut_off.clear()
        for name in self._names:
            self._begin_anew(name)
        self._time.after(0.6, self._tell_all)  # after all older news


def _faults(rng: random.Random) -> Faults:
    return Faults(
        delay=0.002,
        jitter=rng.choice((0.0, 0.02, 0.1)),
        cut_share=rng.choice((0.0, 0.01, 0.05)),
        half_open_share=rng.choice((0.0, 0.3)),
        half_open_seconds=rng.choice((0.5, 3.0)),
        stall_share=rng.choice((0.0, 0.0, 0.03)),
        stall_seconds=rng.choice((0.5, 2.0)),
        double_share=rng.choice((0.0, 0.1, 0.3)),
        loss_share=rng.choice((0.0, 0.0, 0.05)),
        refusal_share=rng.choice((0.0, 0.2)),
    )
