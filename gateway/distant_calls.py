"""Calls of agents here in negotiations that another gateway decides.

A negotiation is decided where its call came to, and the agent that called may have gone on to
another gateway since; or its owner left, and an heir decides. Then nothing breaks at the agent when
the owner dies. So the owner tells the home of the agent which calls of it are open there, and
the home tells the agent when the owner is gone: the call is lost, and the same call, sent
again, finds the award that was made or is opened anew.

    owner: the agent moved, or a negotiation was inherited ─▸ OwnedCall ─▸ home: known
    owner: it has an outcome ─▸ OwnedCall, is_over ─▸ home: forgotten
    owner is gone ─▸ home: NEGOTIATION_LOST to the agent

What is on the disk of the owner goes on when that is back, which is waited for during the grace.
"""

from __future__ import annotations

import msgspec
import structlog

from gateway.clock import Clock
from gateway.members import TAG_LENGTH, Member, Members, Recipient, Tenant
from gateway.metrics import Metrics
from gateway.negotiations import Negotiations
from gateway.peers import Peers, Soon, call_soon
from gateway.refusals import Fault, refusal_of
from gateway.remote_members import RemoteMember
from llmx.v1.peering_pb2 import OwnedCall, PeerMessage
from policy.call import Call

CALLS_MAX = 10_000
"""Calls of one agent that are known; of more the oldest are forgotten."""

NEGOTIATION_LOST = Fault(
    "NEGOTIATION_LOST",
    "the gateway that decided the negotiation is gone",
    "send the same call again, under its msg_id: an award that was made is found",
    "/envelope/negotiation_id",
)

log = structlog.get_logger("llmx.inheritance")


class _Known(msgspec.Struct, gc=False):
    """A call of an agent here."""

    owner: str
    msg_id: str
    is_durable: bool
    lost_at: float | None = None
    """Since when its owner is gone; None while it is there."""


class DistantCalls:
    """Which calls of whom are decided where, as far as this gateway has to do with it."""

    def __init__(
        self,
        members: Members,
        peers: Peers,
        negotiations: Negotiations,
        metrics: Metrics,
        grace: float,
        now: Clock,
        soon: Soon = call_soon,
    ) -> None:
        """Serve one gateway. Owners of durable calls are waited for during the `grace`, in seconds.

        `soon` does something when this turn of the loop is over.
        """
        self._members = members
        self._peers = peers
        self._negotiations = negotiations
        self._metrics = metrics
        self._grace = grace
        self._now = now
        self._soon = soon
        self._known: dict[str, dict[str, _Known]] = {}
        """By the agent's key and the negotiation."""
        members.on_forget.append(self._forgotten)
        negotiations.on_finish = self._finished
        peers.heard["call"] = self._hear

    def __len__(self) -> int:
        """Return how many calls of agents here are decided elsewhere."""
        return sum(map(len, self._known.values()))

    # ------------------------------------------------------------------ as the owner

    def moved(self, member: RemoteMember) -> None:
        """Tell the new home of an agent which of its calls are open here."""
        for negotiation_id in self._negotiations.open_of(member.key):
            call = self._call(negotiation_id, member.tenant)
            if call is not None:
                self._tell(member, call.msg_id, negotiation_id)

    def inherited(self, negotiation_id: str) -> None:
        """Tell the home of its initiator that a negotiation is decided here now."""
        tenant = self._members.tenant_by_tag.get(negotiation_id[-TAG_LENGTH:])
        call = None if tenant is None else self._call(negotiation_id, tenant)
        if tenant is None or call is None:
            return
        initiator = tenant.everyone.get(call.initiator)
        if isinstance(initiator, RemoteMember):
            self._tell(initiator, call.msg_id, negotiation_id)
        elif initiator is not None:
            self._known.get(initiator.key, {}).pop(negotiation_id, None)

    def _call(self, negotiation_id: str, tenant: Tenant) -> Call | None:
        shard = self._negotiations.shard_of(negotiation_id, tenant)
        state = None if shard is None else shard.table.state(negotiation_id)
        return None if state is None else state.terms.call

    def _finished(self, negotiation_id: str, initiator: Recipient) -> None:
        there = initiator.tenant.everyone.get(initiator.agent_id)
        if isinstance(there, RemoteMember):
            home = there
            # After what the outcome was told with, which is sent at the end of this turn.
            self._soon(lambda: self._tell(home, "", negotiation_id, is_over=True))

    def _tell(
        self, member: RemoteMember, msg_id: str, negotiation_id: str, *, is_over: bool = False
    ) -> None:
        if member.lost_at is not None:
            return  # its next home is told
        durability = self._peers.durability
        told = OwnedCall(
            tenant=member.tenant.name,
            agent_id=member.agent_id,
            msg_id=msg_id,
            negotiation_id=negotiation_id,
            durable=durability is not None and durability.concerns(negotiation_id),
            is_over=is_over,
        )
        self._peers.send(member.home, PeerMessage(call=told).SerializeToString())

    # ------------------------------------------------------------------ as the home

    def _hear(self, gateway_id: str, told: OwnedCall) -> None:
        tenant = self._members.tenants.get(told.tenant)
        member = None if tenant is None else tenant.members.get(told.agent_id)
        if member is None:
            return  # it has moved on, and its next home is told
        known = self._known.setdefault(member.key, {})
        known.pop(told.negotiation_id, None)
        if not told.is_over:
            known[told.negotiation_id] = _Known(gateway_id, told.msg_id, told.durable)
        if len(known) > CALLS_MAX:
            del known[next(iter(known))]
        if not known:
            del self._known[member.key]

    def ended(self, gateway_id: str) -> None:
        """Know that a gateway is gone, and tell the agents whose calls it decided."""
        now = self._now()
        for calls in self._known.values():
            for call in calls.values():
                if call.owner == gateway_id and call.lost_at is None:
                    call.lost_at = now
        self.look()

    def look(self) -> None:
        """Tell those whose calls are lost for good."""
        before = self._now() - self._grace
        for key, calls in list(self._known.items()):
            lost = [
                negotiation_id
                for negotiation_id, call in calls.items()
                if call.lost_at is not None and (not call.is_durable or call.lost_at <= before)
            ]
            if not lost:
                continue
            member = self._member(key)
            for negotiation_id in lost:
                call = calls.pop(negotiation_id)
                if member is not None:
                    self._tell_lost(member, negotiation_id, call)
            if not calls:
                del self._known[key]

    def _member(self, key: str) -> Member | None:
        tenant_name, agent_id, _ = key.split("|")
        tenant = self._members.tenants.get(tenant_name)
        return None if tenant is None else tenant.members.get(agent_id)

    def _tell_lost(self, member: Member, negotiation_id: str, call: _Known) -> None:
        log.debug("call lost with its gateway", negotiation_id=negotiation_id, owner=call.owner)
        key = member.key + call.msg_id
        for memory in (self._members.duplicates, self._members.once):
            if memory.find(key) == negotiation_id:
                memory.forget(key)  # or it would pass for a repeat here
        self._metrics.refused[NEGOTIATION_LOST.code] += 1
        refusal = refusal_of(NEGOTIATION_LOST, call.msg_id, negotiation_id)
        member.answer_refused(refusal.SerializeToString())

    def _forgotten(self, member: Member) -> None:
        self._known.pop(member.key, None)
