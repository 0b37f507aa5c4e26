"""Mutual TLS between gateways: a certificate must bear the id of the gateway that shows it.

One authority signs for the whole cluster, so that a certificate alone says only that somebody
is of it. The id is a DNS name among the subject's alternative names, as a whole: a wildcard
names nobody. On a Unix socket the file's permissions say who may talk, and there is no TLS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import grpc


class PeerCredentials(Protocol):
    """What a gateway shows to others, and whom it believes."""

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return credentials of a port where every client must show a certificate."""

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Return credentials of a channel that is opened now."""


ALTERNATIVE_NAMES = "x509_subject_alternative_name"


@dataclass(frozen=True, slots=True)
class PeerTls:
    """The PEM files of one gateway, as bytes."""

    ca: bytes
    """The authority, or authorities while one follows another, that sign for gateways."""
    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        """Keep the key to itself."""
        return "<PeerTls>"

    def server_credentials(self) -> grpc.ServerCredentials:
        """Return credentials of a port where every client must show a certificate."""
        pair = (self.key, self.certificate)
        return grpc.ssl_server_credentials([pair], self.ca, require_client_auth=True)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)


def named_in(auth_context: Mapping[str, Iterable[bytes]]) -> frozenset[str]:
    """Return the names that the other side's certificate bears, in lower case."""
    return frozenset(
        name.decode("ascii", "replace").lower() for name in auth_context.get(ALTERNATIVE_NAMES, ())
    )


def is_unix(peer: str) -> bool:
    """Tell whether grpc's name for a peer, or an address, is of a Unix socket that is a file."""
    return peer.startswith("unix:")  # "unix-abstract:" has no permissions


def stranger_fault(
    gateway_id: str, peer: str, auth_context: Mapping[str, Iterable[bytes]]
) -> str | None:
    """Return why whoever calls is not believed to be `gateway_id`, where TLS is in use."""
    if is_unix(peer):
        return None
    names = named_in(auth_context)
    if gateway_id.lower() in names:
        return None
    shown = ", ".join(sorted(names)) or "nothing"
    return f"the certificate bears {shown}; the gateway {gateway_id} needs its id there as DNS name"
