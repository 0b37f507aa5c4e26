"""What this gateway and its peers tell each other about messages, acts and answers.

Outwards: what is owed to remote members goes to their homes, all that one turn of the loop has
queued in one go, and a message for many agents of one gateway goes there once. Inwards: a
delivery goes to the agent like any message, and its origin hears what becomes of it; an act goes to
the negotiation, if this gateway owns it.

Who may be told what was decided where the message was admitted. The home of the recipient looks
at its consent once more, because it may have been revoked while the message was on its way.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson
import structlog
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError

from gateway.answers import UNKNOWN_NEGOTIATION
from gateway.causes import Cause
from gateway.clock import Clock
from gateway.codec import event_of
from gateway.durability import Durability
from gateway.members import Members, Recipient, Tenant
from gateway.metrics import Metrics
from gateway.negotiations import Negotiations
from gateway.outbox import NEVER, Outbox, Parcel, Pushed
from gateway.refusals import Fault, refusal_of
from gateway.remote_members import RemoteMember
from gateway.router import Router
from llmx.v1.envelope_pb2 import Envelope
from llmx.v1.peering_pb2 import (
    AgentAnswer,
    Delivery,
    DeliveryReport,
    ForwardedAct,
    PeerMessage,
)

log = structlog.get_logger("llmx.peers")

FLUSH_BYTES_MAX = 1024 * 1024
"""What one remote member gets at once."""
FOLLOWERS_MAX = 100_000
"""Repeats of which a second origin wants to hear."""
RECIPIENTS_MAX = 1_000
"""Agents that one Delivery names."""

Send = Callable[[str, bytes], bool]
"""Queues a serialised PeerMessage for a gateway; False when there is no room, or no such peer."""
Heard = Callable[[str, Any], "Awaitable[None] | None"]
Soon = Callable[[Callable[[], None]], None]


def call_soon(what: Callable[[], None]) -> None:
    """Do something when this turn of the loop is over."""
    asyncio.get_running_loop().call_soon(what)


class Peers:
    """Everything that goes to other gateways, and comes from them, about messages."""

    def __init__(
        self,
        members: Members,
        router: Router,
        negotiations: Negotiations,
        metrics: Metrics,
        messages_max: int,
        bytes_max: int,
        now: Clock,
        soon: Soon = call_soon,
    ) -> None:
        """Serve one gateway; at most so much is owed to one remote member.

        `soon` does something when this turn of the loop is over.
        """
        self._soon = soon
        self._members = members
        self._router = router
        self._negotiations = negotiations
        self._metrics = metrics
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._now = now
        self.durability: Durability | None = None
        self.send: Send = lambda gateway_id, message: False
        self.on_foreign_act: Callable[[ForwardedAct, str], bool] = lambda act, negotiation_id: False
        """Passes on an act in a negotiation that is not here any more; False when nobody has it."""
        self._due: dict[RemoteMember, None] = {}
        self._blocked: dict[RemoteMember, None] = {}
        self._reports: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
        self._followers: dict[tuple[str, str], tuple[float, set[str]]] = {}
        self._is_flushing = False
        self.heard: dict[str, Heard] = {
            "delivery": self._hear_delivery,
            "report": self._hear_report,
            "act": self._hear_act,
            "answer": self._hear_answer,
        }
        """Who hears what, by the field of a PeerMessage; others add to it."""
        router.report = self.report

    def new_outbox(self) -> Outbox:
        """Return an outbox in which nothing is due again before it is resumed: links repeat."""
        return Outbox(self._messages_max, self._bytes_max, NEVER, NEVER, self._messages_max)

    # Outwards.

    def flush_soon(self, member: RemoteMember) -> None:
        """Send what is queued for a member to its home, with all else of this turn of the loop."""
        self._due[member] = None
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            self._soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        due, self._due = self._due, {}
        batches: dict[str, _Batch] = defaultdict(_Batch)
        now = self._now()
        for member in due:
            if member.lost_at is not None:
                continue  # its next home gets it
            while member.outbox.has_queued:
                for parcel in member.outbox.take(now, FLUSH_BYTES_MAX):
                    batches[member.home].add(member, parcel, now)
        for gateway_id, batch in batches.items():
            for message, recipients in zip(batch.messages, batch.recipients, strict=True):
                if not self.send(gateway_id, message.SerializeToString()):
                    self._blocked.update(dict.fromkeys(recipients))
        reports, self._reports = self._reports, defaultdict(list)
        for (gateway_id, tenant, agent_id, reason), msg_ids in reports.items():
            report = DeliveryReport(
                tenant=tenant, agent_id=agent_id, msg_ids=msg_ids, reason=reason
            )
            if not self.send(gateway_id, PeerMessage(report=report).SerializeToString()):
                log.debug("a report found no peer", gateway=gateway_id, messages=len(msg_ids))

    def retry(self) -> None:
        """Send again what found no room in a link; the repeats are noticed where they arrive."""
        blocked, self._blocked = self._blocked, {}
        for member in blocked:
            member.outbox.resume()
            self.flush_soon(member)
        now = self._now()
        for key in [key for key, (until, _) in self._followers.items() if until <= now]:
            del self._followers[key]  # its message has expired, and everybody has seen that

    def report(self, member: Recipient, parcel: Parcel, reason: str) -> None:
        """Tell the origin of a parcel what became of it."""
        _, others = self._followers.pop((member.key, parcel.msg_id), (0.0, ()))
        for origin in {parcel.origin, *others}:
            whom = (origin, member.tenant.name, member.agent_id, reason)
            self._reports[whom].append(parcel.msg_id)
        self._flush_soon()

    def answer(self, member: RemoteMember, kind: str, answer: bytes) -> None:
        """Send a "refusal", an "opened" or a "receipt"; it is for a session, and ends with it."""
        if member.lost_at is None:
            told = AgentAnswer(tenant=member.tenant.name, agent_id=member.agent_id)
            setattr(told, kind, answer)
            self.send(member.home, PeerMessage(answer=told).SerializeToString())

    def forward(
        self,
        owner: str,
        member: Recipient,
        parcel: Parcel,
        *,
        sensitive: Sequence[str] = (),
        is_malformed: bool = False,
    ) -> bool:
        """Send an act to the owner of its negotiation; False when it cannot be queued."""
        message = PeerMessage()
        act = message.act
        act.tenant = member.tenant.name
        act.agent_id = member.agent_id
        act.envelope = parcel.envelope
        _fill(act.time_to_live, parcel.expires_at - self._now())
        if sensitive:
            act.sensitive.extend(sensitive)
        act.is_malformed = is_malformed
        act.is_system = member.is_system
        return self.send(owner, message.SerializeToString())

    # Inwards.

    def hear(self, gateway_id: str, messages: Sequence[bytes]) -> Awaitable[None] | None:
        """Handle what a peer says; what is returned is to be awaited before it says more."""
        for index, raw in enumerate(messages):
            waiting = self._hear_one(gateway_id, raw)
            if waiting is not None:
                return self._hear_rest(gateway_id, waiting, messages[index + 1 :])
        return None

    async def _hear_rest(
        self, gateway_id: str, waiting: Awaitable[None], messages: Sequence[bytes]
    ) -> None:
        await waiting
        for raw in messages:
            more = self._hear_one(gateway_id, raw)
            if more is not None:
                await more

    def _hear_one(self, gateway_id: str, raw: bytes) -> Awaitable[None] | None:
        try:
            message = PeerMessage.FromString(raw)
        except DecodeError:
            log.error("a peer says what cannot be read", gateway=gateway_id, size=len(raw))
            return None
        kind = message.WhichOneof("content")
        hear = None if kind is None else self.heard.get(kind)
        if kind is None or hear is None:
            return None  # a newer version's word
        return hear(gateway_id, getattr(message, kind))

    def _hear_delivery(self, gateway_id: str, told: Delivery) -> None:
        now = self._now()
        tenant = self._members.tenants.get(told.tenant)
        parcel: Parcel | None = None
        for recipient in told.recipients:
            heard_on = recipient.topic if recipient.topic or recipient.needs_consent else None
            if parcel is None or parcel.heard_on != heard_on:
                parcel = _parcel(told, heard_on, gateway_id, now)
            member = None if tenant is None else tenant.everyone.get(recipient.agent_id)
            if isinstance(member, RemoteMember):
                continue  # it has moved; the origin sees where to, and sends it there
            if tenant is None or member is None:
                whom = (gateway_id, told.tenant, recipient.agent_id, "agent_absent")
                self._reports[whom].append(told.msg_id)
                self._flush_soon()
            else:
                self._deliver(member, parcel, now)

    def _deliver(self, member: Recipient, parcel: Parcel, now: float) -> None:
        if (
            parcel.heard_on is not None
            and parcel.sender != member.agent_id
            and not member.allows(parcel.sender, parcel.heard_on or None, now)
        ):
            self.report(member, parcel, "consent_revoked")
            return
        pushed = self._router.deliver(member, parcel)
        if pushed is Pushed.FULL:
            self.report(member, parcel, "recipient_overloaded")
        elif pushed is Pushed.ID_TAKEN:
            self.report(member, parcel, "msg_id_taken")
        elif pushed is Pushed.REPEATED and len(self._followers) < FOLLOWERS_MAX:
            # It came from somebody else first, who will hear; so shall this origin.
            first = (parcel.expires_at, set[str]())
            self._followers.setdefault((member.key, parcel.msg_id), first)[1].add(parcel.origin)

    def _hear_report(self, gateway_id: str, told: DeliveryReport) -> None:
        tenant = self._members.tenants.get(told.tenant)
        member = None if tenant is None else tenant.everyone.get(told.agent_id)
        if member is None:
            return
        if told.reason:
            about = frozenset(told.msg_ids)
            parcels = member.outbox.withhold(lambda parcel: parcel.msg_id in about)
            self._router.undelivered(member, parcels, told.reason)
            return
        self._metrics.acknowledged += member.outbox.confirm(told.msg_ids, self._now())
        if member.outbox.followed or member.is_boxed:
            self._router.delivered(member)

    def _hear_answer(self, gateway_id: str, told: AgentAnswer) -> None:
        tenant = self._members.tenants.get(told.tenant)
        member = None if tenant is None else tenant.members.get(told.agent_id)
        if member is None:
            return  # it has moved, and a session has moved or ended with it
        match told.WhichOneof("content"):
            case "refusal":
                member.answer_refused(told.refusal)
            case "opened":
                member.answer_opened(told.opened)
            case "receipt":
                member.answer_receipt(told.receipt)

    def _hear_act(self, gateway_id: str, told: ForwardedAct) -> Awaitable[None] | None:
        envelope = Envelope.FromString(told.envelope)  # its home has read it before
        tenant = self._members.tenants.get(told.tenant)
        member = None if tenant is None else tenant.everyone.get(told.agent_id)
        if tenant is None or member is None:
            return None  # it has left its home since
        member.is_system = told.is_system
        negotiation_id, now = envelope.negotiation_id, self._now()
        ttl = told.time_to_live.ToNanoseconds() / 1e9
        parcel = Parcel(
            envelope.msg_id, told.envelope, now + ttl, member.agent_id, negotiation_id, True
        )
        shard = self._negotiations.shard_of(negotiation_id, tenant)
        is_here = shard is not None and shard.table.knows(negotiation_id)
        if not is_here and self.on_foreign_act(told, negotiation_id):
            return None
        if told.is_malformed:
            self._negotiations.malformed(negotiation_id, Cause(member, parcel))
            return None
        if shard is None:
            self.refuse(member, envelope, UNKNOWN_NEGOTIATION)
            return None
        owed = None
        if self.durability is not None and self.durability.concerns(negotiation_id):
            hindrance = self.durability.hindrance()
            if hindrance is not None:
                self.refuse(member, envelope, hindrance)
                return None
            owed = asyncio.Event()
        body: Mapping[str, Any] = orjson.loads(envelope.payload)
        cause = Cause(member, parcel, body, tuple(told.sensitive), (), owed)
        event = event_of(envelope, member.agent_id, body, now)
        has_room = shard.post(now, negotiation_id, event, cause)
        if owed is not None:
            return _wait(owed)
        return None if has_room else shard.room()

    def refuse(self, member: Recipient, act: Envelope, fault: Fault) -> None:
        """Tell an agent, wherever it is, that its act does not count."""
        self._metrics.refused[fault.code] += 1
        refusal = refusal_of(fault, act.msg_id, act.negotiation_id)
        member.answer_refused(refusal.SerializeToString())


class _Batch:
    """Deliveries for one gateway, in order; equal ones for several agents are one."""

    def __init__(self) -> None:
        self.messages: list[PeerMessage] = []
        self.recipients: list[list[RemoteMember]] = []
        self._places: dict[tuple[str, str, int], int] = {}
        self._last: dict[str, int] = {}

    def add(self, member: RemoteMember, parcel: Parcel, now: float) -> None:
        """Add a parcel for a member, behind all that were added for it."""
        key = (member.tenant.name, parcel.msg_id, id(parcel.envelope))
        place = self._places.get(key, -1)
        if place < self._last.get(member.key, 0) or (len(self.recipients[place]) >= RECIPIENTS_MAX):
            place = self._places[key] = len(self.messages)
            self.messages.append(_delivery(member.tenant, parcel, now))
            self.recipients.append([])
        self._last[member.key] = place
        heard_on = parcel.heard_on
        recipient = self.messages[place].delivery.recipients.add(agent_id=member.agent_id)
        if heard_on:
            recipient.topic = heard_on
        elif heard_on is not None:
            recipient.needs_consent = True
        self.recipients[place].append(member)


def _delivery(tenant: Tenant, parcel: Parcel, now: float) -> PeerMessage:
    """Return a Delivery, filled in where it stands: message objects are copied when put in."""
    message = PeerMessage()
    told = message.delivery
    told.tenant = tenant.name
    told.envelope = parcel.envelope
    told.msg_id = parcel.msg_id
    told.sender = parcel.sender
    if parcel.negotiation_id:
        told.negotiation_id = parcel.negotiation_id
    _fill(told.time_to_live, parcel.expires_at - now)
    if parcel.repeats:
        told.repeats = True
    if parcel.is_call:
        told.is_call = True
    return message


def _parcel(told: Delivery, heard_on: str | None, origin: str, now: float) -> Parcel:
    left = told.time_to_live
    return Parcel(
        told.msg_id,
        told.envelope,
        now + left.seconds + left.nanos / 1e9,  # ToNanoseconds takes four times as long
        told.sender,
        told.negotiation_id,
        told.repeats,
        heard_on,
        is_call=told.is_call,
        origin=origin,
    )


def _fill(duration: Duration, seconds: float) -> None:
    whole = int(seconds) if seconds > 0 else 0
    duration.seconds = whole
    duration.nanos = int((seconds - whole) * 1e9) if seconds > 0 else 0


async def _wait(owed: asyncio.Event) -> None:
    await owed.wait()
