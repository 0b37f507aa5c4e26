"""A gateway in its cluster: everything of federation is wired here, once.

Discovery tells who is a member, peering links with each of them, and over the links presence says
which agents are where, peers carry messages and acts, handover moves agents. With etcd, awards are
written there before they are told.

    settings ─▸ discovery ─▸ peering ─▸ presence, peers, handover ─▸ router, shards, sessions
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

import structlog

from federation.award_log import AwardLog, Entry
from federation.commons import SchemaAt
from federation.discovery import Discovery, EtcdDiscovery
from federation.etcd import EtcdClient
from federation.greeting import PROTOCOL_VERSION
from federation.link import LinkLimits
from federation.membership import MemberInfo
from federation.peer_states import UNHEARD, LinkState, PeerView
from federation.peering import OwnGateway, PeerAddress, Peering, PeeringLimits
from federation.regional_topics import RegionalTopics
from gateway.awards import AwardGate
from gateway.clock import Clock
from gateway.cluster_parts import Parts, etcd_client, peer_server, peer_tls, static_discovery
from gateway.destinations import Destinations
from gateway.distant_calls import DistantCalls
from gateway.handover import Handover
from gateway.inheritance import Inheritance
from gateway.peers import Peers
from gateway.presence import Presence
from gateway.refusals import Fault
from gateway.settings import FederationSettings, Settings
from gateway.shard_fence import ShardFence

log = structlog.get_logger("llmx.cluster")

LOOK_SECONDS = 1.0
STOP_SECONDS = 1.0
EMPTIED_LOOK_SECONDS = 0.05
LOAD_SHARE = 0.1
"""A load that has changed by less than this part is not told anew."""
SCHEMAS_MAX = 10_000
"""Schemas of other gateways that may wait to be checked; of more the oldest are not known here."""


class Cluster:
    """A gateway among the others."""

    def __init__(self, settings: Settings, parts: Parts, agents_address: str, now: Clock) -> None:
        """Be one of the cluster that the settings name; `running` makes it live."""
        federation, limits = settings.federation, settings.limits
        self._settings = settings
        self._parts = parts
        self._now = now
        self._agents_address = federation.agents_address or agents_address
        self._destinations = Destinations(settings, self._agents_address)
        self.gateway_id = settings.server.gateway_id
        self.peers = Peers(
            parts.members,
            parts.router,
            parts.negotiations,
            parts.metrics,
            limits.outbox_messages_max,
            limits.outbox_bytes_max,
            now,
        )
        self.peers.durability = parts.durability
        self.handover = Handover(parts.members, self.peers, parts.absences, parts.mailbox, now)
        self.presence = Presence(
            parts.members,
            self.peers,
            self.handover,
            parts.negotiations,
            self.gateway_id,
            federation.region,
            RegionalTopics(filter(None, (federation.regional_topics or "").split(","))),
            limits.reconnect_grace_seconds,
            now,
        )
        self.inheritance = Inheritance(
            parts.members, self.peers, parts.negotiations, lambda: self.members.keys(), now
        )
        parts.telemetry.watch_peers(self.peers, self.handover, self.inheritance)
        self.distant_calls = DistantCalls(
            parts.members,
            self.peers,
            parts.negotiations,
            parts.metrics,
            limits.reconnect_grace_seconds,
            now,
        )
        self.presence.on_moved = self.distant_calls.moved
        self.inheritance.on_inherited = self.distant_calls.inherited
        self.inheritance.stays = self._stays
        self.inheritance.heirs = self._heirs
        self.is_leaving = False
        """Is this gateway being emptied? The others hear of it."""
        self.handover.reaches = self._reaches
        self._schemas: deque[SchemaAt] = deque(maxlen=SCHEMAS_MAX)
        self._schema_came = asyncio.Event()
        self.presence.on_schema = self._hear_schema
        self.etcd: EtcdClient | None = None
        self._discovery: Discovery | None = None
        self._peering: Peering | None = None
        self.award_log: AwardLog | None = None
        self.gate: AwardGate | None = None
        self.fence: ShardFence | None = None

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Cluster: {self.gateway_id} with {', '.join(sorted(self.members)) or 'nobody'}>"

    @property
    def name(self) -> str:
        """Return what the cluster is called."""
        return self._settings.federation.cluster

    @property
    def discovery(self) -> Discovery:
        """Return how others are found."""
        assert self._discovery is not None, "it runs"
        return self._discovery

    @property
    def own(self) -> MemberInfo:
        """Return this gateway as the others know it."""
        return self.discovery.own

    @property
    def members(self) -> Mapping[str, MemberInfo]:
        """Return the others, by id."""
        return {} if self._discovery is None else self._discovery.members

    def _reaches(self, gateway_id: str) -> bool:
        return any(link.gateway_id == gateway_id and link.state != "down" for link in self.links())

    def _is_told(self, award: Entry) -> bool:
        """Tell whether the winners of an award have heard of it from whoever made it."""
        if award.gateway_id == self.gateway_id:
            return self._parts.negotiations.is_known(award.negotiation_id)
        info = self.members.get(award.gateway_id)
        return info is not None and info.epoch == award.epoch and self._reaches(award.gateway_id)

    def _is_durable(self, negotiation_id: str) -> bool:
        durability = self._parts.durability
        return durability is not None and durability.concerns(negotiation_id)

    def _stays(self, negotiation_id: str) -> bool:
        is_held = self.gate is not None and negotiation_id in self.gate
        return is_held or self._is_durable(negotiation_id)

    def _heirs(self) -> Collection[str]:
        return [info.gateway_id for info in self.members.values() if not info.leaving]

    def links(self) -> list[LinkState]:
        """Return the state of every link."""
        return [] if self._peering is None else self._peering.links()

    def view_of(self, gateway_id: str) -> PeerView:
        """Return what another gateway has said of itself in its heartbeats."""
        return UNHEARD if self._peering is None else self._peering.view(gateway_id)

    def addresses(self, *, without_siblings: bool = False) -> tuple[str, ...]:
        """Return where agents can go instead; siblings are processes that stop with this one."""
        members = self.members.values()
        return self._destinations.addresses(members, without_siblings=without_siblings)

    def siblings(self) -> dict[str, str]:
        """Return where agents connect to each sibling that is linked."""
        return self._destinations.siblings(self.members.values(), self.links())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Cluster]:
        """Be in the cluster until the block ends. Raises SettingsError for what cannot be."""
        federation = self._settings.federation
        tls = peer_tls(federation)
        self._peering = peering = Peering(
            OwnGateway(self.gateway_id, 0, federation.cluster, federation.region),
            PeeringLimits(
                LinkLimits(federation.queue_messages_max, federation.queue_bytes_max),
                federation.heartbeat_seconds,
                federation.relay_after_seconds,
            ),
            self._now,
            hear=self.peers.hear,
            begun=self._begun,
            ended=self._ended,
            sees_discovery=lambda: self.discovery.say_sight(),
            tls=tls,
        )
        self.peers.send = peering.send
        server, address = peer_server(peering, federation, tls)
        own = MemberInfo(
            gateway_id=self.gateway_id,
            region=federation.region,
            peer_address=address,
            agents_address=self._agents_address,
            version=version("llmx-gateway"),
            protocol=PROTOCOL_VERSION,
            started_at=time.time(),
        )
        async with AsyncExitStack() as stack:
            await server.start()
            stack.push_async_callback(server.stop, STOP_SECONDS)
            if federation.etcd is not None:
                self.etcd = await stack.enter_async_context(etcd_client(federation, self._now))
                self._discovery = EtcdDiscovery(
                    self.etcd,
                    federation.cluster,
                    own,
                    federation.lease_seconds,
                    self._now,
                    said=peering.view,
                    heartbeat_seconds=federation.heartbeat_seconds,
                )
                self.fence = fence = ShardFence(self._discovery, self._now)
                self._parts.admission.may_decide = fence.may_decide
                for shard in self._parts.negotiations.shards:
                    shard.may_decide = fence.may_decide
                self._write_awards(self.etcd, federation, fence)
            else:
                self._discovery = static_discovery(own, federation)
            self._discovery.on_change = self._members_changed
            self._connect()
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(chore)
                    for chore in (
                        peering.run(),
                        self._discovery.run(),
                        self._look(),
                        self._register_schemas(),
                        *(() if self.award_log is None else (self.award_log.run(),)),
                    )
                ]
                log.info(
                    "joins",
                    cluster=federation.cluster,
                    region=federation.region,
                    peer_address=address,
                    etcd=federation.etcd or "none",
                )
                try:
                    yield self
                finally:
                    for task in reversed(running):
                        task.cancel()

    async def emptied(self, within: float) -> None:
        """Let agents and negotiations go elsewhere, for so many seconds at most.

        What the others were told on the way is confirmed then. An agent takes its session along
        and does not call again what is open, so what is not handed over has no outcome.
        """
        self.is_leaving = True
        self._announce()
        until = self._now() + within
        while self.members and self._now() < until:
            self.inheritance.hand_over()
            if self._is_empty():
                return
            await asyncio.sleep(EMPTIED_LOOK_SECONDS)

    def _is_empty(self) -> bool:
        parts = self._parts
        if any(
            member.link is not None and not member.is_away  # the store remembers others too
            for tenant in parts.members.tenants.values()
            for member in tenant.members.values()
        ):
            return False
        if self.gate or any(
            not self._is_durable(terms.call.negotiation_id)
            for shard in parts.negotiations.shards
            for terms in shard.table.open_terms()
        ):
            return False
        return not any(link.queued + link.unconfirmed for link in self.links())

    def _connect(self) -> None:
        """Let the rest of the gateway know the others."""
        parts = self._parts
        parts.admission.elsewhere = self.inheritance.send
        parts.exchange.fetch = self.handover.fetch
        parts.control.announce_group = self.presence.announce_group
        parts.control.announce_schema = self.presence.announce_schema
        for tenant in parts.members.tenants.values():  # those that the store remembers
            for member in tenant.members.values():
                self.presence.announce(member)

    def _write_awards(
        self, client: EtcdClient, federation: FederationSettings, fence: ShardFence
    ) -> None:
        """Have awards written before they are told, those that the settings want so."""
        if federation.awards == "none":
            return
        self.award_log = written = AwardLog(
            client, f"{federation.cluster}/awards/", federation.awards_seconds, self._now
        )
        negotiations, is_for_all = self._parts.negotiations, federation.awards == "all"
        self.gate = AwardGate(
            self.gateway_id,
            self._parts.telemetry.awarding(written.propose),
            negotiations.perform,
            lambda negotiation_id: is_for_all or self._is_durable(negotiation_id),
        )
        self.gate.is_blind = lambda: written.has_room and fence.is_blind()
        self.gate.epoch = lambda: self.own.epoch
        written.is_bound = self.discovery.is_bound
        self.gate.is_told = self._is_told
        self._parts.admission.on_repeated = self.gate.repeated
        self.inheritance.is_repeated = self.gate.is_repeated
        self.inheritance.on_repeated = self.gate.repeated
        negotiations.gate = self.gate.takes

    @property
    def sees_etcd(self) -> bool:
        """Tell whether etcd answers, or is not needed."""
        state = self.discovery.state
        return state is None or state.reachable

    @property
    def lease_seconds_left(self) -> float:
        """Return in how many seconds others may take this gateway for gone."""
        return self.discovery.sure_until - self._now()

    @property
    def lease_seconds(self) -> float:
        """Return for how long a lease is sure when it has just been confirmed."""
        return self._settings.federation.lease_seconds

    @property
    def remote_agents(self) -> int:
        """Return how many agents of other gateways are known."""
        tenants = list(self._parts.members.tenants.values())
        return sum(len(tenant.everyone) - len(tenant.members) for tenant in tenants)

    def _members_changed(self) -> None:
        assert self._peering is not None, "it runs"
        if self.own.epoch:
            self._peering.set_own_epoch(self.own.epoch)
        self._peering.set_members(
            {
                info.gateway_id: PeerAddress(info.peer_address, info.epoch, info.region)
                for info in self.members.values()
            }
        )

    def _begun(self, gateway_id: str) -> None:
        info = self.members.get(gateway_id)
        self.presence.begun(gateway_id, "" if info is None else info.region)
        self.inheritance.begun(gateway_id)

    def _ended(self, gateway_id: str, unconfirmed: list[bytes]) -> None:
        log.info("peer ended", peer=gateway_id, unconfirmed=len(unconfirmed))
        self.inheritance.ended(gateway_id, unconfirmed)
        self.presence.ended(gateway_id)
        self.distant_calls.ended(gateway_id)

    def _hear_schema(self, schema: SchemaAt) -> None:
        self._schemas.append(schema)
        self._schema_came.set()

    async def _register_schemas(self) -> None:
        """Know the schemas that were registered elsewhere, once they are checked here too."""
        while True:
            await self._schema_came.wait()
            self._schema_came.clear()
            while self._schemas:
                schema = self._schemas.popleft()
                fault = await self._parts.validation.register(schema.tenant, schema.schema)
                if isinstance(fault, Fault):
                    log.warning("a schema of another gateway is refused", reason=fault.reason)

    def _announce(self) -> None:
        """Tell the others how busy this gateway is, when it is much busier, or less, or leaves."""
        own, load = self.own, float(len(self._parts.exchange.sessions))
        if self.is_leaving != own.leaving or abs(load - own.load) > 1 + LOAD_SHARE * own.load:
            self.discovery.announce(load, leaving=self.is_leaving)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.presence.look()
            self.inheritance.look()
            self.distant_calls.look()
            self.peers.retry()
            self._announce()
            if self.gate is not None:
                self.gate.look()
