"""Who may look at the page.

From this machine everybody may, unless the settings want a token always. Everybody else needs the
token of an operator of the exchange, because the page shows all tenants. "From this machine" means
that the page listens on a loopback address and the browser has asked for a loopback name: a page
elsewhere whose name was made to point here asks for its own name, and is asked for a token.

    what was asked with ─▸ Door.admit ─▸ Guest | Turned
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Final, Protocol

import msgspec

from gateway.admin import EXCHANGE_OPERATOR
from gateway.auth import AuthFault, Identity
from gateway.clock import Clock
from gateway.page.settings import PageSettings, is_loopback
from gateway.quota import TokenBucket

TRIES_PER_SECOND: Final = 5.0
TRIES: Final = 20.0
"""Tokens that may be tried at once; then `TRIES_PER_SECOND`, so that guessing is slow and cheap."""
OWN_SITE: Final = frozenset({"", "same-origin", "none"})
"""What browsers say of requests that no other site has caused."""


class Turned(msgspec.Struct, frozen=True, gc=False):
    """Somebody who may not look, and what would be right."""

    status: int
    reason: str
    remedy: str
    retry_after: float = 0.0


class Guest(msgspec.Struct, frozen=True, gc=False):
    """Somebody who may look."""

    identity: Identity | None
    """Whose token it was; None of somebody who needed none."""


class Checks(Protocol):
    """What an `Authenticator` does."""

    def verify(self, token: str, now: float) -> Awaitable[Identity | AuthFault]:
        """Return whom a token speaks for, or what is wrong with it."""

    def still_good(self, identity: Identity, now: float) -> AuthFault | None:
        """Return why a token that was good is so no longer."""


class Door:
    """Lets operators in."""

    def __init__(self, settings: PageSettings, checks: Checks, now: Clock) -> None:
        """Ask for tokens as the settings say."""
        self._asks_all = settings.token == "always" or not is_loopback(settings.host)
        self._checks = checks
        self._now = now
        self._tries = TokenBucket(TRIES_PER_SECOND, TRIES, now())

    async def admit(self, headers: Mapping[str, str]) -> Guest | Turned:
        """Return who asks, given the headers by their names as HTTP spells them."""
        if headers.get("Sec-Fetch-Site", "") not in OWN_SITE:
            return Turned(403, "another site asks", "open the page itself")
        if not self._asks_all and is_loopback(host_of(headers.get("Host", ""))):
            return Guest(None)
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return Turned(401, "the page asks for a token here", REMEDY)
        wait = self._tries.take(self._now())
        if wait:
            return Turned(429, "too many tokens were tried", "wait a moment", wait)
        identity = await self._checks.verify(token.strip(), self._now())
        if isinstance(identity, AuthFault):
            return Turned(401, identity.reason, identity.remedy)
        if EXCHANGE_OPERATOR not in identity.roles:
            reason = f"{identity.agent_id} is no operator of the exchange"
            return Turned(403, reason, REMEDY)
        return Guest(identity)

    def ended(self, guest: Guest) -> str:
        """Return why somebody who was let in may not stay; empty while that is not so."""
        if guest.identity is None:
            return ""
        fault = self._checks.still_good(guest.identity, self._now())
        return "" if fault is None else fault.reason


REMEDY: Final = (
    f'give a token with the role "{EXCHANGE_OPERATOR}"; for development: '
    f"llmx token agent://operator --role {EXCHANGE_OPERATOR}"
)


def host_of(header: str) -> str:
    """Return the host of a Host header, without the port."""
    host, _, port = header.rpartition(":")
    return host if host and port.isdecimal() else header
