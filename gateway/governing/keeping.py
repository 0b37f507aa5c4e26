"""Where governance keeps what it knows: small texts under names, heard by all that share them.

A `Keeper` tells every text that there is when it begins, and each change from then on, its own and
those of others. There is one in memory (here), one in the gateway's file (`kept_in_file`) and one
in etcd (`kept_in_etcd`), which all gateways of a cluster share.

What is heard from others comes late, by milliseconds while etcd answers: who asks two gateways at
once may hear two things. What one keeper changes, it changes as if nobody else did: `change` makes
another text of the one that stands, and begins again when somebody was faster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Edit = Callable[[bytes | None], bytes | None]
"""Makes another text of one, or of None; None to leave it as it is. May be asked several times."""
Hear = Callable[[str, bytes | None], None]
"""Hears a text once it stands, None when it is gone."""


class KeepError(Exception):
    """A text cannot be kept now; says why. It may be tried again later."""


class Keeper(Protocol):
    """Keeps texts."""

    on_text: Hear

    @property
    def outlives(self) -> bool:
        """Tell whether what is kept outlives the gateway, or others hear it."""

    async def put(self, name: str, text: bytes) -> None:
        """Let a text stand under a name. Raises KeepError."""

    async def change(self, name: str, edit: Edit) -> None:
        """Change a text; it is heard before this returns. Raises KeepError, or what `edit` does."""

    async def remove(self, name: str) -> None:
        """Take a text away; nothing happens when there is none. Raises KeepError."""

    async def run(self) -> None:
        """Listen until cancelled."""

    async def begun(self, seconds: float) -> bool:
        """Wait until all texts were heard once, so many seconds at most; tells whether."""


def nothing_heard(name: str, text: bytes | None) -> None:
    """Hear a text, and do nothing."""


class KeptInMemory:
    """Texts that end with their gateway."""

    outlives = False

    def __init__(self) -> None:
        """Start empty."""
        self._texts: dict[str, bytes] = {}
        self.on_text: Hear = nothing_heard

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<KeptInMemory: {len(self._texts)} texts>"

    async def put(self, name: str, text: bytes) -> None:
        """Let a text stand under a name."""
        self._texts[name] = text
        self.on_text(name, text)

    async def change(self, name: str, edit: Edit) -> None:
        """Change a text."""
        text = edit(self._texts.get(name))
        if text is not None:
            await self.put(name, text)

    async def remove(self, name: str) -> None:
        """Take a text away."""
        if self._texts.pop(name, None) is not None:
            self.on_text(name, None)

    async def run(self) -> None:
        """Do nothing: nobody else changes them."""

    async def begun(self, seconds: float) -> bool:
        """Be ready at once."""
        return True
