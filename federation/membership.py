"""Who is in the cluster, as discovery tells it.

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

PREFIX = "gateways/"


class MemberInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One gateway as it registered."""

    gateway_id: str
    region: str
    peer_address: str
    """Where other gateways connect; several with commas are tried in that order."""
    agents_address: str
    """Where agents connect."""
    version: str = ""
    protocol: int = 0
    """The protocol of links that it speaks."""
    load: float = 0.0
    """How busy it says it is, 0 and up."""
    started_at: float = 0.0
    """Seconds since 1970, by its own clock."""
    epoch: int = 0
    """Grows with each registration; not written by itself, etcd counts it."""
    leaving: bool = False
    """Is it being emptied? Then nothing is handed to it."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(MemberInfo).decode


def written(info: MemberInfo) -> bytes:
    """Return what stands in etcd."""
    return _encode(msgspec.structs.replace(info, epoch=0))


def read(value: bytes, epoch: int) -> MemberInfo | None:
    """Return what stands in etcd since a revision; None when it cannot be read."""
    try:
        return msgspec.structs.replace(_decode(value), epoch=epoch)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class Membership:
    """Every other gateway of the cluster."""

    def __init__(self, own_id: str) -> None:
        """Start alone."""
        self._own_id = own_id
        self._members: dict[str, MemberInfo] = {}

    def __repr__(self) -> str:
        """Tell the state in words."""
        return (
            f"<Membership of {self._own_id}: {', '.join(sorted(self._members)) or 'nobody else'}>"
        )

    @property
    def members(self) -> Mapping[str, MemberInfo]:
        """Return the others, by id."""
        return self._members

    def replace(self, members: Iterable[MemberInfo]) -> bool:
        """Know that these are all; tells whether anything changed."""
        before = self._members
        self._members = {
            info.gateway_id: info for info in members if info.gateway_id != self._own_id
        }
        return self._members != before

    def put(self, info: MemberInfo) -> bool:
        """Know one that came or changed; tells whether anything changed."""
        if info.gateway_id == self._own_id or self._members.get(info.gateway_id) == info:
            return False
        self._members[info.gateway_id] = info
        return True

    def remove(self, gateway_id: str) -> bool:
        """Know that one is gone; tells whether it was there."""
        return self._members.pop(gateway_id, None) is not None
