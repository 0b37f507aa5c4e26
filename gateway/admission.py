"""What must hold before a message enters: the cheapest check first.

Size, sender, rate, duplicate, header, payload, schema, then, per act, consent and
capability. Every check that fails is an answer with a code, a pointer and a remedy, and the
stream lives on. A message that is refused leaves no trace, so the same msg_id may be used
for the corrected one; it is remembered as a duplicate only once it is admitted.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass

from google.protobuf.message import DecodeError

from gateway.calls import CallLimits, call_of
from gateway.clock import Clock, iso_text, seconds_of
from gateway.duplicates import Duplicates
from gateway.members import Member
from gateway.metrics import Metrics
from gateway.negotiations import UNKNOWN_NEGOTIATION, Cause, Negotiations, redacted
from gateway.outbox import Parcel, Pushed
from gateway.policies import Policies
from gateway.refusals import Fault, refusal_of
from gateway.router import Router
from gateway.validation import Judgement, Validation
from llmx.v1.envelope_pb2 import Act, Envelope, QualityOfService

MSG_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
AT_MOST_ONCE = QualityOfService.QUALITY_OF_SERVICE_AT_MOST_ONCE

SENDABLE = frozenset(Act.values()) - {Act.ACT_UNSPECIFIED}
PARTY_ACTS = SENDABLE - {Act.ACT_MESSAGE, Act.ACT_CFP}
"""Acts that happen inside a negotiation that is open already."""

UNREADABLE = Fault(
    "MALFORMED_ENVELOPE",
    "the bytes are not an llmx.v1.Envelope",
    "serialise llmx.v1.Envelope with strings in UTF-8",
)

Waiting = Awaitable[None]
"""What the reader of a stream awaits before it reads on: a worker, or room in a queue."""


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """The bounds of a message."""

    envelope_bytes_max: int
    payload_bytes_max: int
    recipients_max: int
    capabilities_max: int
    ttl_default: float
    ttl_max: float
    clock_skew_max: float


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends on a stream, as its token says."""

    member: Member
    acts: frozenset[int] | None
    """The acts that the token allows; None means all."""


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
    ) -> None:
        """Check against `limits` and hand on to `router` and `negotiations`."""
        self._limits = limits
        self._call_limits = call_limits
        self._now = now
        self._metrics = metrics
        self._validation = validation
        self._policies = policies
        self._router = router
        self._negotiations = negotiations
        self._duplicates = duplicates
        self.stopping = False

    def admit(self, sender: Sender, raw: bytes) -> Waiting | None:
        """Admit or refuse one serialised envelope; the answer goes to the sender's stream.

        Returns None, or something to await before the sender's next envelope.
        """
        member = sender.member
        try:
            envelope = Envelope.FromString(raw)
        except DecodeError:
            return self._refuse(member, "", UNREADABLE)
        now = self._now()
        fault = self._check_header(sender, envelope, raw, now)
        if fault is not None:
            return self._refuse(member, envelope.msg_id, fault, envelope.negotiation_id)
        key = member.key + envelope.msg_id
        opened = self._duplicates.find(key)
        if opened is not None:
            return self._refuse_duplicate(member, envelope.msg_id, opened)
        judged = self._validation.judge(envelope, member.tenant.name)
        if type(judged) is Judgement:
            return self._enter(sender, envelope, raw, key, judged, now)
        return self._enter_later(sender, envelope, raw, key, judged)

    async def _enter_later(
        self,
        sender: Sender,
        envelope: Envelope,
        raw: bytes,
        key: str,
        judged: Awaitable[Judgement],
    ) -> None:
        """Wait for a worker's judgement; only this sender waits with us."""
        judgement = await judged
        waiting = self._enter(sender, envelope, raw, key, judgement, self._now())
        if waiting is not None:
            await waiting

    def _enter(
        self,
        sender: Sender,
        envelope: Envelope,
        raw: bytes,
        key: str,
        judgement: Judgement,
        now: float,
    ) -> Waiting | None:
        """Route what its schema accepts."""
        member, act = sender.member, envelope.act
        if judgement.fault is not None:
            if act in PARTY_ACTS:
                self._negotiations.malformed(
                    envelope.negotiation_id, Cause(member, envelope.msg_id, raw, now, False)
                )
            return self._refuse(
                member, envelope.msg_id, judgement.fault, envelope.negotiation_id
            )
        ttl = self._limits.ttl_default
        if envelope.HasField("scope") and envelope.scope.HasField("ttl"):
            ttl = envelope.scope.ttl.seconds + envelope.scope.ttl.nanos / 1e9
        cause = Cause(
            member,
            envelope.msg_id,
            raw,
            now + ttl,
            envelope.quality_of_service != AT_MOST_ONCE,
            judgement.body,
            judgement.sensitive,
        )
        if act == Act.ACT_MESSAGE:
            return self._enter_message(member, envelope, key, cause, now)
        if act == Act.ACT_CFP:
            return self._enter_call(member, envelope, key, cause, now)
        shard = self._negotiations.shard_of(envelope.negotiation_id, member.tenant)
        if shard is None:
            return self._refuse(
                member, envelope.msg_id, UNKNOWN_NEGOTIATION, envelope.negotiation_id
            )
        self._duplicates.remember(key, "", now)
        self._metrics.admitted += 1
        full = self._negotiations.act(
            shard, act, envelope.negotiation_id, judgement.body, cause, now
        )
        return None if full is None else full.room()

    def _enter_message(
        self, member: Member, envelope: Envelope, key: str, cause: Cause, now: float
    ) -> Waiting | None:
        audience = self._router.audience(member.tenant, member.agent_id, envelope)
        if isinstance(audience, Fault):
            return self._refuse(member, envelope.msg_id, audience)
        parcel = Parcel(
            cause.msg_id, cause.envelope, cause.expires_at, member.agent_id, "", cause.repeats
        )
        full = [
            other.agent_id
            for other, topic in zip(audience.members, audience.topics, strict=True)
            if self._router.deliver(other, self._for(other, topic, parcel, cause, now))
            in (Pushed.FULL, Pushed.ID_TAKEN)
        ]
        if len(full) == len(audience.members):
            return self._refuse(member, envelope.msg_id, OVERLOADED_RECIPIENT)
        self._duplicates.remember(key, "", now)
        self._metrics.admitted += 1
        for agent_id in full:
            self._router.tell_failure(member.tenant, parcel, agent_id, "recipient_overloaded")
        return None

    def _for(
        self, other: Member, topic: str | None, parcel: Parcel, cause: Cause, now: float
    ) -> Parcel:
        if not cause.sensitive:
            return parcel
        return parcel._replace(envelope=redacted(cause, other, topic, now))

    def _enter_call(
        self, member: Member, envelope: Envelope, key: str, cause: Cause, now: float
    ) -> Waiting | None:
        if self.stopping:
            return self._refuse(member, envelope.msg_id, STOPPING)
        audience = self._router.audience(member.tenant, member.agent_id, envelope)
        if isinstance(audience, Fault):
            return self._refuse(member, envelope.msg_id, audience)
        assert cause.body is not None, "a judged call has a payload"
        call = call_of(
            cause.body,
            negotiation_id=self._negotiations.mint(member.tenant),
            msg_id=envelope.msg_id,
            initiator=member.agent_id,
            tenant=member.tenant.name,
            eligible=tuple(other.agent_id for other in audience.members),
            policies=self._policies,
            limits=self._call_limits,
            now=now,
        )
        if isinstance(call, Fault):
            return self._refuse(member, envelope.msg_id, call)
        self._duplicates.remember(key, call.negotiation_id, now)
        self._metrics.admitted += 1
        topics = None
        if cause.sensitive:
            topics = dict(zip(call.eligible, audience.topics, strict=True))
        named = Envelope(negotiation_id=call.negotiation_id).SerializeToString()
        # Protobuf merges concatenated messages, so the sender's bytes stay as they came.
        full = self._negotiations.open(
            call, cause._replace(envelope=cause.envelope + named, topics=topics)
        )
        return None if full is None else full.room()

    def _check_header(
        self, sender: Sender, envelope: Envelope, raw: bytes, now: float
    ) -> Fault | None:
        """Return what is wrong with the envelope around the payload, cheapest check first."""
        limits, member, act = self._limits, sender.member, envelope.act
        if len(raw) > limits.envelope_bytes_max or len(envelope.payload) > limits.payload_bytes_max:
            return Fault(
                "TOO_LARGE",
                f"the payload has {len(envelope.payload)} bytes, the envelope {len(raw)}",
                f"send at most {limits.payload_bytes_max} bytes of payload",
                "/payload",
            )
        if envelope.sender != member.agent_id:
            return Fault(
                "SENDER_MISMATCH",
                "from is not the agent that the token names",
                f"send as {member.agent_id}",
                "/envelope/from",
            )
        wait = member.bucket.take(now)
        if wait:
            return Fault(
                "RATE_EXCEEDED",
                "the agent sends faster than its rate",
                f"wait {wait:.3f} seconds and send again",
                retry_after=wait,
            )
        if MSG_ID.fullmatch(envelope.msg_id) is None:
            return Fault(
                "MALFORMED_ENVELOPE",
                "msg_id is empty, too long, or has characters that ids do not have",
                "use 1 to 128 of A-Z a-z 0-9 . _ ~ -, a UUID for example",
                "/envelope/msg_id",
            )
        if act not in SENDABLE:
            return Fault(
                "UNKNOWN_ACT",
                f"act {act} is not an act",
                "use one of the acts of llmx.v1.Act",
                "/envelope/act",
            )
        if sender.acts is not None and act not in sender.acts:
            return Fault(
                "ACT_NOT_ALLOWED",
                "the token does not allow this act",
                "ask the issuer of the token for the act in its acts claim",
                "/envelope/act",
            )
        if act in PARTY_ACTS and not envelope.negotiation_id:
            return Fault(
                "UNKNOWN_NEGOTIATION",
                "the act belongs to a negotiation, and none is named",
                "set negotiation_id to the one that the call bears",
                "/envelope/negotiation_id",
            )
        if (
            len(envelope.recipients) > limits.recipients_max
            or len(envelope.capabilities) > limits.capabilities_max
        ):
            return Fault(
                "MALFORMED_ENVELOPE",
                "the envelope names too many recipients or capabilities",
                f"name at most {limits.recipients_max} recipients, "
                f"{limits.capabilities_max} capabilities",
                "/envelope/to",
            )
        if envelope.HasField("scope") and envelope.scope.HasField("ttl"):
            ttl = envelope.scope.ttl.seconds + envelope.scope.ttl.nanos / 1e9
            if not 0 < ttl <= limits.ttl_max:
                return Fault(
                    "TTL_INVALID",
                    f"a time to live of {ttl:g} seconds cannot be kept",
                    f"choose more than 0 and at most {limits.ttl_max:g} seconds",
                    "/envelope/scope/ttl",
                )
        at = seconds_of(envelope.ts)
        if at is None or at > now + limits.clock_skew_max:
            return Fault(
                "CLOCK_SKEW",
                "ts is no ISO 8601 time with a zone"
                if at is None
                else f"ts lies {at - now:.0f} seconds in the future",
                f"set the clock; here it is {iso_text(now)}",
                "/envelope/ts",
            )
        return None

    def _refuse(
        self, member: Member, msg_id: str, fault: Fault, negotiation_id: str = ""
    ) -> Waiting | None:
        """Answer with `fault`; there is never anything to wait for."""
        self._metrics.refused[fault.code] += 1
        if member.stream is not None:
            member.stream.answer_refused(
                refusal_of(fault, msg_id, negotiation_id).SerializeToString()
            )
        return None

    def _refuse_duplicate(self, member: Member, msg_id: str, opened: str) -> Waiting | None:
        """Answer a repeat; a repeated call is also told again which negotiation it opened."""
        if opened and member.stream is not None:
            answer = self._negotiations.opened_again(opened, msg_id, member.tenant)
            if answer is not None:
                member.stream.answer_opened(answer)
        return self._refuse(member, msg_id, DUPLICATE, opened)


DUPLICATE = Fault(
    "DUPLICATE",
    "this msg_id was admitted before",
    "nothing is lost if this is a repeat; use a new msg_id for a new message",
    "/envelope/msg_id",
)
OVERLOADED_RECIPIENT = Fault(
    "RECIPIENT_OVERLOADED",
    "the recipient has more unconfirmed messages than it may",
    "wait until it has caught up, and send again",
    "/envelope/to",
    retry_after=1.0,
)
STOPPING = Fault(
    "STOPPING",
    "the gateway is stopping and takes no new calls",
    "connect again, and send the call there",
    retry_after=1.0,
)
