"""Agents whose home is another gateway, as this one knows them.

A remote member looks like a member to whoever sends to it. What is owed to it from here is kept
in an outbox like everybody's, until its home reports that the agent has acknowledged it: when
the home dies, what it had not delivered goes to the next one. There are many of them and most
are sent nothing, so the outbox is made when it is needed.

    at its home → lost, its home is gone → at another home, here, or forgotten
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from gateway.consents import ConsentGrant, consents_to, fields_for
from gateway.members import Stream, Tenant
from gateway.outbox import Outbox


class Carrier(Protocol):
    """What takes things to the homes of remote members."""

    def new_outbox(self) -> Outbox:
        """Return an empty outbox for a member that something is owed to."""

    def flush_soon(self, member: RemoteMember) -> None:
        """Send what is queued for a member to its home."""

    def answer(self, member: RemoteMember, kind: str, answer: bytes) -> None:
        """Send a "refusal", an "opened" or a "receipt"."""


class RemoteMember:
    """One agent whose home is another gateway."""

    __slots__ = (
        "_carrier",
        "_outbox",
        "agent_id",
        "capabilities",
        "consents",
        "generation",
        "home",
        "is_away",
        "is_boxed",
        "is_system",
        "key",
        "lost_at",
        "tenant",
        "topics",
    )

    def __init__(self, tenant: Tenant, agent_id: str, home: str, carrier: Carrier) -> None:
        """Know an agent at the gateway `home`."""
        self.agent_id = agent_id
        self.tenant = tenant
        self.key = f"{tenant.name}|{agent_id}|"
        self.home = home
        self.generation = 0
        self.capabilities: frozenset[str] = frozenset()
        self.topics: frozenset[str] = frozenset()
        self.consents: dict[str, ConsentGrant] = {}
        self.is_away = False
        self.is_boxed = False
        self.is_system = False
        """By the token that it showed its home before its latest act here."""
        self.lost_at: float | None = None
        """Since when its home is gone; None while it has one."""
        self._carrier = carrier
        self._outbox: Outbox | None = None

    def __repr__(self) -> str:
        """Tell the state in words."""
        where = f"at {self.home}" if self.lost_at is None else f"lost, was at {self.home}"
        return f"<RemoteMember {self.agent_id}: {where}, {self._outbox!r}>"

    @property
    def outbox(self) -> Outbox:
        """Return what is owed to it from here."""
        if self._outbox is None:
            self._outbox = self._carrier.new_outbox()
        return self._outbox

    @property
    def owes_nothing(self) -> bool:
        """Tell whether nothing is owed to it, without making an outbox."""
        return self._outbox is None or not len(self._outbox)

    @property
    def stream(self) -> Stream | None:
        """Return what carries messages to it, if anything does now."""
        return self if self.lost_at is None else None

    def wake(self) -> None:
        """Send what is queued."""
        self._carrier.flush_soon(self)

    def warn_slow(self, waiting: int, waiting_max: int) -> None:
        """Do nothing: its home warns it."""

    def close(self, reason: str, detail: str) -> None:
        """Do nothing: its home closes its stream."""

    def answer_opened(self, opened: bytes) -> None:
        """Tell the agent a serialised NegotiationOpened."""
        self._carrier.answer(self, "opened", opened)

    def answer_refused(self, refusal: bytes) -> None:
        """Tell the agent a serialised Refusal."""
        self._carrier.answer(self, "refusal", refusal)

    def answer_receipt(self, receipt: bytes) -> None:
        """Tell the agent a serialised Receipt."""
        self._carrier.answer(self, "receipt", receipt)

    def allows(self, sender: str, topic: str | None, now: float) -> bool:
        """Tell whether the agent consents to hear from `sender`."""
        return consents_to(self, sender, topic, now)

    def visible_fields(self, sender: str, topic: str | None, now: float) -> frozenset[str]:
        """Return the sensitive fields that the agent may see from `sender`."""
        return fields_for(self, sender, topic, now)

    def register(
        self,
        generation: int,
        capabilities: frozenset[str],
        topics: frozenset[str],
        consents: Iterable[ConsentGrant],
        *,
        is_away: bool,
    ) -> None:
        """Know what its home says of it."""
        self.generation = generation
        self.capabilities = capabilities
        self.tenant.listen(self, topics)
        self.consents = {grant.consent_id: grant for grant in consents}
        self.is_away = is_away
