"""The insides of several gateways that hear each other at once, without a wire.

What one tells another waits in a row until `run`, which lets everything happen that follows.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from federation.regional_topics import RegionalTopics
from gateway.distant_calls import DistantCalls
from gateway.handover import Arrival, Handover
from gateway.headers import Sender
from gateway.inheritance import Inheritance
from gateway.link import Link
from gateway.members import Member
from gateway.peers import Peers
from gateway.presence import Presence
from gateway.remote_members import RemoteMember
from llmx.v1.envelope_pb2 import Envelope
from tests.support.gateway_parts import Parts, Recording

GRACE = 30.0


class FederatedParts(Parts):
    """One gateway of a cluster."""

    def __init__(self, cluster: ClusterParts, gateway_id: str, region: str, **given: Any) -> None:
        super().__init__(gateway_id=gateway_id, **given)
        self.region = region
        self.peers = Peers(
            self.members,
            self.router,
            self.negotiations,
            self.metrics,
            100,
            1 << 20,
            lambda: self.now,
            cluster.soon.append,
        )
        self.peers.send = lambda to, message: cluster.send(gateway_id, to, message)
        self.handover = Handover(
            self.members, self.peers, self.absences, self.mailbox, lambda: self.now
        )
        self.presence = Presence(
            self.members,
            self.peers,
            self.handover,
            self.negotiations,
            gateway_id,
            region,
            cluster.regional,
            GRACE,
            lambda: self.now,
            cluster.soon.append,
        )
        self.inheritance = Inheritance(
            self.members,
            self.peers,
            self.negotiations,
            lambda: cluster.gateways.keys() - {gateway_id},
            lambda: self.now,
        )
        self.distant_calls = DistantCalls(
            self.members,
            self.peers,
            self.negotiations,
            self.metrics,
            GRACE,
            lambda: self.now,
            cluster.soon.append,
        )
        self.presence.on_moved = self.distant_calls.moved
        self.inheritance.on_inherited = self.distant_calls.inherited
        self.admission.elsewhere = self.inheritance.send

    def arrive(self, name: str, *topics: str, capabilities: Sequence[str] = ()) -> Member:
        """Let an agent connect, with its topics, and tell the cluster."""
        member = self.join(name)
        member.tenant.listen(member, topics)
        member.capabilities = frozenset(capabilities)
        self.members.arrive(member)
        self.members.changed(member)
        return member

    def arrive_again(self, name: str) -> Member:
        """Let an agent connect whose home was another gateway that is dead."""
        arrival = asyncio.run(self.handover.fetch("acme", f"agent://{name}", "", 0))
        assert arrival is not None, "it was known here"
        return self.settle(arrival)

    def settle(self, arrival: Arrival) -> Member:
        """Give an agent that came from elsewhere a stream."""
        member = arrival.member
        member.link = arrival.link or Link("token")
        member.stream = Recording(member.link)
        self.members.arrive(member)
        self.members.changed(member)
        return member

    def remote(self, name: str) -> RemoteMember:
        """Return an agent of another gateway as this one knows it."""
        known = self.members.tenants["acme"].everyone[f"agent://{name}"]
        assert isinstance(known, RemoteMember)
        return known


class ClusterParts:
    """Several gateways."""

    def __init__(self, *names: str, regional: Sequence[str] = (), **given: Any) -> None:
        """Make gateways; "a@eu" is the gateway a of the region eu."""
        self.regional = RegionalTopics(regional)
        self.soon: list[Callable[[], None]] = []
        self._ways: dict[tuple[str, str], deque[bytes]] = defaultdict(deque)
        self.cut: set[tuple[str, str]] = set()
        """Ways on which nothing arrives."""
        self.gateways: dict[str, FederatedParts] = {}
        for name in names:
            gateway_id, _, region = name.partition("@")
            self.gateways[gateway_id] = FederatedParts(self, gateway_id, region or "local", **given)
        for gateway_id, gateway in self.gateways.items():
            for other_id, other in self.gateways.items():
                if other_id != gateway_id:
                    gateway.presence.begun(other_id, other.region)
        self.run()

    def __getitem__(self, gateway_id: str) -> FederatedParts:
        """Return a gateway."""
        return self.gateways[gateway_id]

    def send(self, sender: str, receiver: str, message: bytes) -> bool:
        """Queue what a gateway tells another; False when that one is not there."""
        if receiver not in self.gateways:
            return False
        self._ways[sender, receiver].append(message)
        return True

    def run(self) -> None:
        """Let everything happen that follows from what has happened, in all gateways."""
        is_busy = True
        while is_busy:
            is_busy = False
            for gateway in self.gateways.values():
                gateway.run()
            while self.soon:
                is_busy = True
                what, self.soon[:] = list(self.soon), []
                for one in what:
                    one()
            for sender, receiver in list(self._ways):
                is_busy |= self.carry(sender, receiver)

    def carry(self, sender: str, receiver: str) -> bool:
        """Let what a gateway has told another arrive there; tells whether there was anything."""
        way, has_carried = self._ways[sender, receiver], False
        while way and (sender, receiver) not in self.cut and receiver in self.gateways:
            has_carried = True
            waiting = self.gateways[receiver].peers.hear(sender, [way.popleft()])
            if waiting is not None:
                _finished(waiting)
        return has_carried

    def lost(self, sender: str, receiver: str) -> list[bytes]:
        """Take away and return what is on its way from one gateway to another."""
        return list(self._ways.pop((sender, receiver), ()))

    def kill(self, gateway_id: str) -> None:
        """End a gateway at once; the others are told."""
        del self.gateways[gateway_id]
        for way in [way for way in self._ways if gateway_id in way]:
            del self._ways[way]
        for other in self.gateways.values():
            other.presence.ended(gateway_id)
            other.distant_calls.ended(gateway_id)
        self.run()

    def admit(self, gateway_id: str, member: Member, envelope: Envelope) -> None:
        """Let an agent send, and let everything happen that follows."""
        waiting = self.gateways[gateway_id].admission.admit(
            Sender(member), envelope.SerializeToString()
        )
        assert waiting is None, "nothing here has to be waited for"
        self.run()

    def acknowledge(self, gateway_id: str, member: Member, *msg_ids: str) -> None:
        """Let an agent acknowledge messages."""
        gateway = self.gateways[gateway_id]
        member.outbox.confirm(msg_ids, gateway.now)
        gateway.router.delivered(member)
        self.run()

    def advance(self, seconds: float) -> None:
        """Let time pass everywhere, and everybody look after what is due."""
        for gateway in self.gateways.values():
            gateway.now += seconds
            for owing in list(gateway.members.owing.values()):
                over = owing.outbox.expire(gateway.now)
                gateway.router.undelivered(owing, over, "expired")
            gateway.presence.look()
            gateway.distant_calls.look()
        self.run()


def _finished(waiting: Awaitable[None]) -> None:
    """Run what has nothing to wait for here to its end."""
    steps = waiting.__await__()
    with suppress(StopIteration):
        next(steps)
        raise AssertionError("it waits for something")
