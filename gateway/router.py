"""Who gets a message: direct, topic and group delivery, and what becomes of it afterwards.

A message to named agents is all or nothing: if one of them may not receive it, nobody does
and the refusal points at that one. Topics and groups reach whoever matches. Delivery ends
in an acknowledgement, or in a `failure` to the sender when the time to live is over.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import orjson
import structlog

from gateway.clock import Clock, iso_text
from gateway.mailbox import Mailbox
from gateway.members import AGENT_ADDRESS, NAME, Members, Recipient, Tenant
from gateway.metrics import Metrics
from gateway.outbox import Parcel, Pushed
from gateway.refusals import Fault
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.receipt_pb2 import RECEIPT_STAGE_DELIVERED, Receipt
from policy.call import Call

log = structlog.get_logger("llmx.router")

QUEUED = Pushed.QUEUED
STUCK_SECONDS = 10.0
"""Who has acknowledged nothing for so long, and has a full mailbox, does not read."""
FAILURE_SCHEMA = "https://llm-x.org/schemas/v1/Failure.json"
NO_ADDRESS = Fault(
    "INVALID_ADDRESS",
    "a recipient is not an address of this exchange",
    "use agent://NAME, topic://NAME or group://NAME with A-Z a-z 0-9 . _ ~ - in NAME",
)


@dataclass(frozen=True, slots=True)
class Audience:
    """Who shall receive a message, and on which topic each of them hears it (None: directly)."""

    members: tuple[Recipient, ...]
    topics: tuple[str | None, ...]


class Outlet(Protocol):
    """Where the effects of a step go: to the router at once, or onto a tape for later."""

    def deliver(self, member: Recipient, parcel: Parcel) -> Pushed:
        """Send a message."""

    def undelivered(self, member: Recipient, parcels: list[Parcel], reason: str) -> None:
        """Account for messages that will not reach `member` any more."""

    def answer_opened(self, member: Recipient, opened: bytes) -> None:
        """Tell an initiator that its call is open."""

    def answer_refused(self, member: Recipient, refusal: bytes) -> None:
        """Tell an agent that its act did not count."""

    def then(self, scene: Callable[[], object]) -> None:
        """Do something when all before is done."""


class Router:
    """Resolves addresses and fills outboxes."""

    def __init__(
        self,
        gateway_id: str,
        now: Clock,
        members: Members,
        metrics: Metrics,
        ttl_default: float,
        audience_max: int,
        mailbox: Mailbox,
    ) -> None:
        """Deliver for one gateway."""
        self.address = f"gateway://{gateway_id}"
        self._now = now
        self._owing = members.owing
        self._metrics = metrics
        self._ttl_default = ttl_default
        self._audience_max = audience_max
        self.mailbox = mailbox
        self.on_undelivered: Callable[[Recipient, Parcel], None] = lambda member, parcel: None
        self.is_open: Callable[[str], bool] = lambda negotiation_id: True
        """Tells whether a negotiation goes on: its initiator hears of calls that get lost."""
        self.on_room: Callable[[Recipient], None] = lambda member: None
        """Hears of a member that has acknowledged something while more waits in its mailbox."""
        self.report: Callable[[Recipient, Parcel, str], None] = lambda member, parcel, reason: None
        """Tells the origin of a parcel that it was acknowledged (no reason), or why not."""
        self.tell_durably: Callable[[Recipient, Parcel], None] | None = None
        """Tells a failure so that it survives the gateway; None without a store."""

    def audience(self, tenant: Tenant, sender: str, envelope: Envelope) -> Audience | Fault:
        """Return who shall receive `envelope`, or why it cannot be sent."""
        wanted = frozenset(envelope.capabilities)
        found: dict[str, tuple[Recipient, str | None]] = {}
        for index, address in enumerate(envelope.recipients):
            pointer = f"/envelope/to/{index}"
            scheme, _, name = address.partition("://")
            if scheme == "agent" and AGENT_ADDRESS.fullmatch(address):
                fault = self._add_direct(tenant, sender, address, wanted, found)
            elif scheme == "topic" and NAME.fullmatch(name):
                fault = self._add_topic(tenant, sender, name, wanted, found)
            elif scheme == "group" and NAME.fullmatch(name):
                fault = self._add_group(tenant, sender, name, wanted, found)
            else:
                fault = NO_ADDRESS
            if fault is not None:
                return Fault(fault.code, fault.reason, fault.remedy, pointer)
        if not found:
            return Fault(
                "NO_RECIPIENTS",
                "nobody who may receive this listens",
                "subscribe an agent with these capabilities to the topic, or name other recipients",
                "/envelope/to",
            )
        if len(found) > self._audience_max:
            return Fault(
                "TOO_LARGE",
                f"{len(found)} agents would receive this; at most {self._audience_max} may",
                "use a narrower topic, or ask for more capabilities",
                "/envelope/to",
            )
        members, topics = zip(*found.values(), strict=True)
        return Audience(members, topics)

    def _add_direct(
        self,
        tenant: Tenant,
        sender: str,
        address: str,
        wanted: frozenset[str],
        found: dict[str, tuple[Recipient, str | None]],
    ) -> Fault | None:
        member = tenant.everyone.get(address)
        if member is None:
            return Fault(
                "AGENT_ABSENT",
                f"{address} is not here, or has been away for too long",
                "send again when it is back, or use a topic",
            )
        if not wanted <= member.capabilities:
            return Fault(
                "CAPABILITY_MISSING",
                f"{address} has not registered {', '.join(sorted(wanted - member.capabilities))}",
                "ask for fewer capabilities, or choose an agent that has them",
            )
        if address != sender and not member.allows(sender, None, self._now()):
            return Fault(
                "CONSENT_MISSING",
                f"{address} has not consented to hear from {sender}",
                f"{address} can grant it: GrantConsent with grantee {sender} or *",
            )
        found.setdefault(address, (member, None))
        return None

    def _add_topic(
        self,
        tenant: Tenant,
        sender: str,
        topic: str,
        wanted: frozenset[str],
        found: dict[str, tuple[Recipient, str | None]],
    ) -> Fault | None:
        for address, member in tenant.topics.get(topic, {}).items():
            if address != sender and wanted <= member.capabilities:
                found.setdefault(address, (member, topic))
        return None

    def _add_group(
        self,
        tenant: Tenant,
        sender: str,
        name: str,
        wanted: frozenset[str],
        found: dict[str, tuple[Recipient, str | None]],
    ) -> Fault | None:
        group = tenant.groups.get(name)
        if group is None:
            return Fault(
                "NO_RECIPIENTS",
                f"there is no group {name}",
                "make it with PutGroup, or use a topic",
            )
        now = self._now()
        for address in group.members:
            member = tenant.everyone.get(address)
            if (
                member is not None
                and address != sender
                and wanted <= member.capabilities
                and member.allows(sender, None, now)
            ):
                found.setdefault(address, (member, None))
        return None

    def deliver(self, member: Recipient, parcel: Parcel) -> Pushed:
        """Put a message into a member's outbox, or into its mailbox behind what waits there.

        A stream whose outbox is full is closed; one that empties a full mailbox is not, as long
        as it does.
        """
        if member.is_boxed:
            pushed = self.mailbox.keep(member.key, parcel)
        else:
            pushed = member.outbox.push(parcel)
        if pushed is QUEUED:
            self._metrics.delivered += 1
            self._owing[member.key] = member
            stream = member.stream
            if stream is not None:
                stream.wake()
        elif pushed is Pushed.CROWDED:
            self._metrics.delivered += 1
            self._owing[member.key] = member
            self._warn(member)
        elif pushed is Pushed.FULL:
            self._metrics.overflowed += 1
            stream, idle = member.stream, self._now() - member.outbox.progress_at
            if stream is not None and (not member.is_boxed or idle > STUCK_SECONDS):
                stream.close(
                    "slow_consumer",
                    f"{len(member.outbox)} messages wait to be acknowledged",
                )
        return pushed

    def _warn(self, member: Recipient) -> None:
        """Tell an agent, and the operator, that it falls behind."""
        if member.stream is None:
            return  # it is away: nothing it could do
        self._metrics.warned += 1
        outbox = member.outbox
        log.warning(
            "slow consumer warned",
            agent=member.agent_id,
            waiting=len(outbox),
            waiting_max=outbox.messages_max,
        )
        member.stream.warn_slow(len(outbox), outbox.messages_max)

    def delivered(self, member: Recipient) -> None:
        """Tell the senders what `member` has acknowledged, where they asked for it.

        It is also to be called when a member has acknowledged anything while more waits for it.
        """
        followed, member.outbox.followed = member.outbox.followed, []
        durable = [parcel.msg_id for parcel in followed if parcel.durable]
        if durable:
            self.mailbox.settle(member.key, durable)
        if member.is_boxed:
            self.on_room(member)
        for parcel in followed:
            if parcel.origin:
                self.report(member, parcel, "")
                continue
            sender = member.tenant.everyone.get(parcel.sender)
            if parcel.receipt and sender is not None:
                receipt = Receipt(
                    msg_id=parcel.msg_id,
                    stage=RECEIPT_STAGE_DELIVERED,
                    recipient=member.agent_id,
                )
                sender.answer_receipt(receipt.SerializeToString())

    def tell_failure(self, tenant: Tenant, parcel: Parcel, recipient: str, reason: str) -> None:
        """Tell the sender of `parcel` that it did not reach `recipient`."""
        sender = tenant.everyone.get(parcel.sender)
        if sender is None:
            return
        now = self._now()
        payload = {
            "$schema": FAILURE_SCHEMA,
            "act": "failure",
            "reason": reason,
            "failed_msg_id": parcel.msg_id,
            "recipient": recipient,
        }
        envelope = Envelope(
            msg_id=f"{self.address[10:]}:{secrets.token_hex(8)}",
            ts=iso_text(now),
            sender=self.address,
            recipients=[parcel.sender],
            act=Act.ACT_FAILURE,
            negotiation_id=parcel.negotiation_id,
            in_reply_to=parcel.msg_id,
            payload=orjson.dumps(payload),
        )
        failure = Parcel(
            envelope.msg_id,
            envelope.SerializeToString(),
            now + self._ttl_default,
            "",
            parcel.negotiation_id,
            True,
        )
        if parcel.durable and self.tell_durably is not None:
            self.tell_durably(sender, failure)
        else:
            self.deliver(sender, failure)

    def undelivered(self, member: Recipient, parcels: list[Parcel], reason: str) -> None:
        """Account for messages that will not reach `member` any more."""
        for parcel in parcels:
            if parcel.origin:
                self.report(member, parcel, reason)
                continue
            self._metrics.undelivered += 1
            # Whoever called hears the outcome, and there who did not answer.
            if parcel.sender and not (parcel.is_call and not self.is_open(parcel.negotiation_id)):
                self.tell_failure(member.tenant, parcel, member.agent_id, reason)
            if parcel.durable:
                self.mailbox.settle(member.key, [parcel.msg_id])
            self.on_undelivered(member, parcel)
        if member.is_boxed:
            self.on_room(member)

    def retract(self, tenant: Tenant | None, call: Call) -> None:
        """Take a call back from those that are away: it is over, and to answer it is in vain."""
        members = {} if tenant is None else tenant.everyone
        for agent_id in call.eligible:
            member = members.get(agent_id)
            if member is not None and member.stream is None:
                member.outbox.retract(call.msg_id, call.negotiation_id)
                self.mailbox.retract(member.key, call.msg_id, call.negotiation_id)

    def answer_opened(self, member: Recipient, opened: bytes) -> None:
        """Tell an initiator that its call is open."""
        member.answer_opened(opened)

    def answer_refused(self, member: Recipient, refusal: bytes) -> None:
        """Tell an agent that its act did not count."""
        member.answer_refused(refusal)

    def then(self, scene: Callable[[], object]) -> None:
        """Do something now; where effects wait for the disk, this waits too."""
        scene()
