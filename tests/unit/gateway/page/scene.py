"""Agents that negotiate at a gateway whose clock stands still, and what the page says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.members import Member
from gateway.page.digest import Reporter
from llmx.v1.envelope_pb2 import Act
from tests.support.admin_view import FakeView
from tests.support.gateway_parts import Parts, envelope, received, stream_of


@dataclass(eq=False)
class Stream:
    """An open stream, as far as the page looks at it."""

    member: Member
    opened_at: float


class Scene:
    """One gateway with agents."""

    def __init__(self, **limits: Any) -> None:
        self.parts = Parts(**limits)
        self.sessions: list[Stream] = []
        self.view = FakeView("gw")
        self.reporter = Reporter(
            self.view,
            self.parts.members,
            self.parts.negotiations,
            self.parts.metrics,
            self.sessions,
            self.parts.recorder,
            lambda: self.parts.now,
        )
        self._calls = 0

    def join(self, name: str, tenant: str = "acme") -> Member:
        member = self.parts.join(name, tenant)
        self.sessions.append(Stream(member, self.parts.now))
        return member

    def call(self, initiator: Member, *names: str, **body: Any) -> str:
        """Open a negotiation and return its id."""
        self._calls += 1
        name = initiator.agent_id.removeprefix("agent://")
        to = [one if "://" in one else f"agent://{one}" for one in names]
        wanted = {"reply_within": 5} | body
        called = envelope(name, Act.ACT_CFP, *to, msg_id=f"call-{self._calls}", body=wanted)
        self.parts.admit(initiator, called)
        return str(stream_of(initiator).opened[-1].negotiation_id)

    def send(self, member: Member, act: Act, negotiation_id: str, **body: Any) -> None:
        name = member.agent_id.removeprefix("agent://")
        received(member)
        sent = envelope(
            name,
            act,
            msg_id=f"{name}-{act}-{negotiation_id}",
            body=body,
            negotiation_id=negotiation_id,
        )
        self.parts.admit(member, sent)

    def offer(self, member: Member, negotiation_id: str, value: float, **body: Any) -> None:
        self.send(member, Act.ACT_OFFER, negotiation_id, value=value, **body)
