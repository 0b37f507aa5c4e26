"""Who is on this gateway: tenants, their agents, topics, groups and consents.

A *member* is an agent as the gateway knows it; it outlives its stream by the grace, so that
an agent which comes back finds its outbox. Tenants never see each other: every look-up
starts at one tenant. Pure: no clock, no I/O.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Protocol

from gateway.allowances import Allowance, AllowanceLimits, Allowances
from gateway.consents import ConsentGrant, consents_to, fields_for
from gateway.duplicates import Duplicates
from gateway.link import Link
from gateway.outbox import Outbox
from gateway.telemetry.traffic import Traffic, TrafficByClass

AGENT_ADDRESS = re.compile(r"agent://[A-Za-z0-9._~-]{1,128}(?:/[A-Za-z0-9._~-]{1,64}){0,4}")
NAME = re.compile(r"[A-Za-z0-9._~-]{1,128}(?:/[A-Za-z0-9._~-]{1,64}){0,4}")
TAG_LENGTH = 11
NOBODY_YET = -1
"""The generation of an agent that has registered nothing here."""
RECEIPTS_MAX = 10_000
"""Receipts that may wait for an agent."""
CAPABILITY = re.compile(r"[A-Za-z0-9._~@:/-]{1,128}")


class Stream(Protocol):
    """What a member's living stream can do for those who send to it."""

    def wake(self) -> None:
        """Send what is queued."""

    def warn_slow(self, waiting: int, waiting_max: int) -> None:
        """Tell the agent that it acknowledges too slowly."""

    def close(self, reason: str, detail: str) -> None:
        """End the stream with a Goodbye."""


class Recipient(Protocol):
    """An agent as those see it who send to it: a `Member`, or one whose home is elsewhere."""

    agent_id: str
    tenant: Tenant
    key: str
    capabilities: frozenset[str]
    topics: frozenset[str]
    consents: dict[str, ConsentGrant]
    is_away: bool
    is_boxed: bool
    is_system: bool

    @property
    def outbox(self) -> Outbox:
        """What is owed to it from here."""

    @property
    def stream(self) -> Stream | None:
        """What carries it there, if anything does now."""

    def answer_opened(self, opened: bytes) -> None:
        """Tell it a serialised NegotiationOpened."""

    def answer_refused(self, refusal: bytes) -> None:
        """Tell it a serialised Refusal."""

    def answer_receipt(self, receipt: bytes) -> None:
        """Tell it a serialised Receipt."""

    def allows(self, sender: str, topic: str | None, now: float) -> bool:
        """Tell whether it consents to hear from `sender`."""

    def visible_fields(self, sender: str, topic: str | None, now: float) -> frozenset[str]:
        """Return the sensitive fields that it may see from `sender`."""


@dataclass(slots=True)
class Member:
    """One agent whose home is this gateway."""

    agent_id: str
    tenant: Tenant
    key: str
    """Tenant and address in one string, unique on the gateway."""
    outbox: Outbox
    allowance: Allowance
    """What it may still send."""
    capabilities: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    consents: dict[str, ConsentGrant] = field(default_factory=dict)
    stream: Stream | None = None
    link: Link | None = None
    """Its session; None when there is none to resume."""
    instance: str = ""
    """Which process of the agent said Hello last, and with which of its streams."""
    stream_count: int = 0
    away_since: float | None = None
    is_away: bool = False
    """Has it said good-bye, or stayed away longer than its grace? It hears no calls then."""
    is_boxed: bool = False
    """Does what comes for it wait in its mailbox, behind what waits there already?"""
    owed: list[asyncio.Event] = field(default_factory=list)
    """What its frame at hand waits for before it is confirmed: durable messages."""
    receipts_due: list[str] = field(default_factory=list)
    """Messages of the batch at hand that are admitted, of which the agent wants to be told."""
    traffic: Traffic = field(default_factory=lambda: Traffic(""))
    """Where its acts are counted."""
    unjudged: int = 0
    """How many of its acts wait for a shard of this gateway."""
    is_system: bool = False
    """Is it of the system class, by the token that it showed last?"""
    generation: int = 0
    """Counts its moves between gateways; NOBODY_YET while messages wait for it that it has not
    registered for here."""

    def answer_opened(self, opened: bytes) -> None:
        """Tell the agent, now or when it resumes, a serialised NegotiationOpened."""
        if self.link is not None:
            self.link.pending.opened.append(opened)
            if self.stream is not None:
                self.stream.wake()

    def refuse(self, refusal: bytes) -> None:
        """Tell the agent, once the batch at hand was handled to its end, a serialised Refusal."""
        if self.link is not None:
            self.link.at_hand.append(refusal)

    def answer_refused(self, refusal: bytes) -> None:
        """Tell the agent, now or when it resumes, a serialised Refusal."""
        if self.link is not None:
            self.link.pending.refusals.append(refusal)
            if self.stream is not None:
                self.stream.wake()

    def judged(self) -> None:
        """Hear that a shard has applied one of its acts, and what it says to it is told."""
        self.unjudged -= 1
        if not self.unjudged and self.link is not None:
            self.link.confirmable = self.link.handled

    def answer_receipt(self, receipt: bytes) -> None:
        """Tell the agent, now or when it resumes, a serialised Receipt.

        While too many wait, further ones are not told: a receipt is news, not an obligation.
        """
        if self.link is not None and len(self.link.pending.receipts) < RECEIPTS_MAX:
            self.link.pending.receipts.append(receipt)
            if self.stream is not None:
                self.stream.wake()

    async def settled(self) -> None:
        """Wait until nothing is owed."""
        while self.owed:
            await self.owed[0].wait()
            self.owed = [owed for owed in self.owed if not owed.is_set()]

    async def when_settled(self, step: Callable[[], Awaitable[None] | None]) -> None:
        """Do the next step, and await what it waits for, when nothing is owed."""
        await self.settled()
        waiting = step()
        if waiting is not None:
            await waiting

    def allows(self, sender: str, topic: str | None, now: float) -> bool:
        """Tell whether the member consents to hear from `sender`.

        To subscribe to a topic is to consent to what comes on it.
        """
        return consents_to(self, sender, topic, now)

    def visible_fields(self, sender: str, topic: str | None, now: float) -> frozenset[str]:
        """Return the sensitive fields that the member may see from `sender`."""
        return fields_for(self, sender, topic, now)


