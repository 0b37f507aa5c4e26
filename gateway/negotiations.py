"""The negotiations that this gateway owns: opening them, feeding them, carrying out effects.

An id reads `<gateway>.<shard>.<unique><tenant tag>`. The shard is where its acts go, the tag
keeps tenants apart without a table: an agent of another tenant hears that there is no such
negotiation.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.clock import Clock, iso_text
from gateway.codec import Teller
from gateway.members import TAG_LENGTH, Member, Members, Tenant
from gateway.metrics import Metrics
from gateway.outbox import Parcel, Pushed
from gateway.records import Recorder
from gateway.redaction import redact
from gateway.refusals import Fault, refusal_of
from gateway.router import QUEUED, Router
from llmx.v1.envelope_pb2 import Envelope
from llmx.v1.negotiation_pb2 import NegotiationOpened
from policy.call import Call
from policy.effects import Effect, Finish, Refuse, Relay, Tell
from policy.events import AgentGone, Event, MalformedReceived
from policy.shard import Shard
from policy.table import Table

NOBODY: Mapping[str, Member] = {}


class Cause(msgspec.Struct, frozen=True, gc=False):
    """The message that caused a step, as far as its effects need it."""

    sender: Member
    msg_id: str
    envelope: bytes
    expires_at: float
    repeats: bool
    body: Mapping[str, Any] | None = None
    """The payload, where `sensitive` asks for a redacted copy per recipient."""
    sensitive: tuple[str, ...] = ()
    topics: Mapping[str, str | None] | None = None
    """On which topic each recipient of a call hears it."""


class Negotiations:
    """All shards of one gateway."""

    def __init__(
        self,
        gateway_id: str,
        now: Clock,
        members: Members,
        router: Router,
        metrics: Metrics,
        recorder: Recorder,
        shards: int,
        queue_max: int,
        open_max: int,
        finished_max: int,
        ttl_default: float,
    ) -> None:
        """Make the shards; the caller runs each of them as a task."""
        self._gateway_id = gateway_id
        self._address = f"gateway://{gateway_id}"
        self._now = now
        self._router = router
        self._metrics = metrics
        self._recorder = recorder
        self._ttl = ttl_default
        self._boot = secrets.token_hex(3)
        self._minted = 0
        self._members = members
        self._prefix = f"{gateway_id}."
        self.shards: list[Shard[Cause]] = [
            Shard(
                number,
                Table(
                    max(1, open_max // shards), max(1, finished_max // shards), keep_records=True
                ),
                now,
                self._perform,
                queue_max,
            )
            for number in range(shards)
        ]
        self._shard_by_text = {str(shard.number): shard for shard in self.shards}
        router.on_undelivered = self._undelivered

    def __len__(self) -> int:
        """Return how many negotiations are open or remembered."""
        return sum(len(shard.table) for shard in self.shards)

    def mint(self, tenant: Tenant) -> str:
        """Return a fresh id for a negotiation of `tenant`, in the next shard."""
        self._minted += 1
        number = self._minted % len(self.shards)
        return f"{self._gateway_id}.{number}.{self._boot}{self._minted:x}{tenant.tag}"

    def shard_of(self, negotiation_id: str, tenant: Tenant) -> Shard[Cause] | None:
        """Return the shard that owns an id, or None when it cannot be one of `tenant`'s."""
        if negotiation_id.endswith(tenant.tag) and negotiation_id.startswith(self._prefix):
            return self._shard_by_text.get(negotiation_id[len(self._prefix) :].partition(".")[0])
        return None

    def open(self, call: Call, cause: Cause) -> Shard[Cause] | None:
        """Post a call; returns the shard to wait for when its queue is full."""
        shard = self.shards[int(call.negotiation_id.rsplit(".", 2)[1])]
        return None if shard.post(call.opened_at, call.negotiation_id, call, cause) else shard

    def malformed(self, negotiation_id: str, cause: Cause) -> None:
        """Tell a negotiation that a party sent something that broke its schema."""
        shard = self.shard_of(negotiation_id, cause.sender.tenant)
        if shard is not None:
            event = MalformedReceived(cause.sender.agent_id, cause.msg_id)
            shard.post(self._now(), negotiation_id, event, cause)

    def leave(self, member: Member, initiator: str | None = None) -> None:
        """Tell the open negotiations of a member that it is gone.

        With `initiator`, only those which that agent has opened: its consent was revoked.
        """
        agent_id, tag = member.agent_id, member.tenant.tag
        for shard in self.shards:
            for call in list(shard.table.open_calls()):
                if not call.negotiation_id.endswith(tag):
                    continue
                if initiator is not None and call.initiator != initiator:
                    continue
                if agent_id in call.eligible or agent_id == call.initiator:
                    gone = AgentGone(agent_id)
                    shard.post(self._now(), call.negotiation_id, gone, _nobody(member))

    def opened_again(self, negotiation_id: str, msg_id: str, tenant: Tenant) -> bytes | None:
        """Return the answer that a call got when it came first, if it is still remembered."""
        shard = self.shard_of(negotiation_id, tenant)
        state = None if shard is None else shard.table.state(negotiation_id)
        return None if state is None else _opened(state.terms.call, msg_id)

    def _undelivered(self, member: Member, parcel: Parcel) -> None:
        """Hear that the router gave up on a message."""
        if not parcel.negotiation_id:
            return
        shard = self.shard_of(parcel.negotiation_id, member.tenant)
        state = None if shard is None else shard.table.state(parcel.negotiation_id)
        if shard is None or state is None or state.terms.initiator == member.agent_id:
            return  # an initiator that misses an offer still decides, or hears the outcome
        gone = AgentGone(member.agent_id)
        shard.post(self._now(), parcel.negotiation_id, gone, _nobody(member))

    def _perform(
        self,
        shard: Shard[Cause],
        negotiation_id: str,
        event: Event | Call | None,
        effects: list[Effect] | None,
        cause: Cause | None,
    ) -> None:
        """Carry out what a protocol asked for."""
        if effects is None:
            # What was malformed has been refused for that already.
            if cause is not None and cause.msg_id and type(event) is not MalformedReceived:
                self._refuse(cause.sender, cause.msg_id, negotiation_id, UNKNOWN_NEGOTIATION)
            return
        if type(event) is Call and cause is not None:
            self._answer_call(event, effects, cause)
        teller: Teller | None = None
        tenant = self._members.tenant_by_tag.get(negotiation_id[-TAG_LENGTH:])
        members = NOBODY if tenant is None else tenant.members
        for effect in effects:
            if type(effect) is Relay:
                assert cause is not None, "only a message can be relayed"
                self._relay(members.get(effect.recipient), _parcel(cause, negotiation_id), cause)
            elif type(effect) is Tell:
                member = members.get(effect.recipient)
                if member is None:
                    continue  # it left; the engine hears of that as AgentGone
                if teller is None:
                    now = self._now()
                    teller = Teller(self._address, negotiation_id, iso_text(now))
                    expires_at = now + self._ttl
                parcel = Parcel(
                    effect.msg_id, teller.told(effect), expires_at, "", negotiation_id, True
                )
                if self._router.deliver(member, parcel) is Pushed.FULL:
                    self._router.undelivered(member, [parcel], "recipient_overloaded")
            elif type(effect) is Refuse:
                member = members.get(effect.recipient)
                if member is not None and effect.msg_id:
                    pointer = POINTERS.get(effect.code, "")
                    fault = Fault(effect.code, effect.reason, effect.remedy, pointer)
                    self._refuse(member, effect.msg_id, negotiation_id, fault)
            elif type(effect) is Finish:
                self._finish(shard, negotiation_id, effect.outcome)

    def _answer_call(self, call: Call, effects: list[Effect], cause: Cause) -> None:
        """Tell the initiator that its call is open, and everybody eligible of the call."""
        if effects and type(effects[0]) is Refuse:
            self._members.duplicates.forget(cause.sender.key + cause.msg_id)
            return
        self._metrics.calls += 1
        if cause.sender.stream is not None:
            cause.sender.stream.answer_opened(_opened(call, cause.msg_id))
        members = cause.sender.tenant.members
        parcel = _parcel(cause, call.negotiation_id)
        for agent_id in call.eligible:
            self._relay(members.get(agent_id), parcel, cause)

    def _relay(self, member: Member | None, parcel: Parcel, cause: Cause) -> None:
        if member is None:
            return  # it left; the engine hears of that as AgentGone
        if cause.sensitive:
            topic = cause.topics.get(member.agent_id) if cause.topics else None
            envelope = redacted(cause, member, topic, self._now())
            parcel = msgspec.structs.replace(parcel, envelope=envelope)
        pushed = self._router.deliver(member, parcel)
        if pushed is QUEUED:
            return
        if pushed is Pushed.FULL:
            self._router.undelivered(member, [parcel], "recipient_overloaded")
        elif pushed is Pushed.ID_TAKEN:
            self._router.undelivered(member, [parcel], "msg_id_taken")

    def _refuse(self, member: Member, msg_id: str, negotiation_id: str, fault: Fault) -> None:
        self._metrics.refused[fault.code] += 1
        if member.stream is not None:
            refusal = refusal_of(fault, msg_id, negotiation_id)
            member.stream.answer_refused(refusal.SerializeToString())

    def _finish(self, shard: Shard[Cause], negotiation_id: str, outcome: Mapping[str, Any]) -> None:
        self._metrics.finished[outcome["state"]] += 1
        self._metrics.decided(outcome["decided_at"] - outcome["opened_at"])
        self._recorder.finished(shard.table.close_record(negotiation_id), outcome)


