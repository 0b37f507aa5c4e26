"""The inside of a gateway without its streams: real parts, a clock that stands still.

Every agent has a `Recording`, a stream that keeps what it is told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from gateway.absences import Absences
from gateway.admission import Admission
from gateway.allowances import AllowanceLimits
from gateway.calls import CallLimits
from gateway.consents import ConsentGrant
from gateway.durability import Durability
from gateway.durable_negotiations import DurableNegotiations
from gateway.headers import SENDABLE, AdmissionLimits, Sender
from gateway.link import Link
from gateway.mailbox import Mailbox, MailboxLimits
from gateway.members import Member, MemberLimits, Members
from gateway.metrics import Metrics
from gateway.negotiations import Negotiations
from gateway.policies import Policies
from gateway.records import Recorder
from gateway.roster import Roster
from gateway.router import Router
from gateway.settings import LimitSettings, ValidationSettings
from gateway.store import Store
from gateway.validation import Validation
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.negotiation_pb2 import NegotiationOpened
from llmx.v1.receipt_pb2 import Receipt
from llmx.v1.refusal_pb2 import Refusal, RefusalCode

SCHEMAS = "https://llm-x.org/schemas/v1/"
TS = "2025-08-21T18:45Z"
NOW = 1755801900.0
"""What TS means."""


class Recording:
    """A stream that keeps what it is told."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.woken = 0
        self.warned = 0
        self.closed: list[str] = []

    @property
    def opened(self) -> list[NegotiationOpened]:
        return [NegotiationOpened.FromString(one) for one in self.link.pending.opened]

    @property
    def refusals(self) -> list[Refusal]:
        told = self.link.pending.refusals + self.link.at_hand
        return [Refusal.FromString(one) for one in told]

    @property
    def receipts(self) -> list[Receipt]:
        return [Receipt.FromString(one) for one in self.link.pending.receipts]

    def wake(self) -> None:
        self.woken += 1

    def warn_slow(self, waiting: int, waiting_max: int) -> None:
        self.warned += 1

    def close(self, reason: str, detail: str) -> None:
        self.closed.append(reason)

    def codes(self) -> list[str]:
        return [RefusalCode.Name(one.code).removeprefix("REFUSAL_CODE_") for one in self.refusals]


class Parts:
    """One gateway, whose shards run when they are told to."""

    def __init__(
        self,
        *,
        outbox_messages_max: int = 100,
        burst: float = 1000.0,
        allowance: AllowanceLimits | None = None,
        audience_max: int = 100,
        open_max: int = 100,
        open_max_tenant: int = 100,
        open_max_agent: int = 100,
        queue_max: int = 1000,
        records: Path | None = None,
        agents_max: int = 1000,
        mailbox: MailboxLimits | None = None,
        keep_seconds: float = 3600.0,
        store: Store | None = None,
        gateway_id: str = "gw",
    ) -> None:
        self.gateway_id = gateway_id
        self.now = NOW
        self.metrics = Metrics()
        self.members = Members(
            MemberLimits(
                agents_max,
                allowance or AllowanceLimits(1.0, burst),
                outbox_messages_max,
                1 << 20,
                1000,
                1,
                8,
                60,
                1000,
            ),
            NOW,
        )
        self.mailbox = Mailbox(mailbox or MailboxLimits(100, 1 << 20, 1000, 1 << 22), store)
        self.router = Router(
            gateway_id,
            lambda: self.now,
            self.members,
            self.metrics,
            120.0,
            audience_max,
            self.mailbox,
        )
        roster = None if store is None else Roster(store)
        self.absences = Absences(
            self.mailbox, self.members, self.router, keep_seconds, roster, store
        )
        self.recorder = Recorder(100, records)
        self.negotiations = (Negotiations if store is None else DurableNegotiations)(
            gateway_id,
            lambda: self.now,
            self.members,
            self.router,
            self.metrics,
            self.recorder,
            shards=2,
            queue_max=queue_max,
            open_max=open_max,
            finished_max=100,
            ttl_default=120.0,
            open_max_tenant=open_max_tenant,
            open_max_agent=open_max_agent,
        )
        self.policies = Policies("flow/high", {})
        self.admission = Admission(
            AdmissionLimits(300_000, 262_144, 8, 8, 120.0, 3600.0, 300.0),
            CallLimits(3600.0, 30.0),
            lambda: self.now,
            self.metrics,
            Validation(ValidationSettings(), LimitSettings(), self.metrics),
            self.policies,
            self.router,
            self.negotiations,
            self.members.duplicates,
            self.members.once,
        )
        if store is not None and roster is not None:
            self._keep(store, roster)

    def _keep(self, store: Store, roster: Roster) -> None:
        """Let what is durable be on disk."""
        durability = Durability(
            store, self.mailbox, self.members, self.router, 60.0, 5, lambda: self.now
        )
        assert isinstance(self.negotiations, DurableNegotiations)
        self.negotiations.durability = self.admission.durability = durability
        self.router.tell_durably = durability.tell
        self.members.on_change.append(roster.note)
        self.durability, self.roster, self.store = durability, roster, store

    def join(self, name: str, tenant: str = "acme", *, consent: bool = True) -> Member:
        """Return an agent with an open stream, which hears everybody if it has consented."""
        member = self.members.join(tenant, f"agent://{name}", self.now)
        assert member is not None
        member.link = Link("token")
        member.stream = Recording(member.link)
        if consent:
            member.consents["all"] = ConsentGrant("all", "*")
        return member

    def admit(self, member: Member, envelope: Envelope, acts: frozenset[int] = SENDABLE) -> bool:
        """Let an agent send, and run the shards; tells whether its stream may read on at once."""
        waiting = self.admission.admit(Sender(member, acts), envelope.SerializeToString())
        self.run()
        if waiting is None:
            return True
        waiting.close()  # type: ignore[attr-defined]  # what is not awaited here
        return False

    def run(self) -> None:
        """Apply everything that is queued, then what is due."""
        for shard in self.negotiations.shards:
            while shard.queued:
                shard._apply_slice()
            shard.fire_timers(self.now)


def stream_of(member: Member) -> Recording:
    """Return what an agent was told."""
    assert isinstance(member.stream, Recording)
    return member.stream


def envelope(
    sender: str,
    act: Act = Act.ACT_MESSAGE,
    *to: str,
    msg_id: str = "m1",
    schema: str = "Negotiation",
    body: dict[str, Any] | None = None,
    **fields: Any,
) -> Envelope:
    """Return an envelope that is in order unless its fields say otherwise."""
    if act == Act.ACT_MESSAGE:
        schema, body = "Text", body or {"text": "hello"}
    payload = {"$schema": f"{SCHEMAS}{schema}.json", **(body or {})}
    given = {"msg_id": msg_id, "ts": TS, "payload": orjson.dumps(payload)} | fields
    return Envelope(sender=f"agent://{sender}", recipients=to, act=act, **given)


def received(member: Member, now: float = NOW) -> list[Envelope]:
    """Take what waits for an agent."""
    heard = []
    while taken := member.outbox.take(now, 1 << 20):
        heard += [Envelope.FromString(one.envelope) for one in taken]
    return heard