@dataclass(slots=True)
class MemberGroup:
    """A named subset of agents; its owner says who belongs to it."""

    group_id: str
    owner: str
    members: tuple[str, ...]


class Tenant:
    """The agents that may know of each other."""

    def __init__(self, name: str) -> None:
        """Start empty."""
        self.name = name
        self.tag = "-" + hashlib.sha256(name.encode()).hexdigest()[: TAG_LENGTH - 1]
        """What the tenant's negotiation ids end in."""
        self.members: dict[str, Member] = {}
        """Those whose home is this gateway."""
        self.everyone: dict[str, Recipient] = {}
        """Those and the agents of other gateways."""
        self.topics: dict[str, dict[str, Recipient]] = {}
        self.groups: dict[str, MemberGroup] = {}

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Tenant {self.name}: {len(self.members)} agents, {len(self.topics)} topics>"

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing would be missed with the tenant."""
        return not self.everyone and not self.groups

    def listen(self, member: Recipient, topics: Iterable[str]) -> None:
        """Make `topics` all that the member listens to."""
        wanted = frozenset(topics)
        for topic in member.topics - wanted:
            listeners = self.topics[topic]
            del listeners[member.agent_id]
            if not listeners:
                del self.topics[topic]
        for topic in sorted(wanted - member.topics):
            self.topics.setdefault(topic, {})[member.agent_id] = member
        member.topics = wanted

    def forget(self, member: Recipient) -> None:
        """Remove an agent and what it listens to; groups keep its name."""
        self.listen(member, ())
        if self.everyone.get(member.agent_id) is member:
            del self.everyone[member.agent_id]


@dataclass(frozen=True, slots=True)
class MemberLimits:
    """The bounds that every member gets."""

    agents_max: int
    allowance: AllowanceLimits
    outbox_messages_max: int
    outbox_bytes_max: int
    window_messages: int
    retry_first: float
    retry_max: float
    duplicates_window: float
    duplicates_ids_max: int
    once_window: float = 3600.0
    once_ids_max: int = 1_000_000


class Members:
    """Every tenant of this gateway, and which messages its agents sent lately."""

    def __init__(self, limits: MemberLimits, now: float) -> None:
        """Start empty."""
        self._limits = limits
        self.tenants: dict[str, Tenant] = {}
        self.tenant_by_tag: dict[str, Tenant] = {}
        self.count = 0
        self.owing: dict[str, Recipient] = {}
        """Those whose outbox may hold something, by key; upkeep looks at no others."""
        self._away: dict[str, Member] = {}  # those within their grace, longest away first
        self.absent: dict[str, Member] = {}
        """Those whose grace is over, longest away first."""
        self.make_room: Callable[[], bool] = lambda: False
        """Forgets somebody, if anybody may be forgotten, when there are too many."""
        self.on_change: list[Callable[[Member], None]] = []
        """Hear of every member that may have changed: its registration, or whether it is away."""
        self.on_forget: list[Callable[[Member], None]] = []
        """Hear of every member that is known no more."""
        self.traffic = TrafficByClass()
        """Where acts are counted, by class of tenant; to be set before anybody joins."""
        self.new_outbox: Callable[[int, int, float, float, int], Outbox] = Outbox
        self.allowances = Allowances(limits.allowance, limits.agents_max)
        self.duplicates = Duplicates(limits.duplicates_window, limits.duplicates_ids_max, now)
        self.once = Duplicates(limits.once_window, limits.once_ids_max, now)

    def tenant(self, name: str) -> Tenant:
        """Return the tenant, which exists from its first agent on."""
        tenant = self.tenants.get(name)
        if tenant is None:
            tenant = self.tenants[name] = Tenant(name)
            self.tenant_by_tag[tenant.tag] = tenant
        return tenant

    def join(self, tenant_name: str, agent_id: str, now: float) -> Member | None:
        """Return the member for an agent, made if need be; None when the gateway is full."""
        known = self.tenants.get(tenant_name)
        member = None if known is None else known.members.get(agent_id)
        if member is not None:
            return member
        if known is not None and agent_id in known.everyone:
            return None  # its home is elsewhere; whoever wants it here has it handed over first
        limits = self._limits
        if self.count >= limits.agents_max and not self.make_room():
            return None
        tenant, key = self.tenant(tenant_name), f"{tenant_name}|{agent_id}|"
        member = Member(
            agent_id=agent_id,
            tenant=tenant,
            key=key,
            outbox=self.new_outbox(
                limits.outbox_messages_max,
                limits.outbox_bytes_max,
                limits.retry_first,
                limits.retry_max,
                limits.window_messages,
            ),
            allowance=self.allowances.join(tenant_name, key, now),
            away_since=now,
            traffic=self.traffic.of(tenant_name),
        )
        tenant.members[agent_id] = tenant.everyone[agent_id] = member
        self._away[member.key] = member
        self.count += 1
        return member

    def changed(self, member: Member) -> None:
        """Know that a member may have changed."""
        for hear in self.on_change:
            hear(member)

    def adopt(self, known: Recipient, now: float) -> Member | None:
        """Return the member for an agent that was elsewhere and has come here; None when full."""
        tenant = known.tenant
        del tenant.everyone[known.agent_id]
        member = self.join(tenant.name, known.agent_id, now)
        if member is None:
            tenant.everyone[known.agent_id] = known
            return None
        tenant.listen(known, ())
        self.owing.pop(known.key, None)
        return member

    def arrive(self, member: Member) -> None:
        """Know that a member has a stream."""
        member.away_since = None
        member.is_away = False
        self._away.pop(member.key, None)
        self.absent.pop(member.key, None)

    def part(self, member: Member, now: float) -> None:
        """Know that a member has no stream any more."""
        member.stream = None
        member.away_since = now
        self._away.pop(member.key, None)
        self._away[member.key] = member

    def retire(self, member: Member) -> None:
        """Know that the grace of a member is over."""
        member.is_away = True
        if self._away.pop(member.key, None) is not None:
            self.absent[member.key] = member

    def away_before(self, moment: float) -> list[Member]:
        """Return those within their grace that left before a moment, longest away first."""
        return _left_before(moment, self._away.values())

    def absent_before(self, moment: float) -> list[Member]:
        """Return those whose grace is over and that left before a moment, longest away first."""
        return _left_before(moment, self.absent.values())

    def find(self, key: str) -> Recipient | None:
        """Return the agent with a key, here or elsewhere."""
        tenant_name, agent_id, _ = key.rsplit("|", 2)
        tenant = self.tenants.get(tenant_name)
        return None if tenant is None else tenant.everyone.get(agent_id)

    def forget(self, member: Member) -> None:
        """Remove a member; its tenant stays while it has agents or groups."""
        member.tenant.members.pop(member.agent_id, None)
        member.tenant.forget(member)
        self._away.pop(member.key, None)
        self.absent.pop(member.key, None)
        self.owing.pop(member.key, None)
        self.allowances.leave(member.allowance)
        self.count -= 1
        for hear in self.on_forget:
            hear(member)
        self.drop_if_empty(member.tenant)

    def drop_if_empty(self, tenant: Tenant) -> None:
        """Forget a tenant that has neither agents nor groups any more."""
        if tenant.is_empty:
            self.tenants.pop(tenant.name, None)
            self.tenant_by_tag.pop(tenant.tag, None)


def _left_before(moment: float, members: Iterable[Member]) -> list[Member]:
    return list(
        takewhile(
            lambda member: member.away_since is not None and member.away_since < moment, members
        )
    )
