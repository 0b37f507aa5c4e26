"""One simulation: agents, a gateway, and a network between them, all drawn from a seed.

First comes the weather: connections break, stall and repeat, agents fall asleep and start anew,
the gateway is killed, the disk is slow. The ledger checks every step. Then all heals, and from
there on nothing may be missing: within `PATIENCE` seconds every message that is owed has arrived or
failed because its time was over, everybody knows what became of what it sent, and nobody owes
anything.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from gateway.outbox import Outbox
from llmx.v1.envelope_pb2 import Envelope
from tests.simulation.agent_side import AgentSide, Manner
from tests.simulation.gateway_side import TENANT, GatewaySide, Limits
from tests.simulation.ledger import Ledger, Letter, Violation
from tests.simulation.virtual_disk import DiskFaults, VirtualDisk
from tests.support.faulty_network import Faults, FaultyNetwork, Peer, Wire
from tests.support.virtual_time import VirtualTime

WEATHER_SECONDS = 4.0
PATIENCE = 30.0
"""Seconds after the weather within which all that is owed is delivered."""
LONG = 1000.0
"""A time to live that must not end before."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one simulation has seen."""

    seed: int
    letters: int
    settled: int
    cuts: int
    seconds: float
    """Of virtual time."""


class Broken(AssertionError):
    """A simulation failed; says with which seed, and what happened last."""

    def __init__(self, seed: int, error: Exception, trace: str) -> None:
        self.seed = seed
        self.error = error
        super().__init__(f"seed {seed}: {error!r}\n{trace}\nseed {seed}: {error}")


@contextmanager
def silent_logs() -> Iterator[None]:
    """Let the gateway's parts say nothing: there are thousands of lives of it."""
    configured = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**configured)


class Play:
    """What one seed draws."""

    def __init__(self, seed: int) -> None:
        """Draw everything that is drawn beforehand."""
        self.seed = seed
        rng = self._rng = random.Random(seed)
        self._ledger = Ledger()
        self._time = VirtualTime()
        self._network = FaultyNetwork(rng, _faults(rng), self._time)
        self._limits = _limits(rng)
        disk_faults = DiskFaults(
            stall_share=rng.choice((0.0, 0.2)), refusal_share=rng.choice((0.0, 0.0, 0.1))
        )
        self._disk = VirtualDisk(self._time, rng, disk_faults, self._ledger)
        self._untold: set[str] = set()
        names = ("alice", "bob", "carol", "dave")[: rng.choice((2, 3, 3, 4))]
        self._manners = {name: _manner(rng) for name in names}
        self._agents = {name: self._agent(name) for name in names}
        for agent in self._agents.values():
            self._ledger.reader(agent.agent_id)
        self._gateway = self._new_gateway()
        self._numbers: dict[tuple[str, str, str], int] = {}
        self._sent = 0
        self._plan()

    def _agent(self, name: str) -> AgentSide:
        return AgentSide(
            f"agent://{name}",
            self._manners[name],
            self._network,
            self._rng,
            self._ledger,
            self._accept,
        )

    def _new_gateway(self) -> GatewaySide:
        return GatewaySide(
            self._time, self._rng, self._limits, self._disk, self._ledger, self._untold
        )

    def _accept(self, wire: Wire) -> Peer | None:
        return self._gateway.accept(wire)

    # ------------------------------------------------------------------ the plan

    def _plan(self) -> None:
        rng, after = self._rng, self._time.after
        for agent in self._agents.values():
            after(rng.random() * 0.1, agent.open)
        kind = rng.choice(((0.0, 0.0), (0.3, 0.0), (0.3, 0.3), (1.0, 0.2)))
        durable_share, once_share = kind
        for _ in range(rng.choice((5, 10, 20))):
            self._plan_burst(rng.random() * WEATHER_SECONDS, durable_share, once_share)
        for name in self._agents:
            if rng.random() < 0.25:
                after(rng.random() * WEATHER_SECONDS, partial(self._start_anew, name))
            if rng.random() < 0.4:
                seconds = rng.choice((0.5, 2.0, 5.0)) * rng.random()
                doze = partial(self._doze, name, seconds, says_so=rng.random() < 0.5)
                after(rng.random() * WEATHER_SECONDS, doze)
        if rng.random() < 0.3:
            for _ in range(rng.choice((1, 1, 2))):
                after(rng.random() * WEATHER_SECONDS, self._restart)

    def _plan_burst(self, when: float, durable_share: float, once_share: float) -> None:
        rng = self._rng
        sender, recipient = rng.choice(list(self._agents)), rng.choice(list(self._agents))
        conversation = rng.choice(("", "n1", "n2"))

        def send() -> None:
            for _ in range(rng.choice((1, 1, 1, 2, 5))):
                self._send(
                    sender,
                    recipient,
                    conversation,
                    repeats=rng.random() >= once_share,
                    durable=rng.random() < durable_share,
                )

        self._time.after(when, send)

    def _send(
        self, sender: str, recipient: str, conversation: str, *, repeats: bool, durable: bool
    ) -> None:
        rng = self._rng
        key = (sender, recipient, conversation)
        number = self._numbers[key] = self._numbers.get(key, 0) + 1
        self._sent += 1
        msg_id = f"m{self._sent}"
        agent = self._agents[sender]
        letter = Letter(
            msg_id=msg_id,
            sender=agent.agent_id,
            recipient=f"agent://{recipient}",
            conversation=conversation,
            number=number,
            repeats=repeats,
            ttl=rng.choice((0.5, 2.0, LONG, LONG, LONG)),
            durable=durable and repeats,
            receipt=rng.random() < 0.3,
            size=rng.choice((10, 10, 40)),
            envelope=Envelope(msg_id=msg_id, sender=agent.agent_id, negotiation_id=conversation),
        )
        agent.post(letter)

    def _doze(self, name: str, seconds: float, *, says_so: bool) -> None:
        self._agents[name].doze(seconds, says_so=says_so)

    def _start_anew(self, name: str) -> None:
        old = self._agents[name]
        old.die()
        self._ledger.began_life(old.agent_id)
        agent = self._agents[name] = self._agent(name)
        self._time.after(self._rng.random() * 0.5, agent.open)

    def _restart(self) -> None:
        self._gateway.die()
        self._ledger.restarted(self._disk.msg_ids)
        self._time.after(self._rng.random() * 0.5, self._begin_life)

    def _begin_life(self) -> None:
        if self._gateway.is_dead:
            self._gateway = self._new_gateway()

    # ------------------------------------------------------------------ the run

    def run(self) -> Outcome:
        """Play it to its end. Raises Broken."""
        try:
            self._run_until(WEATHER_SECONDS)
            self._heal()
            quiet = 0
            while quiet < 2:  # what is on its way when all look quiet for the first time arrives
                if self._time.now > WEATHER_SECONDS + PATIENCE:
                    raise Violation(f"not all is quiet: {self._unrest()}")
                self._run_until(self._time.now + 0.25)
                quiet = quiet + 1 if self._is_quiet() else 0
            self._ledger.check_end(WEATHER_SECONDS, PATIENCE, self._untold)
        except Exception as error:
            raise Broken(self.seed, error, self._ledger.trace()) from error
        ledger = self._ledger
        return Outcome(
            self.seed, len(ledger.letters), ledger.settled, self._network.cuts, self._time.now
        )

    def _run_until(self, moment: float) -> None:
        time, ledger = self._time, self._ledger
        while time.next_due <= moment:
            ledger.now = time.next_due
            time.step()
        time.run_until(moment)

    def _heal(self) -> None:
        self._ledger.note("the weather is over")
        self._network.heal()
        self._disk.faults = DiskFaults()

    def _is_quiet(self) -> bool:
        return (
            not self._gateway.is_dead
            and self._gateway.is_quiet
            and all(agent.is_quiet for agent in self._agents.values())
        )

    def _unrest(self) -> str:
        """Say who still owes what."""
        outboxes: list[Outbox] = [
            member.outbox for member in self._gateway.members.tenants[TENANT].members.values()
        ]
        agents = [(one.outbox, one.inbox, one.link) for one in self._agents.values()]
        return f"{outboxes} {self._gateway.mailbox} {agents}"


