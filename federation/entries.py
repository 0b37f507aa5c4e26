"""One agent as a home tells of it: in memory, on the wire, and as eight bytes to compare by.

An entry is a value. Many agents can do the same and listen to the same, so sets of names exist
once for all that share them; a `Pool` sees to it.

Two homes may tell of one agent for a while: it moved and the old home has not heard of it yet, or
the two could not hear each other. Then the entry of the higher *rank* counts, which is the
generation, and of equals the id of the home. Every gateway ranks alike, so they agree whatever
came first. Whoever holds the agent's living stream and hears of a rank above its own tells of the
agent again, with that generation + 1.

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from llmx.v1.consent_pb2 import Consent
from llmx.v1.peering_pb2 import AgentEntry

POOL_MAX = 65_536
"""Names, and sets of names, that are remembered to be shared."""
EMPTY_DIGEST = int.from_bytes(hashlib.blake2b(b"llmx directory", digest_size=8).digest(), "big")
"""The digest of no entries; 0 on the wire means that no digest is told."""
DIGEST_MASK = (1 << 64) - 1

_canonical = msgspec.msgpack.Encoder(order="deterministic")


class AgentConsent(msgspec.Struct, frozen=True, gc=False):
    """What an agent allows somebody to send to it."""

    consent_id: str
    grantee: str
    topics: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()
    expires_at: float | None = None
    """Seconds since 1970, to the millisecond."""


class AgentAt(msgspec.Struct, frozen=True, gc=False):
    """An agent at its home."""

    tenant: str
    agent_id: str
    home: str
    """The id of the gateway."""
    generation: int
    capabilities: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    consents: tuple[AgentConsent, ...] = ()
    is_away: bool = False

    @property
    def rank(self) -> tuple[int, str]:
        """Return what decides between two homes of one agent; the higher has it."""
        return (self.generation, self.home)


class Pool:
    """One copy of each name and of each set of names.

    It only saves memory: when it is full it begins anew, and what was shared stays shared.
    """

    __slots__ = ("_names", "_sets")

    def __init__(self) -> None:
        """Start empty."""
        self._names: dict[str, str] = {}
        self._sets: dict[frozenset[str], frozenset[str]] = {}

    def __len__(self) -> int:
        """Return how many names and sets it remembers."""
        return len(self._names) + len(self._sets)

    def name(self, name: str) -> str:
        """Return the one copy of a name."""
        if len(self._names) >= POOL_MAX:
            self._names.clear()
        return self._names.setdefault(name, name)

    def names(self, names: Iterable[str]) -> frozenset[str]:
        """Return the one copy of a set of names."""
        wanted = frozenset(names)
        known = self._sets.get(wanted)
        if known is None:
            if len(self._sets) >= POOL_MAX:
                self._sets.clear()
            known = frozenset(map(self.name, wanted))
            self._sets[known] = known
        return known


def mark_of(entry: AgentAt) -> int:
    """Return 64 bits that are the same for the same entry in every process; of any home.

    A digest is `EMPTY_DIGEST` and the marks of all entries, added up: it does not depend on their
    order, and an entry that goes is subtracted again.
    """
    told = (
        entry.tenant,
        entry.agent_id,
        entry.generation,
        entry.capabilities,
        entry.topics,
        entry.consents,
        entry.is_away,
    )
    mark = hashlib.blake2b(_canonical.encode(told), digest_size=8).digest()
    return int.from_bytes(mark, "big")


def written(entry: AgentAt) -> AgentEntry:
    """Return an entry as it travels."""
    return AgentEntry(
        tenant=entry.tenant,
        agent_id=entry.agent_id,
        generation=entry.generation,
        capabilities=sorted(entry.capabilities),
        topics=sorted(entry.topics),
        consents=map(_written_consent, entry.consents),
        is_away=entry.is_away,
    )


def read(entry: AgentEntry, home: str, pool: Pool) -> AgentAt:
    """Return what came from `home`."""
    consents = entry.consents
    return AgentAt(
        pool.name(entry.tenant),
        entry.agent_id,
        home,
        entry.generation,
        pool.names(entry.capabilities),
        pool.names(entry.topics),
        tuple([_read_consent(consent, pool) for consent in consents]) if consents else (),
        entry.is_away,
    )


def settled(consents: Iterable[AgentConsent]) -> tuple[AgentConsent, ...]:
    """Return consents in the one order, and with the one precision, in which they travel."""
    return tuple(
        msgspec.structs.replace(
            consent,
            expires_at=None
            if consent.expires_at is None
            else _milliseconds(consent.expires_at) / 1_000,
        )
        for consent in sorted(consents, key=lambda consent: consent.consent_id)
    )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1_000)


def _written_consent(consent: AgentConsent) -> Consent:
    told = Consent(
        consent_id=consent.consent_id,
        grantee=consent.grantee,
        topics=sorted(consent.topics),
        fields=sorted(consent.fields),
    )
    if consent.expires_at is not None:
        seconds, rest = divmod(_milliseconds(consent.expires_at), 1_000)
        told.expires_at.seconds = seconds
        told.expires_at.nanos = rest * 1_000_000
    return told


def _read_consent(consent: Consent, pool: Pool) -> AgentConsent:
    expires_at = None
    if consent.HasField("expires_at"):
        # Not ToMilliseconds, which raises for what a peer should not have sent.
        told = consent.expires_at
        expires_at = (told.seconds * 1_000 + told.nanos // 1_000_000) / 1_000
    return AgentConsent(
        consent.consent_id,
        pool.name(consent.grantee),
        pool.names(consent.topics),
        pool.names(consent.fields),
        expires_at,
    )
