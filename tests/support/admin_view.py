"""Admin services without gateways behind them: what they know is what a test gave them.

`FakeView` is a small real AdminView; `served` puts one behind a grpc server of its own, with
tokens checked as a gateway checks them.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc

from gateway.admin import AdminService
from gateway.auth import Authenticator, AuthFault, Identity
from gateway.server import ADMIN
from gateway.session import Context
from llmx.v1.agent_pb2 import Agent
from llmx.v1.cluster_pb2 import (
    Cluster,
    ClusterLink,
    ClusterMember,
    DiscoveryState,
    Drain,
    DrainState,
    LinkCondition,
    LocatedAgent,
    NegotiationDetail,
    NegotiationSummary,
    Reach,
)
from llmx.v1.negotiation_pb2 import NegotiationState
from tests.support.certificates import Signed

MOVING, DRAINED = DrainState.DRAIN_STATE_MOVING, DrainState.DRAIN_STATE_DRAINED
ABORTED = DrainState.DRAIN_STATE_ABORTED


@dataclass
class FakeView:
    """What one gateway knows. With `others`, by id and address, it is one of a cluster."""

    gateway_id: str = "eu"
    others: Mapping[str, str] = field(default_factory=dict)
    located: Mapping[str, list[LocatedAgent]] = field(default_factory=dict)
    """Agents by tenant."""
    details: Mapping[str, list[NegotiationDetail]] = field(default_factory=dict)
    """Negotiations by tenant."""
    steps: int = 2
    """After so many looks a drain is over."""
    asked: tuple[float, float] | None = None
    """The rate and the deadline of the drain that was begun last."""
    progress: Drain | None = None

    def cluster(self) -> Cluster:
        """See AdminView."""
        alone, found = DiscoveryState.DISCOVERY_STATE_ALONE, DiscoveryState.DISCOVERY_STATE_REACHED
        if not self.others:
            return Cluster(gateway_id=self.gateway_id, discovery=alone)
        told = Cluster(name="llmx", gateway_id=self.gateway_id, discovery=found)
        told.endpoint = "127.0.0.1:2379"
        told.since.FromSeconds(int(time.time()) - 12)
        return told

    def members(self) -> Iterable[ClusterMember]:
        """See AdminView."""
        yield self._member(self.gateway_id, "10.0.0.1:7600", Reach.REACH_SELF)
        for other, address in self.others.items():
            yield self._member(other, address, Reach.REACH_LINKED)

    def _member(self, gateway_id: str, address: str, reach: Reach) -> ClusterMember:
        member = ClusterMember(gateway_id=gateway_id, region=gateway_id.split("-", 1)[0])
        member.agents_address, member.reach, member.load = address, reach, 0.25
        member.epoch, member.version = 7, "0.1.0"
        member.started_at.FromSeconds(int(time.time()) - 300)
        return member

    def links(self) -> Iterable[ClusterLink]:
        """See AdminView."""
        for other in self.others:
            link = ClusterLink(gateway_id=self.gateway_id, peer_id=other, peer_region=other)
            link.condition, link.sent = LinkCondition.LINK_CONDITION_OPEN, 2**40
            link.round_trip.FromMicroseconds(1_500)
            yield link

    def agents(
        self, tenant: str, limit: int, after: str = "", gateway_id: str = ""
    ) -> Iterable[LocatedAgent]:
        """See AdminView."""
        found = [one for one in self.located.get(tenant, ()) if one.agent.agent_id > after]
        at = [one for one in found if gateway_id in ("", one.gateway_id)]
        return sorted(at, key=lambda one: one.agent.agent_id)[:limit]

    def negotiations(
        self, tenant: str, limit: int, after: str = ""
    ) -> Iterable[NegotiationSummary]:
        """See AdminView."""
        found = [detail.summary for detail in self.details.get(tenant, ())]
        behind = [summary for summary in found if summary.negotiation_id > after]
        return sorted(behind, key=lambda summary: summary.negotiation_id)[:limit]

    def show(self, tenant: str, negotiation_id: str) -> NegotiationDetail | None:
        """See AdminView."""
        found = {detail.summary.negotiation_id: detail for detail in self.details.get(tenant, ())}
        return found.get(negotiation_id)

    def drain(self, rate: float, deadline: float) -> None:
        """See AdminView."""
        self.asked = (rate, deadline)
        self.progress = Drain(gateway_id=self.gateway_id, state=MOVING, agents_left=self.steps)
        self.progress.agents_per_second = rate

    def abort_drain(self) -> bool:
        """See AdminView."""
        if self.progress is None:
            return False
        self.progress.state = ABORTED
        return True

    def drained(self) -> Drain | None:
        """See AdminView. Every look finds that one more agent has moved."""
        if self.progress is None:
            return None
        told = Drain()
        told.CopyFrom(self.progress)
        if self.progress.state == MOVING:
            if self.progress.agents_left:
                self.progress.agents_left -= 1
                self.progress.agents_moved += 1
            else:
                told.state = self.progress.state = DRAINED
        return told


def located(name: str, gateway_id: str, *topics: str) -> LocatedAgent:
    """Return an agent that is connected to a gateway."""
    agent = Agent(agent_id=f"agent://{name}", topics=topics, connected=True)
    return LocatedAgent(agent=agent, gateway_id=gateway_id, region=gateway_id)


def detail(negotiation_id: str, gateway_id: str) -> NegotiationDetail:
    """Return a negotiation that was opened a moment ago."""
    told = NegotiationDetail()
    told.summary.negotiation_id, told.summary.gateway_id = negotiation_id, gateway_id
    told.summary.initiator, told.summary.policy = "agent://alice", "flow/high@1"
    told.summary.state = NegotiationState.NEGOTIATION_STATE_OPEN
    told.summary.eligible = told.summary.answered = 1
    told.summary.opened_at.FromSeconds(int(time.time()))
    return told


def checked_by(secret: bytes) -> Callable[[Context], Awaitable[Identity]]:
    """Return what takes development tokens that were signed with a secret, as a gateway does."""
    authenticator = Authenticator(audience="llmx", issuer="llmx", development_secret=secret)

    async def authenticate(context: Context) -> Identity:
        metadata = dict(context.invocation_metadata() or ())
        token = str(metadata.get("authorization", "")).removeprefix("Bearer ")
        identity = await authenticator.verify(token, time.time())
        if isinstance(identity, AuthFault):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, identity.reason)
            raise AssertionError("abort raises")
        return identity

    return authenticate


@asynccontextmanager
async def served(
    view: FakeView, secret: bytes, certificate: Signed | None = None
) -> AsyncIterator[str]:
    """Serve a view, behind TLS with a certificate; yields the address."""
    server = grpc.aio.server()
    service = AdminService(checked_by(secret), view)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(ADMIN, service.handlers()),)
    )
    if certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = (certificate.key, certificate.certificate)
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
