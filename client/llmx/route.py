"""Where to find a gateway: at one of the configured addresses, or where one asked us to move.

Several may be configured, "eu.example:7600,us.example:7600": the first is preferred, the others
are for when it does not answer. A gateway that stops may name more. Those are tried in order,
then the configured ones, and so on in a circle: one that is away for a moment is not given up,
and one that answers is where the session lives from then on.

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

from collections.abc import Iterable

ADDRESSES_MAX = 8
"""Addresses that are tried, of one Goodbye and of the configuration each."""


def addresses_of(configured: str) -> tuple[str, ...]:
    """Return the addresses in a text of one, or of several with commas; never none."""
    named = dict.fromkeys(part.strip() for part in configured.split(","))
    return tuple(part for part in named if part)[:ADDRESSES_MAX] or (configured,)


class Route:
    """The addresses to try."""

    def __init__(self, configured: str) -> None:
        """Know one address, or several with commas, the preferred one first."""
        self._configured = addresses_of(configured)
        self._circle = list(self._configured)
        self._at = 0

    def __repr__(self) -> str:
        return f"<Route: at {self.address} of {', '.join(self._circle)}>"

    @property
    def address(self) -> str:
        """Return where to connect now."""
        return self._circle[self._at]

    @property
    def has_others(self) -> bool:
        """Is there another address to try?"""
        return len(self._circle) > 1

    def move(self, addresses: Iterable[str]) -> None:
        """Try these first, in their order, and then the configured ones; none change nothing."""
        named = list(dict.fromkeys(address for address in addresses if address))[:ADDRESSES_MAX]
        if named:
            self._circle = list(dict.fromkeys((*named, *self._configured)))
            self._at = 0

    def failed(self) -> None:
        """Hear that nobody answered; the next address is tried."""
        self._at = (self._at + 1) % len(self._circle)

    def arrived(self) -> None:
        """Hear that a gateway answered; others that were named are forgotten."""
        self._circle = list(dict.fromkeys((self.address, *self._configured)))
        self._at = 0
