"""Where an agent's token comes from."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable

TokenSource = str | Callable[[], str] | Callable[[], Awaitable[str]]
"""A token, or a function, async or not, that returns a fresh one whenever it is called."""

RENEW_AT = 0.8  # of a token's life: early enough for a second try


class Tokens:
    """Returns the token to use, and knows whether another one can be had."""

    def __init__(self, source: TokenSource) -> None:
        """Take tokens from `source`."""
        self._source = source

    @property
    def can_renew(self) -> bool:
        """Can a fresh token be had?"""
        return not isinstance(self._source, str)

    async def fetch(self) -> str:
        """Return a token; a fresh one if the source is a function. What it raises passes on."""
        if isinstance(self._source, str):
            return self._source
        token = self._source()
        return await token if inspect.isawaitable(token) else token


def renewal_wait(life: float) -> float:
    """Return seconds to wait before a token with `life` seconds left is renewed."""
    return max(life, 0.0) * RENEW_AT