POINTERS = {
    "NOT_A_PARTY": "/envelope/from",
    "WRONG_STATE": "/envelope/act",
    "ALREADY_ANSWERED": "/envelope/act",
    "LATE": "/envelope/act",
    "OFFER_BINDING": "/envelope/act",
    "UNKNOWN_OFFER": "/payload/offer_id",
    "OFFER_EXPIRED": "/payload",
    "POLICY_INVALID": "/payload/policy",
}
"""Where to look for what a protocol refuses; it knows codes, not messages."""

UNKNOWN_NEGOTIATION = Fault(
    "UNKNOWN_NEGOTIATION",
    "there is no such negotiation, or it ended too long ago to be remembered",
    "use the negotiation_id of the call, while it is open",
    "/envelope/negotiation_id",
)


def redacted(cause: Cause, member: Member, topic: str | None, now: float) -> bytes:
    """Return the envelope without the sensitive fields that `member` has not consented to."""
    assert cause.body is not None, "a cause with sensitive fields carries its payload"
    allowed = member.visible_fields(cause.sender.agent_id, topic, now)
    visible = redact(cause.body, cause.sensitive, allowed)
    if visible == cause.body:
        return cause.envelope  # there was nothing to remove: the same bytes
    envelope = Envelope.FromString(cause.envelope)
    envelope.payload = orjson.dumps(visible)
    return envelope.SerializeToString()


def _parcel(cause: Cause, negotiation_id: str) -> Parcel:
    """Return what forwards the message that caused a step."""
    return Parcel(
        cause.msg_id,
        cause.envelope,
        cause.expires_at,
        cause.sender.agent_id,
        negotiation_id,
        cause.repeats,
    )


def _nobody(member: Member) -> Cause:
    """Return the cause of an event that no message caused."""
    return Cause(member, "", b"", 0.0, False)


def _opened(call: Call, msg_id: str) -> bytes:
    opened = NegotiationOpened(
        msg_id=msg_id,
        negotiation_id=call.negotiation_id,
        eligible=call.eligible,
        policy=f"{call.acceptance.name}@{call.acceptance.revision}",
    )
    opened.closes_at.FromNanoseconds(int(call.closes_at * 1e9))
    return opened.SerializeToString()