def _faults(rng: random.Random) -> Faults:
    return Faults(
        delay=0.002,
        jitter=rng.choice((0.0, 0.02, 0.1)),
        cut_share=rng.choice((0.0, 0.01, 0.05, 0.1)),
        half_open_share=rng.choice((0.0, 0.3)),
        half_open_seconds=rng.choice((0.5, 5.0)),
        stall_share=rng.choice((0.0, 0.0, 0.03)),
        stall_seconds=rng.choice((0.5, 3.0)),
        double_share=rng.choice((0.0, 0.1, 0.3)),
        loss_share=rng.choice((0.0, 0.0, 0.03)),
        refusal_share=rng.choice((0.0, 0.2)),
    )


def _manner(rng: random.Random) -> Manner:
    slow = rng.random() < 0.3
    return Manner(
        window=rng.choice((0, 0, 1, 2, 5)),
        room=rng.choice((1, 2, 100)) if slow else 100,
        work_seconds=rng.choice((0.05, 0.5)) if slow else rng.choice((0.0, 0.0, 0.02)),
        unconfirmed_max=rng.choice((1, 3, 100)),
        guesses=rng.random() < 0.1,
    )


def _limits(rng: random.Random) -> Limits:
    return Limits(
        outbox_messages_max=rng.choice((6, 20, 100)),
        outbox_bytes_max=rng.choice((300, 10_000)),
        window=rng.choice((1, 3, 8)),
        frame_share=rng.choice((30, 100, 10_000)),
        retry_first=0.3,
        retry_max=1.5,
        grace=rng.choice((0.3, 1.0, 5.0)),
        heartbeat=rng.choice((0.7, 2.0)),
        mailbox_messages_max=rng.choice((5, 50)),
        repeats_per_second=rng.choice((20.0, 1000.0)),
        upkeep_seconds=0.25,
        worker_share=rng.choice((0.0, 0.1)),
        worker_seconds=0.2,
    )
