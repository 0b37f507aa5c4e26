"""What must hold before a message enters: the cheapest check first.

Header (size, act, sender, ids, times), rate, duplicate, payload, schema, then, per act,
consent and capability. Whatever is wrong with a message, it costs its sender a token. Every
check that fails is an answer with a code, a pointer and a remedy, and the stream lives on. A
message that is refused leaves no trace, so the same msg_id may be used for the corrected
one; it is remembered as a duplicate only once it is admitted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from google.protobuf.message import DecodeError

from gateway.admission_refusals import (
    ALL_AWAY,
    DUPLICATE,
    FENCED,
    MISSED,
    NOT_DURABLE,
    ONLY_ITSELF,
    STOPPING,
    UNREADABLE,
)
from gateway.answers import UNKNOWN_NEGOTIATION
from gateway.calls import CallLimits, call_of, why_not_revise
from gateway.causes import Cause, redacted
from gateway.clock import Clock
from gateway.codec import EVENT_OF, event_of
from gateway.duplicates import Duplicates
from gateway.durability import NO_STORE, STORE_FAILS, Durability
from gateway.envelope_head import Head, head_of
from gateway.headers import AdmissionLimits, HeaderCheck, Sender
from gateway.members import Member, Recipient
from gateway.metrics import Metrics
from gateway.negotiations import Negotiations
from gateway.outbox import Parcel, Pushed
from gateway.policies import Policies
from gateway.refusals import Fault, refusal_of
from gateway.router import Audience, Router
from gateway.settling.escrow import is_durable
from gateway.telemetry.traffic import COUNTED
from gateway.validation import Judgement, Validation
from llmx.v1.envelope_pb2 import (
    ACT_MESSAGE,
    ACT_OFFER,
    QUALITY_OF_SERVICE_AT_MOST_ONCE,
    QUALITY_OF_SERVICE_ONCE,
    RECEIPT_REQUEST_DELIVERED,
    Envelope,
)

MALFORMED = frozenset({"SCHEMA_VIOLATION", "INVALID_JSON"})
"""What is wrong with an offer itself, and not with our time to judge it."""

Waiting = Awaitable[None]
"""What the reader of a stream awaits before it reads on: a worker, or room in a queue."""
Elsewhere = Callable[[Member, Parcel, tuple[str, ...], bool], Fault | None]
"""Sends an act with sensitive fields elsewhere; is it malformed?"""


class Admission:
    """Lets messages in, one at a time and in order for each stream."""

    def __init__(
        self,
        limits: AdmissionLimits,
        call_limits: CallLimits,
        now: Clock,
        metrics: Metrics,
        validation: Validation,
        policies: Policies,
        router: Router,
        negotiations: Negotiations,
        duplicates: Duplicates,
        once: Duplicates,
    ) -> None:
        """Check against `limits` and hand on to `router` and `negotiations`."""
        self._limits = limits
        self._headers = HeaderCheck(limits)
        self._call_limits = call_limits
        self._now = now
        self._metrics = metrics
        self._validation = validation
        self._policies = policies
        self._router = router
        self._negotiations = negotiations
        self._duplicates = duplicates
        self._once = once
        self.stopping = False
        self.may_decide: Callable[[], bool] = lambda: True
        """Tells whether a call that comes now would be decided here."""
        self.on_repeated: Callable[[str], None] = lambda negotiation_id: None
        """Hears which negotiations were opened by calls that may have had one before."""
        self.durability: Durability | None = None
        self.elsewhere: Elsewhere | None = None
        """Sends an act to the gateway that owns its negotiation; None where no other one is."""
        """Set when the gateway has a store."""

    def admit(self, sender: Sender, raw: bytes) -> Waiting | None:
        """Admit or refuse one serialised envelope; the answer goes to the sender's stream.

        Returns None, or something to await before the sender's next envelope.
        """
        member = sender.member
        try:
            envelope = head_of(raw)
        except DecodeError:
            return self._refuse(member, "", UNREADABLE)
        now = self._now()
        msg_id, act, payload = envelope.msg_id, envelope.act, envelope.payload
        member.traffic.received[act if 0 <= act < COUNTED else 0] += 1
        negotiation_id = envelope.negotiation_id
        over = member.allowance.take(now, len(raw), sender.system)
        ttl = self._headers.time_to_live(
            envelope, msg_id, act, negotiation_id, len(payload), len(raw), sender, now
        )
        key = member.key + msg_id
        quality = envelope.quality_of_service
        opened = self._duplicates.find(key)
        if opened is None and quality == QUALITY_OF_SERVICE_ONCE:
            opened = self._once.find(key)
        if over is not None or not ttl:
            fault = self._headers.fault_in(raw, sender, now)
            if fault is None and opened is None:
                fault = over  # what was admitted before is no message that came too early
            if fault is not None:
                return self._refuse(member, msg_id, fault, negotiation_id)
        if opened is not None:
            if member.owed:
                # DUPLICATE means that it was admitted; the disk may yet refuse the first copy.
                return member.when_settled(lambda: self.admit(sender, raw))
            return self._refuse_duplicate(member, msg_id, opened)
        parcel = Parcel(
            msg_id,
            raw,
            now + ttl,
            member.agent_id,
            negotiation_id,
            quality != QUALITY_OF_SERVICE_AT_MOST_ONCE,
            None,
            envelope.receipt == RECEIPT_REQUEST_DELIVERED,
        )
        judged = self._validation.judge(payload, act, member.tenant)
        if isinstance(judged, Judgement):
            return self._enter(member, envelope, act, parcel, key, judged, now)
        return self._enter_later(member, envelope, act, parcel, key, judged, now)

    async def _enter_later(
        self,
        member: Member,
        envelope: Head,
        act: int,
        parcel: Parcel,
        key: str,
        judged: Awaitable[Judgement],
        received_at: float,
    ) -> None:
        """Wait for a worker's judgement; only this sender waits with us."""
        negotiation_id = parcel.negotiation_id
        shard = self._negotiations.shard_of(negotiation_id, member.tenant)
        held = shard is not None and shard.hold(negotiation_id, received_at)
        try:
            waiting = self._enter(member, envelope, act, parcel, key, await judged, received_at)
        finally:
            if held and shard is not None:
                shard.release(negotiation_id)
        if waiting is not None:
            await waiting

    def _enter(
        self,
        member: Member,
        head: Head,
        act: int,
        parcel: Parcel,
        key: str,
        judgement: Judgement,
        now: float,
    ) -> Waiting | None:
        """Route what its schema accepts; `key` is sender and msg_id, to know a repeat by."""
        negotiation_id, body = parcel.negotiation_id, judgement.body
        if judgement.fault is not None:
            if act == ACT_OFFER and judgement.fault.code in MALFORMED:
                self._malformed(member, parcel, negotiation_id)
            return self._refuse(member, parcel.msg_id, judgement.fault, negotiation_id)
        cause = Cause(member, parcel, body, judgement.sensitive, author=member)
        made_of = EVENT_OF.get(act)
        if made_of is None:  # a message, or a call
            envelope = Envelope.FromString(parcel.envelope)
            if act == ACT_MESSAGE:
                return self._enter_message(member, envelope, key, cause, now)
            if not negotiation_id:
                return self._enter_call(member, envelope, key, cause, now)
            fault = why_not_revise(body, envelope.recipients, self._call_limits, now)
            if fault is not None:
                return self._refuse(member, parcel.msg_id, fault, negotiation_id)
        shard = self._negotiations.shard_of(negotiation_id, member.tenant)
        if shard is None:
            return self._enter_elsewhere(member, head, key, cause, now)
        if self.durability is not None or head.durable:
            due = self._durable_act(negotiation_id, wanted=head.durable)
            if isinstance(due, Fault):
                return self._refuse(member, parcel.msg_id, due, negotiation_id)
            if due is not None:
                cause = msgspec.structs.replace(cause, owed=due.owe(member))
        if made_of is None:
            event = event_of(envelope, member.agent_id, body, now)
        else:
            event = made_of(member.agent_id, parcel.msg_id, body, now)
        self._remember(member, head, key, "", now)
        self._metrics.admitted += 1
        member.unjudged += 1
        return None if shard.post(now, negotiation_id, event, cause) else shard.room()

    def _malformed(self, member: Member, parcel: Parcel, negotiation_id: str) -> None:
        """Tell a negotiation, wherever it is, that a party broke its schema."""
        if self._negotiations.shard_of(negotiation_id, member.tenant) is not None:
            self._negotiations.malformed(negotiation_id, Cause(member, parcel))
        elif self.elsewhere is not None:
            self.elsewhere(member, parcel, (), True)

    def _enter_elsewhere(
        self, member: Member, head: Head, key: str, cause: Cause, now: float
    ) -> Waiting | None:
        """Send an act to the gateway that owns its negotiation."""
        parcel = cause.parcel
        fault: Fault | None = UNKNOWN_NEGOTIATION
        if self.elsewhere is not None and parcel.negotiation_id.endswith(member.tenant.tag):
            fault = self.elsewhere(member, parcel, cause.sensitive, False)
        if fault is not None:
            return self._refuse(member, parcel.msg_id, fault, parcel.negotiation_id)
        self._remember(member, head, key, "", now)
        self._metrics.admitted += 1
        return None

    def _enter_message(
        self, member: Member, envelope: Envelope, key: str, cause: Cause, now: float
    ) -> Waiting | None:
        if member.owed and not envelope.durable:
            return member.when_settled(
                lambda: self._enter_message(member, envelope, key, cause, now)
            )
        audience = self._router.audience(member.tenant, member.agent_id, envelope)
        if isinstance(audience, Fault):
            return self._refuse(member, envelope.msg_id, audience)
        parcel = msgspec.structs.replace(cause.parcel, negotiation_id="", heard_on="")
        if envelope.durable:
            return self._enter_durably(member, envelope, audience, parcel, key, cause, now)
        missed: list[tuple[str, str]] = []
        for other, topic in zip(audience.members, audience.topics, strict=True):
            pushed = self._router.deliver(other, self._for(other, topic, parcel, cause, now))
            if pushed is Pushed.FULL:
                missed.append((other.agent_id, "recipient_overloaded"))
            elif pushed is Pushed.ID_TAKEN:
                missed.append((other.agent_id, "msg_id_taken"))
        if len(missed) == len(audience.members):
            return self._refuse(member, envelope.msg_id, MISSED[missed[0][1]])
        self._remember(member, envelope, key, "", now)
        self._metrics.admitted += 1
        for agent_id, reason in missed:
            self._router.tell_failure(member.tenant, parcel, agent_id, reason)
        return None

    def _enter_durably(
        self,
        member: Member,
        envelope: Envelope,
        audience: Audience,
        parcel: Parcel,
        key: str,
        cause: Cause,
        now: float,
    ) -> Waiting | None:
        """Route a message once it is on disk; the frame it came in waits for that."""
        durability = self.durability
        fault = NO_STORE if durability is None else durability.hindrance()
        if durability is None or fault is not None:
            return self._refuse(member, parcel.msg_id, fault or NO_STORE)

        stream = member.stream

        def hear(written: bool) -> None:
            if written:
                self._metrics.admitted += 1
                for agent_id, reason in missed:
                    self._router.tell_failure(member.tenant, parcel, agent_id, reason)
            else:
                member.receipts_due = [one for one in member.receipts_due if one != parcel.msg_id]
                self._once.forget(key)
                if member.stream is stream:  # else its batch comes again, and it is judged anew
                    self._refuse(member, parcel.msg_id, STORE_FAILS)

        letters = [
            (other, self._for(other, topic, parcel, cause, now))
            for other, topic in zip(audience.members, audience.topics, strict=True)
        ]
        missed = durability.send(member, key, letters, now, hear)
        if len(missed) == len(letters):
            return self._refuse(member, parcel.msg_id, MISSED[missed[0][1]])
        self._remember(member, envelope, key, "", now)
        return None

    def _remember(
        self, member: Member, envelope: Head | Envelope, key: str, opened: str, now: float
    ) -> None:
        """Know an admitted message when it comes again, and tell its sender if it asked."""
        member.traffic.admitted[envelope.act] += 1
        self._duplicates.remember(key, opened, now)
        if envelope.quality_of_service == QUALITY_OF_SERVICE_ONCE:
            self._once.remember(key, opened, now)
        if envelope.receipt:
            member.receipts_due.append(envelope.msg_id)

    def _durable_act(self, negotiation_id: str, *, wanted: bool) -> Durability | Fault | None:
        """Return what makes an act durable if its negotiation is, or why it cannot be."""
        durability = self.durability
        if durability is not None and durability.concerns(negotiation_id):
            return durability.hindrance() or durability
        return NOT_DURABLE if wanted else None

    def _for(
        self, other: Recipient, topic: str | None, parcel: Parcel, cause: Cause, now: float
    ) -> Parcel:
        if topic is None and not cause.sensitive:
            return parcel
        envelope = redacted(cause, other, topic, now) if cause.sensitive else parcel.envelope
        return msgspec.structs.replace(parcel, envelope=envelope, heard_on=topic or "")

    def _enter_call(
        self, member: Member, envelope: Envelope, key: str, cause: Cause, now: float
    ) -> Waiting | None:
        fault = self._negotiations.want_of_room(member)
        if self.stopping or not self.may_decide():
            fault = STOPPING if self.stopping else FENCED
        if fault is not None:
            return self._refuse(member, envelope.msg_id, fault)
        audience = self._router.audience(member.tenant, member.agent_id, envelope)
        if isinstance(audience, Fault):
            return self._refuse(member, envelope.msg_id, audience)
        called = [
            (other.agent_id, topic)
            for other, topic in zip(audience.members, audience.topics, strict=True)
            if other is not member and not other.is_away  # nobody bids in a round of its own
        ]
        if not called:
            fault = ONLY_ITSELF if audience.members == (member,) else ALL_AWAY
            return self._refuse(member, envelope.msg_id, fault)
        eligible, topics = zip(*called, strict=True)
        assert cause.body is not None, "a judged call has a payload"
        durability = self.durability
        durable = is_durable(cause.body, self._call_limits.escrow, marked=envelope.durable)
        if durable:
            fault = NO_STORE if durability is None else durability.hindrance()
            if fault is not None:
                return self._refuse(member, envelope.msg_id, fault)
        call = call_of(
            cause.body,
            negotiation_id=self._negotiations.mint(member.tenant),
            msg_id=envelope.msg_id,
            initiator=member.agent_id,
            tenant=member.tenant.name,
            eligible=eligible,
            policies=self._policies,
            limits=self._call_limits,
            now=now,
            protocols=self._negotiations.protocols,
        )
        if isinstance(call, Fault):
            return self._refuse(member, envelope.msg_id, call)
        if envelope.sent_before:
            self.on_repeated(call.negotiation_id)
        self._remember(member, envelope, key, call.negotiation_id, now)
        self._metrics.admitted += 1
        name = call.negotiation_id
        # Protobuf merges concatenated messages, so the sender's bytes stay as they came.
        whole = cause.parcel.envelope + Envelope(negotiation_id=name).SerializeToString()
        parcel = msgspec.structs.replace(cause.parcel, envelope=whole, negotiation_id=name)
        owed = durability.owe(member) if durable and durability is not None else None
        cause = msgspec.structs.replace(cause, parcel=parcel, topics=topics, owed=owed)
        member.unjudged += 1
        full = self._negotiations.open(call, cause)
        return None if full is None else full.room()

    def _refuse(
        self, member: Member, msg_id: str, fault: Fault, negotiation_id: str = ""
    ) -> Waiting | None:
        """Answer with `fault`; there is never anything to wait for."""
        self._metrics.refused[fault.code] += 1
        member.refuse(refusal_of(fault, msg_id, negotiation_id).SerializeToString())
        return None

    def _refuse_duplicate(self, member: Member, msg_id: str, opened: str) -> Waiting | None:
        """Answer a repeat; a repeated call is also told again which negotiation it opened."""
        answer = self._negotiations.opened_again(opened, msg_id, member.tenant) if opened else None
        if answer is not None:
            member.answer_opened(answer)
        return self._refuse(member, msg_id, DUPLICATE, opened)
