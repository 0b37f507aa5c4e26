"""What an operator is shown of a gateway and of the cluster that it is in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nsmallest
from importlib.metadata import version
from itertools import islice

from google.protobuf.timestamp_pb2 import Timestamp

from federation.membership import MemberInfo
from federation.peer_states import LinkState
from gateway.clock import Clock
from gateway.cluster import Cluster
from gateway.draining import Draining
from gateway.durability import Durability
from gateway.members import Members, Recipient, Tenant
from gateway.negotiations import Negotiations
from gateway.registration import agent_of
from gateway.remote_members import RemoteMember
from llmx.v1 import cluster_pb2 as messages
from llmx.v1 import negotiation_pb2
from policy.events import Event
from policy.states import Negotiation, Phase, View
from policy.table import Record

PARTIES_MAX = 10_000
EVENTS_MAX = 1_000

STATE_OF = {
    Phase.OPEN: negotiation_pb2.NEGOTIATION_STATE_OPEN,
    Phase.CLOSED: negotiation_pb2.NEGOTIATION_STATE_CLOSED,
    Phase.SETTLING: negotiation_pb2.NEGOTIATION_STATE_DECIDED,
    Phase.CONFIRMING: negotiation_pb2.NEGOTIATION_STATE_CONFIRMING,
    Phase.COMMITTED: negotiation_pb2.NEGOTIATION_STATE_COMMITTED,
    Phase.DONE: negotiation_pb2.NEGOTIATION_STATE_DONE,
    Phase.FAILED: negotiation_pb2.NEGOTIATION_STATE_FAILED,
    Phase.CANCELLED: negotiation_pb2.NEGOTIATION_STATE_CANCELLED,
    Phase.NO_AWARD: negotiation_pb2.NEGOTIATION_STATE_NO_AWARD,
}
PARTY_STATE_OF = {
    name.removeprefix("PARTY_STATE_").lower(): messages.PartyState.Value(name)
    for name in messages.PartyState.keys()  # noqa: SIM118 - not a dict: it cannot be iterated
}
"""What a protocol says of a party in a word; other words are shown as they are."""
REACH_OF = {
    "open": messages.REACH_LINKED,
    "relayed": messages.REACH_RELAYED,
    "down": messages.REACH_NONE,
}
CONDITION_OF = {
    "open": messages.LINK_CONDITION_OPEN,
    "relayed": messages.LINK_CONDITION_RELAYED,
    "down": messages.LINK_CONDITION_DOWN,
}


class ClusterView:
    """Answers an operator from memory."""

    def __init__(
        self,
        gateway_id: str,
        members: Members,
        negotiations: Negotiations,
        draining: Draining,
        durability: Durability | None,
        now: Clock,
    ) -> None:
        """Show one gateway, which stands alone until it is told its cluster."""
        self._gateway_id = gateway_id
        self._members = members
        self._negotiations = negotiations
        self._draining = draining
        self._durability = durability
        self._now = now
        self.agents_address = ""
        """Where agents connect."""
        self.known_cluster: Cluster | None = None
        self._started_at = now()

    def cluster(self) -> messages.Cluster:
        """Return the cluster, with how this gateway learns of others."""
        told = messages.Cluster(gateway_id=self._gateway_id)
        if self.known_cluster is None:
            told.discovery = messages.DISCOVERY_STATE_ALONE
            told.since.CopyFrom(_moment(self._started_at))
            return told
        told.name, state = self.known_cluster.name, self.known_cluster.discovery.state
        if state is None:
            told.discovery = messages.DISCOVERY_STATE_STATIC
            told.since.CopyFrom(_moment(self.known_cluster.own.started_at))
            return told
        told.discovery = (
            messages.DISCOVERY_STATE_REACHED if state.reachable else messages.DISCOVERY_STATE_LOST
        )
        told.since.CopyFrom(_moment(state.since))
        told.endpoint = state.endpoint
        return told

    def members(self) -> Iterator[messages.ClusterMember]:
        """Return every gateway that is known, the own one first."""
        if self.known_cluster is None:
            alone = messages.ClusterMember(
                gateway_id=self._gateway_id,
                agents_address=self.agents_address,
                version=version("llmx-gateway"),
                reach=messages.REACH_SELF,
            )
            alone.started_at.CopyFrom(_moment(self._started_at))
            yield alone
            return
        yield _member(self.known_cluster.own, messages.REACH_SELF)
        reach = {link.gateway_id: REACH_OF[_word(link)] for link in self.known_cluster.links()}
        for info in self.known_cluster.members.values():
            yield _member(info, reach.get(info.gateway_id, messages.REACH_NONE))

    def links(self) -> Iterator[messages.ClusterLink]:
        """Return the links between this gateway and others."""
        for link in () if self.known_cluster is None else self.known_cluster.links():
            told = messages.ClusterLink(
                gateway_id=self._gateway_id,
                peer_id=link.gateway_id,
                peer_region=link.region,
                condition=CONDITION_OF[_word(link)],
                relay=link.state.removeprefix("relayed by ") if " " in link.state else "",
                queued=link.queued,
                unconfirmed=link.unconfirmed,
                sent=link.sent,
                received=link.received,
                resumed=link.resumed,
            )
            told.since.CopyFrom(_moment(link.since))
            if link.round_trip > 0:
                told.round_trip.FromNanoseconds(int(link.round_trip * 1e9))
            yield told

    def agents(
        self, tenant: str, limit: int, after: str = "", gateway_id: str = ""
    ) -> Iterator[messages.LocatedAgent]:
        """Return agents of a tenant by address, the first `limit` that sort behind `after`."""
        known = self._members.tenants.get(tenant)
        everyone = {} if known is None else known.everyone
        wanted = (
            address
            for address, agent in everyone.items()
            if address > after and (not gateway_id or self._home(agent) == gateway_id)
        )
        for address in nsmallest(limit, wanted):
            agent = everyone[address]
            home = self._home(agent)
            yield messages.LocatedAgent(
                agent=agent_of(agent), gateway_id=home, region=self._region(home)
            )

    def _home(self, agent: Recipient) -> str:
        if not isinstance(agent, RemoteMember):
            return self._gateway_id
        return agent.home if agent.lost_at is None else ""

    def _region(self, gateway_id: str) -> str:
        if self.known_cluster is None:
            return ""
        if gateway_id == self._gateway_id:
            return self.known_cluster.own.region
        info = self.known_cluster.members.get(gateway_id)
        return "" if info is None else info.region

    def negotiations(
        self, tenant: str, limit: int, after: str = ""
    ) -> Iterator[messages.NegotiationSummary]:
        """Return negotiations that this gateway decides, by id."""
        known = self._members.tenants.get(tenant)
        if known is None:
            return
        wanted = (
            negotiation_id
            for shard in self._negotiations.shards
            for negotiation_id in shard.table.ids()
            if negotiation_id > after and negotiation_id.endswith(known.tag)
        )
        for negotiation_id in nsmallest(limit, wanted):
            state = self._state(negotiation_id, known)
            assert state is not None, "it was listed just now"
            yield self._summary(state, state.view())

    def _state(self, negotiation_id: str, tenant: Tenant) -> Negotiation | None:
        shard = self._negotiations.shard_of(negotiation_id, tenant)
        return None if shard is None else shard.table.state(negotiation_id)

    def _summary(self, state: Negotiation, view: View) -> messages.NegotiationSummary:
        call = state.terms.call
        told = messages.NegotiationSummary(
            negotiation_id=call.negotiation_id,
            gateway_id=self._gateway_id,
            initiator=call.initiator,
            state=STATE_OF[state.phase],
            policy=call.acceptance.label,
            eligible=state.terms.size,
            answered=view.answered,
            offers=view.offers,
            protocol=call.protocol,
            round=view.round,
            durable=self._durability is not None and self._durability.concerns(call.negotiation_id),
        )
        told.opened_at.CopyFrom(_moment(call.opened_at))
        told.due_at.CopyFrom(_moment(state.due))
        return told

    def show(self, tenant: str, negotiation_id: str) -> messages.NegotiationDetail | None:
        """Return one negotiation; None when this gateway has none of this id and tenant."""
        known = self._members.tenants.get(tenant)
        state = None if known is None else self._state(negotiation_id, known)
        if known is None or state is None:
            return None
        shard = self._negotiations.shard_of(negotiation_id, known)
        record = None if shard is None else shard.table.record(negotiation_id)
        view = state.view()
        return messages.NegotiationDetail(
            summary=self._summary(state, view),
            parties=islice(self._parties(view, known), PARTIES_MAX),
            events=() if record is None else _events(record),
            closed_by=view.closed_by,
            reason=view.reason,
        )

    def _parties(self, view: View, tenant: Tenant) -> Iterator[messages.NegotiationParty]:
        for agent_id, word in sorted(view.parties.items()):
            known = tenant.everyone.get(agent_id)
            yield messages.NegotiationParty(
                agent_id=agent_id,
                state=PARTY_STATE_OF.get(word),  # type: ignore[arg-type]  # the stubs know the enum only
                word=word,
                gateway_id="" if known is None else self._home(known),
                value=view.values.get(agent_id),
            )

    def drain(self, rate: float, deadline: float) -> None:
        """Begin to empty this gateway."""
        self._draining.begin(rate, deadline)

    def abort_drain(self) -> bool:
        """Let agents in again."""
        return self._draining.abort()

    def drained(self) -> messages.Drain | None:
        """Return how far the drain is that was begun last."""
        return self._draining.state()


def _moment(seconds: float) -> Timestamp:
    told = Timestamp()
    told.FromNanoseconds(int(seconds * 1e9))
    return told


def _word(link: LinkState) -> str:
    return link.state.partition(" ")[0]


def _member(info: MemberInfo, reach: int) -> messages.ClusterMember:
    told = messages.ClusterMember(
        gateway_id=info.gateway_id,
        region=info.region,
        agents_address=info.agents_address,
        peer_address=info.peer_address,
        epoch=info.epoch,
        version=info.version,
        protocol_version=info.protocol,
        reach=reach,  # type: ignore[arg-type]  # the stubs know the enum only
        leaving=info.leaving,
        load=info.load,
    )
    if info.started_at:  # unknown of one that stands in the settings
        told.started_at.CopyFrom(_moment(info.started_at))
    return told


def _events(record: Record) -> Iterable[messages.NegotiationEvent]:
    for at, event in record.events[-EVENTS_MAX:]:
        told = messages.NegotiationEvent(kind=_kind(event), agent_id=getattr(event, "sender", ""))
        told.at.CopyFrom(_moment(at))
        yield told


def _kind(event: Event) -> str:
    name = type(event).__name__
    return "".join(f"_{one.lower()}" if one.isupper() else one for one in name).lstrip("_")
