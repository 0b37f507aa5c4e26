"""Which agents are where: what this gateway tells the others, and what it makes of their words.

Every registration here is announced; what others announce becomes remote members, which hear
calls and messages like everybody. When an agent's entry moves to another home, what is owed to it
from here goes there. When a home dies its agents are *lost* for the grace, in which most come
back at another gateway; after it their negotiations hear that they are gone, and what is owed to
them expires in its time.

Of two homes the higher rank has an agent, see `federation.entries`. A gateway that hears of a rank
above its own lets the agent go; one that was taken from by mistake connects again, and that
raises its rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import structlog

from federation.announcer import Announcer
from federation.commons import Commons, SchemaAt
from federation.directory import Applied, Directory
from federation.entries import AgentAt, AgentConsent
from federation.regional_topics import RegionalTopics
from gateway.clock import Clock
from gateway.consents import ConsentGrant
from gateway.handover import Handover
from gateway.members import NOBODY_YET, Member, MemberGroup, Members, Tenant
from gateway.negotiations import Negotiations
from gateway.peers import Peers, Soon, call_soon
from gateway.remote_members import RemoteMember
from llmx.v1.peering_pb2 import DirectoryUpdate, PeerMessage

CHECK_LOOKS = 60
"""After so many looks, one a second, everybody is told the digest again."""

log = structlog.get_logger("llmx.presence")


class Presence:
    """The agents of the whole cluster, as far as this gateway serves or hears of them."""

    def __init__(
        self,
        members: Members,
        peers: Peers,
        handover: Handover,
        negotiations: Negotiations,
        gateway_id: str,
        region: str,
        regional: RegionalTopics,
        grace: float,
        now: Clock,
        soon: Soon = call_soon,
    ) -> None:
        """Announce the members of one gateway, and know those of the others.

        Those whose home is gone are waited for during the `grace`, in seconds.
        """
        self._members = members
        self._peers = peers
        self._handover = handover
        self._negotiations = negotiations
        self._gateway_id = gateway_id
        self._region = region
        self._commons = Commons(gateway_id)
        self._announcer = Announcer(gateway_id, region, self._commons, regional)
        self._directory = Directory(self._commons)
        self._grace = grace
        self._now = now
        self._soon = soon
        self._regions: dict[str, str] = {}
        self._is_draining = False
        self._lost: dict[str, RemoteMember] = {}  # longest lost first
        self._checks = 0
        self.on_moved: Callable[[RemoteMember], None] = lambda member: None
        """Hears of agents that have another home now than they had, or than this gateway."""
        self.on_schema: Callable[[SchemaAt], None] = lambda schema: None
        """Hears of schemas that were registered elsewhere."""
        handover.on_gone = self._lose
        members.on_change.append(self._registered)
        members.on_forget.append(self._forgotten)
        peers.heard["directory"] = self._hear

    # Outwards.

    def _registered(self, member: Member) -> None:
        member.generation = max(member.generation, 0)
        self.announce(member)

    def announce(self, member: Member) -> None:
        """Tell the others what a member registered, and whether it is away.

        Nothing is told of one that has registered nothing here: messages wait for it that came
        from here, and its home may be elsewhere.
        """
        if member.generation == NOBODY_YET:
            return
        if self._announcer.put(
            member.tenant.name,
            member.agent_id,
            generation=member.generation,
            capabilities=member.capabilities,
            topics=member.topics,
            consents=map(_told, member.consents.values()),
            is_away=member.is_away,
        ):
            self._drain_soon()

    def _forgotten(self, member: Member) -> None:
        tenant, agent_id = member.tenant, member.agent_id
        if self._announcer.remove(tenant.name, agent_id):
            self._drain_soon()
        elsewhere = self._directory.entry(tenant.name, agent_id)
        if elsewhere is not None and tenant.everyone.get(agent_id) in (None, member):
            tenant.everyone.pop(agent_id, None)
            self._put_all((elsewhere,))  # a home that ranked behind this one, and still has it

    def announce_group(self, tenant: Tenant, group: MemberGroup) -> None:
        """Tell the others of a group that was put here."""
        self._commons.put_group(
            tenant.name, group.group_id, group.owner, group.members, int(self._now() * 1e9)
        )
        self._drain_soon()

    def announce_schema(self, tenant: str, schema: bytes) -> None:
        """Tell the others of a schema that was registered here."""
        if self._commons.put_schema(tenant, schema):
            self._drain_soon()

    def _drain_soon(self) -> None:
        if not self._is_draining:
            self._is_draining = True
            self._soon(self.drain)

    def drain(self) -> None:
        """Tell everybody what has changed since the last time."""
        self._is_draining = False
        changes = self._announcer.drain()
        for gateway_id, region in self._regions.items():
            self._tell(gateway_id, changes.near if region == self._region else changes.far)

    def _tell(self, gateway_id: str, updates: Iterable[DirectoryUpdate]) -> None:
        for update in updates:
            if not self._peers.send(gateway_id, PeerMessage(directory=update).SerializeToString()):
                # The next number is missing there, and the other side asks for everything.
                log.warning("a change of the directory found no room", gateway=gateway_id)
                return

    def begun(self, gateway_id: str, region: str) -> None:
        """Tell a gateway that is new, or began anew, of everybody here."""
        self._regions[gateway_id] = region
        self._tell(gateway_id, self._announcer.snapshot(region))

    def look(self) -> None:
        """Do now and then what is due: let others notice what they missed, give up the lost."""
        self._checks += 1
        if self._checks % CHECK_LOOKS == 0:
            for gateway_id, region in self._regions.items():
                self._tell(gateway_id, [self._announcer.check(region)])
        before, left = self._now() - self._grace, []
        for member in list(self._lost.values()):
            assert member.lost_at is not None, "only those without a home are kept here"
            if member.lost_at > before:
                break
            if not member.is_away:
                member.is_away = True
                left.append(member)
            if member.owes_nothing:
                del self._lost[member.key]
                member.tenant.forget(member)
                self._members.drop_if_empty(member.tenant)
        if left:
            self._negotiations.leave(left)

    # Inwards.

    def ended(self, gateway_id: str) -> None:
        """Know that a gateway is gone, and its agents with it, until they are somewhere else."""
        self._regions.pop(gateway_id, None)
        self._apply(self._directory.forget(gateway_id))
        if self._announcer.has_due:  # what that gateway told of all is told from here now
            self._drain_soon()

    def _hear(self, gateway_id: str, update: DirectoryUpdate) -> None:
        applied = self._directory.apply(gateway_id, update)
        if applied.owes_snapshot:
            self._tell(gateway_id, self._announcer.snapshot(self._regions.get(gateway_id, "")))
        if applied.wants_snapshot:
            self._tell(gateway_id, [DirectoryUpdate(wants_snapshot=True)])
        self._apply(applied)

    def _apply(self, applied: Applied) -> None:
        self._put_all((*applied.appeared, *applied.changed))
        for entry in applied.vanished:
            self._vanish(entry)
        for group in applied.groups:
            tenant = self._members.tenant(group.tenant)
            if group.members:
                tenant.groups[group.group_id] = MemberGroup(
                    group.group_id, group.owner, group.members
                )
            else:
                tenant.groups.pop(group.group_id, None)
        for schema in applied.schemas:
            self.on_schema(schema)

    def _put_all(self, entries: Iterable[AgentAt]) -> None:
        left = [member for entry in entries if (member := self._put(entry)) is not None]
        if left:
            self._negotiations.leave(left)

    def _put(self, entry: AgentAt) -> RemoteMember | None:
        """Know an agent of another home as its entry says; return it if it has gone away."""
        tenant = self._members.tenant(entry.tenant)
        known = tenant.everyone.get(entry.agent_id)
        if isinstance(known, Member):
            if entry.generation < known.generation or (
                entry.generation == known.generation and entry.home < self._gateway_id
            ):
                return None  # ours counts, and they hear of it
            known = self._handover.let_go(known, entry.home, entry.generation)
            self._soon(partial(self.on_moved, known))
        elif known is None:
            known = RemoteMember(tenant, entry.agent_id, entry.home, self._peers)
            tenant.everyone[entry.agent_id] = known
        assert isinstance(known, RemoteMember), "whoever is not ours is remote"
        return known if self._register(known, entry) else None

    def _register(self, member: RemoteMember, entry: AgentAt) -> bool:
        was_away, consented = member.is_away, member.consents
        has_moved = member.home != entry.home or member.lost_at is not None
        member.home, member.lost_at = entry.home, None
        self._lost.pop(member.key, None)
        member.register(
            entry.generation,
            entry.capabilities,
            entry.topics,
            map(_granted, entry.consents),
            is_away=entry.is_away,
        )
        has_left = member.is_away and not was_away
        if not has_left and consented != member.consents:
            self._negotiations.revoked(member)
        if has_moved and not member.owes_nothing:
            member.outbox.resume()
            member.wake()
        if has_moved:
            self.on_moved(member)
        return has_left

    def _vanish(self, entry: AgentAt) -> None:
        tenant = self._members.tenants.get(entry.tenant)
        known = None if tenant is None else tenant.everyone.get(entry.agent_id)
        if isinstance(known, RemoteMember) and known.home == entry.home and known.lost_at is None:
            self._lose(known)

    def _lose(self, member: RemoteMember) -> None:
        """Know that an agent is nowhere; within the grace it hears calls, as it would here."""
        member.lost_at = self._now()
        self._lost[member.key] = member


def _told(grant: ConsentGrant) -> AgentConsent:
    return AgentConsent(
        grant.consent_id, grant.grantee, grant.topics, grant.fields, grant.expires_at
    )


def _granted(told: AgentConsent) -> ConsentGrant:
    return ConsentGrant(told.consent_id, told.grantee, told.topics, told.fields, told.expires_at)
