"""Which negotiations are open here, who opened them, and whom they called directly.

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

from collections import Counter

from gateway.members import Member, Recipient
from gateway.refusals import Fault
from policy.call import Call


class OpenCalls:
    """The open negotiations of one gateway, counted for each agent and tenant that opened them."""

    def __init__(self, open_max_tenant: int, open_max_agent: int) -> None:
        """Let a tenant, and an agent, have so many open at a time."""
        self._open_max_tenant = open_max_tenant
        self._open_max_agent = open_max_agent
        self._calls: dict[str, tuple[Recipient, frozenset[str]]] = {}
        self._counts: Counter[str] = Counter()

    def __contains__(self, negotiation_id: object) -> bool:
        """Tell whether a negotiation is open."""
        return negotiation_id in self._calls

    def __getitem__(self, negotiation_id: str) -> tuple[Recipient, frozenset[str]]:
        """Return who opened a negotiation, and whom it called directly."""
        return self._calls[negotiation_id]

    def of(self, key: str) -> list[str]:
        """Return the open negotiations of the agent with this key."""
        if not self._counts[key]:
            return []
        return [one for one, (initiator, _) in self._calls.items() if initiator.key == key]

    def items(self) -> list[tuple[str, tuple[Recipient, frozenset[str]]]]:
        """Return all of them, with their ids."""
        return list(self._calls.items())

    def want_of_room(self, member: Member) -> Fault | None:
        """Return why a member may not open another negotiation now, or None."""
        counts = self._counts
        if counts[member.key] < self._open_max_agent and (
            counts[member.tenant.tag] < self._open_max_tenant
        ):
            return None
        return Fault(
            "OVERLOADED",
            "the agent, or its tenant, has as many negotiations open as it may",
            "wait until some of them have ended",
            retry_after=1.0,
        )

    def add(self, call: Call, topics: tuple[str | None, ...], initiator: Recipient) -> None:
        """Remember who holds an open negotiation, and whom it called directly."""
        direct = frozenset(
            agent_id for agent_id, topic in zip(call.eligible, topics, strict=True) if topic is None
        )
        self._calls[call.negotiation_id] = (initiator, direct)
        self._counts[initiator.key] += 1
        self._counts[initiator.tenant.tag] += 1

    def remove(self, negotiation_id: str) -> None:
        """Know that a negotiation is open no more; each ends once."""
        initiator, _ = self._calls.pop(negotiation_id)
        for holder in (initiator.key, initiator.tenant.tag):
            self._counts[holder] -= 1
            if not self._counts[holder]:
                del self._counts[holder]
