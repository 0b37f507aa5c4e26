"""Who owns a negotiation.

An id reads `<gateway>.<shard>.<unique>`, and the gateway in it decides the negotiation. When that
one leaves and hands it over, its *heir* does: the living gateway that ranks highest for this id
(rendezvous hashing), so that many negotiations are spread evenly. The heir tells everybody.

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def gateway_of(negotiation_id: str) -> str:
    """Return the gateway that minted an id; empty when it names none."""
    gateway_id, dot, _ = negotiation_id.partition(".")
    return gateway_id if dot else ""


def heir_of(negotiation_id: str, living: Iterable[str]) -> str | None:
    """Return who decides an id when the gateway in it does not; None when nobody lives."""
    return max(living, key=lambda gateway_id: _rank(negotiation_id, gateway_id), default=None)


def _rank(negotiation_id: str, gateway_id: str) -> tuple[bytes, str]:
    named = f"{gateway_id}\0{negotiation_id}".encode()
    return hashlib.blake2b(named, digest_size=8).digest(), gateway_id
