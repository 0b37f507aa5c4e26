"""Agents that come from another gateway, and agents that go there.

An agent says Hello where it likes. When another gateway is its home, that one is *summoned*: it
lets the batch at hand end, closes the agent's stream, and hands over the numbers of the session
and the answers that the agent has not received, so that the session goes on where it was. What
is owed to the agent comes from those who owe it, because they see in the directory where
the agent is now. A home that does not answer in time is not waited for: a new session begins,
and the agent sends again what was not confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import structlog

from gateway.absences import Absences
from gateway.clock import Clock
from gateway.link import Answers, Link
from gateway.mailbox import Mailbox
from gateway.members import Member, Members
from gateway.peers import Peers
from gateway.remote_members import RemoteMember
from gateway.session import Session
from llmx.v1.peering_pb2 import AgentHandover, AgentSummons, NegotiationTrace, PeerMessage

log = structlog.get_logger("llmx.handover")

SUMMONS_SECONDS_MAX = 2.0
"""How long an agent's last home is waited for when the agent says Hello elsewhere."""
YIELD_SECONDS_MAX = 1.0
"""How long the batch at hand may take when an agent goes."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An agent that has come from another gateway, and the session that it may resume."""

    member: Member
    link: Link | None


class Handover:
    """Moves agents between this gateway and others."""

    def __init__(
        self,
        members: Members,
        peers: Peers,
        absences: Absences,
        mailbox: Mailbox,
        now: Clock,
    ) -> None:
        """Serve one gateway."""
        self._members = members
        self._peers = peers
        self._absences = absences
        self._mailbox = mailbox
        self._now = now
        self.reaches: Callable[[str], bool] = lambda gateway_id: True
        """Tells whether a gateway may answer: one without a link is not waited for."""
        self.on_gone: Callable[[RemoteMember], None] = lambda member: None
        """Hears of an agent that was handed over, and is nowhere until its new home tells of it."""
        self.traces_of: Callable[[Member], Iterable[NegotiationTrace]] = lambda member: ()
        """Tells the traces of the negotiations of an agent; there are none where none are made."""
        self.on_traces: Callable[[Member, Iterable[NegotiationTrace]], None] = lambda member, of: (
            None
        )
        """Hears the same of an agent that has come here."""
        self.patience = SUMMONS_SECONDS_MAX
        self._awaited: dict[tuple[str, str], asyncio.Future[AgentHandover]] = {}
        peers.heard["summons"] = self._hear_summons
        peers.heard["handover"] = self._hear_handover

    async def fetch(
        self, tenant_name: str, agent_id: str, resume_token: str, received: int
    ) -> Arrival | None:
        """Make an agent ours that has come here; None when its home is not elsewhere.

        Also None when this gateway has no room for it.
        """
        remote = self._remote(tenant_name, agent_id)
        if remote is None:
            return None
        handed = None
        if remote.lost_at is None and self.reaches(remote.home):
            handed = await self._summon(remote, resume_token, received)
        remote = self._remote(tenant_name, agent_id)
        if remote is None:
            return None  # another stream of it was faster
        member = self._adopt(remote)
        if member is None:
            return None
        link = None
        if handed is not None:
            self.on_traces(member, handed.traces)
        if handed is not None and handed.resumed:
            link = Link(resume_token)
            link.handled = link.confirmable = handed.handled_number
            link.sent = received
            link.pending = Answers(
                list(handed.refusals), list(handed.opened), list(handed.receipts)
            )
        log.debug("agent came", agent=agent_id, home=remote.home, resumed=link is not None)
        return Arrival(member, link)

    def _remote(self, tenant_name: str, agent_id: str) -> RemoteMember | None:
        tenant = self._members.tenants.get(tenant_name)
        known = None if tenant is None else tenant.everyone.get(agent_id)
        return known if isinstance(known, RemoteMember) else None

    async def _summon(
        self, remote: RemoteMember, resume_token: str, received: int
    ) -> AgentHandover | None:
        key = (remote.tenant.name, remote.agent_id)
        answer = self._awaited.get(key)
        if answer is None:
            answer = self._awaited[key] = asyncio.get_running_loop().create_future()
            summons = AgentSummons(
                tenant=key[0],
                agent_id=key[1],
                generation=remote.generation + 1,
                resume_token=resume_token,
                received_number=received,
            )
            if not self._peers.send(remote.home, PeerMessage(summons=summons).SerializeToString()):
                answer.set_result(AgentHandover())  # nobody to ask
        try:
            async with asyncio.timeout(self.patience):
                return await asyncio.shield(answer)
        except TimeoutError:
            log.warning("the last home of an agent is silent", agent=key[1], home=remote.home)
            return None
        finally:
            if self._awaited.get(key) is answer:
                del self._awaited[key]

    def _adopt(self, remote: RemoteMember) -> Member | None:
        topics = remote.topics
        member = self._members.adopt(remote, self._now())
        if member is not None:
            member.generation = remote.generation + 1
            member.capabilities = remote.capabilities
            member.tenant.listen(member, topics)
            member.consents.update(remote.consents)
            if not remote.owes_nothing:
                for parcel in remote.outbox.empty():
                    member.outbox.push(parcel)
                self._members.owing[member.key] = member
        return member

    def _hear_handover(self, gateway_id: str, told: AgentHandover) -> None:
        answer = self._awaited.get((told.tenant, told.agent_id))
        if answer is not None and not answer.done():
            answer.set_result(told)

    def _hear_summons(self, gateway_id: str, told: AgentSummons) -> Awaitable[None] | None:
        tenant = self._members.tenants.get(told.tenant)
        member = None if tenant is None else tenant.members.get(told.agent_id)
        if member is None or member.generation >= told.generation:
            handed = AgentHandover(
                tenant=told.tenant, agent_id=told.agent_id, generation=told.generation
            )
            self._peers.send(gateway_id, PeerMessage(handover=handed).SerializeToString())
            return None
        return self._hand_over(gateway_id, member, told)

    async def _hand_over(self, gateway_id: str, member: Member, told: AgentSummons) -> None:
        stream, link = member.stream, member.link
        if isinstance(stream, Session):
            await stream.yield_to(gateway_id, YIELD_SECONDS_MAX)
        handed = AgentHandover(
            tenant=told.tenant,
            agent_id=told.agent_id,
            generation=told.generation,
            traces=self.traces_of(member),
        )
        if (
            link is not None
            and link.token == told.resume_token
            and link.resume(told.received_number) is not None
        ):
            handed.resumed = True
            handed.handled_number = link.handled
            handed.refusals.extend(link.pending.refusals)
            handed.opened.extend(link.pending.opened)
            handed.receipts.extend(link.pending.receipts)
        self._peers.send(gateway_id, PeerMessage(handover=handed).SerializeToString())
        self.on_gone(self.let_go(member, gateway_id, told.generation, "replaced"))

    def let_go(
        self, member: Member, home: str, generation: int, reason: str = "stopping"
    ) -> RemoteMember:
        """Know that a member of ours has another home now; its stream ends with `reason`.

        One that still lives here connects again, and that decides where it is.
        """
        stream = member.stream
        if stream is not None:
            stream.close(reason, f"the agent has gone on at gateway {home}")
            member.stream = None
        tenant = member.tenant
        remote = RemoteMember(tenant, member.agent_id, home, self._peers)
        topics, consents = member.topics, list(member.consents.values())
        tenant.everyone[member.agent_id] = remote  # first, so that its tenant stays
        parcels = self._absences.depart(member)
        remote.register(generation, member.capabilities, topics, consents, is_away=False)
        for parcel in parcels:
            if not parcel.origin:  # others send again what came from them
                remote.outbox.push(parcel)
        if not remote.owes_nothing:
            self._members.owing[remote.key] = remote
            self._peers.flush_soon(remote)
        remote.is_boxed = self._mailbox.index.waiting(remote.key) > 0
        self._absences.refill_soon(remote)
        log.debug("agent went", agent=member.agent_id, home=home)
        return remote
