"""Where agents can go instead of this gateway: other gateways, and processes beside this one.

*Siblings* are the processes that share a port with this one. They stop when it does, so an agent
that is to leave for good is sent elsewhere; one that is to leave because there are too many here
is sent to just one of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from federation.membership import MemberInfo
from federation.peer_states import LinkState
from gateway.settings import Settings


class Destinations:
    """Picks among the members of the cluster."""

    def __init__(self, settings: Settings, own_address: str) -> None:
        """Serve the gateway of these settings, to which agents connect at `own_address`."""
        self._region = settings.federation.region
        self._own_address = own_address
        unix, shares = settings.federation.unix, settings.server.shared_port is not None
        self._beside = f"unix:{unix.parent}/" if shares and unix is not None else None

    def is_sibling(self, info: MemberInfo) -> bool:
        """Tell whether a member shares the port: its socket is where those of its kind are."""
        return self._beside is not None and info.peer_address.startswith(self._beside)

    def addresses(
        self, members: Iterable[MemberInfo], *, without_siblings: bool = False
    ) -> tuple[str, ...]:
        """Return where agents connect to the members: those of this region first."""
        preferred = sorted(members, key=lambda info: (info.region != self._region, info.load))
        return tuple(
            info.agents_address
            for info in preferred
            if info.agents_address
            and not info.leaving
            and not (without_siblings and self.is_sibling(info))
        )

    def siblings(self, members: Iterable[MemberInfo], links: Iterable[LinkState]) -> dict[str, str]:
        """Return where agents connect to each sibling that is linked and has its own address."""
        linked = {link.gateway_id for link in links if link.state == "open"}
        return {
            info.gateway_id: info.agents_address
            for info in members
            if info.gateway_id in linked
            and info.agents_address not in ("", self._own_address)
            and self.is_sibling(info)
        }
