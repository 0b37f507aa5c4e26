"""Where to find a gateway: at the configured address, or where one asked us to move.

A gateway that stops may name others. They are tried in order, then the configured address, and
so on in a circle: one that is away for a moment is not given up, and one that answers is where
the session lives from then on.

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

from collections.abc import Iterable

ADDRESSES_MAX = 8
"""Addresses of one Goodbye that are tried."""


class Route:
    """The addresses to try."""

    def __init__(self, configured: str) -> None:
        """Know one address."""
        self._configured = configured
        self._circle = [configured]
        self._at = 0

    def __repr__(self) -> str:
        return f"<Route: at {self.address} of {', '.join(self._circle)}>"

    @property
    def address(self) -> str:
        """Return where to connect now."""
        return self._circle[self._at]

    def move(self, addresses: Iterable[str]) -> None:
        """Try these first, in their order, and then the configured one; none change nothing."""
        named = list(dict.fromkeys(address for address in addresses if address))[:ADDRESSES_MAX]
        if named:
            self._circle = [*named, *({self._configured} - set(named))]
            self._at = 0

    def failed(self) -> None:
        """Hear that nobody answered; the next address is tried."""
        self._at = (self._at + 1) % len(self._circle)

    def arrived(self) -> None:
        """Hear that a gateway answered; others that were named are forgotten."""
        self._circle = list(dict.fromkeys((self.address, self._configured)))
        self._at = 0
