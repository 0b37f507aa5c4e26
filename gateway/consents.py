"""What agents allow others to send to them, and to see.

Pure: time is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ConsentGrant:
    """What a member allows somebody to send to it."""

    consent_id: str
    grantee: str
    """`agent://alice`, or "*" for everybody of the tenant."""
    topics: frozenset[str] = frozenset()
    """Empty means direct messages and every topic."""
    fields: frozenset[str] = frozenset()
    """JSON pointers of the sensitive fields that may be seen; "*" means all."""
    expires_at: float | None = None

    def covers(self, sender: str, topic: str | None, now: float) -> bool:
        """Tell whether `sender` may send now, on `topic` or directly (None)."""
        if self.expires_at is not None and self.expires_at <= now:
            return False
        if self.grantee not in ("*", sender):
            return False
        return not self.topics or topic in self.topics


class Consenting(Protocol):
    """Whoever gives consents."""

    @property
    def topics(self) -> frozenset[str]:
        """What it listens to, which is to consent to what comes there."""

    @property
    def consents(self) -> dict[str, ConsentGrant]:
        """What it has granted, by id."""


def consents_to(recipient: Consenting, sender: str, topic: str | None, now: float) -> bool:
    """Tell whether a recipient consents to hear from `sender`, on `topic` or directly (None)."""
    if topic is not None and topic in recipient.topics:
        return True
    return any(grant.covers(sender, topic, now) for grant in recipient.consents.values())


def fields_for(recipient: Consenting, sender: str, topic: str | None, now: float) -> frozenset[str]:
    """Return the sensitive fields that a recipient may see from `sender`."""
    seen: set[str] = set()
    for grant in recipient.consents.values():
        if grant.fields and grant.covers(sender, topic, now):
            seen |= grant.fields
    return frozenset(seen)
