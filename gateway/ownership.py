"""Who owns a negotiation, and how an act gets there.

An id begins with the gateway that minted it, and that one decides it.
"""

from __future__ import annotations

from collections.abc import Callable

from federation.placement import gateway_of
from gateway.members import Recipient
from gateway.negotiations import UNKNOWN_NEGOTIATION
from gateway.outbox import Parcel
from gateway.peers import Peers
from gateway.refusals import Fault

OWNER_CROWDED = Fault(
    "OVERLOADED",
    "the gateway that owns the negotiation is behind with what it is told",
    "send it again in a moment",
    retry_after=1.0,
)


class Ownership:
    """Sends acts to the gateways that own their negotiations."""

    def __init__(self, gateway_id: str, peers: Peers, is_known: Callable[[str], bool]) -> None:
        """Serve one gateway; `is_known` tells whether another one is a member of the cluster."""
        self._gateway_id = gateway_id
        self._peers = peers
        self._is_known = is_known

    def send(
        self,
        member: Recipient,
        parcel: Parcel,
        received_at: float,
        sensitive: tuple[str, ...],
        is_malformed: bool,
    ) -> Fault | None:
        """Send an act to the owner of its negotiation; returns why that cannot be."""
        owner = gateway_of(parcel.negotiation_id)
        if owner == self._gateway_id or not self._is_known(owner):
            return UNKNOWN_NEGOTIATION
        if self._peers.forward(
            owner, member, parcel, received_at, sensitive=sensitive, is_malformed=is_malformed
        ):
            return None
        return OWNER_CROWDED
