"""Which messages were admitted lately, so that a repeat changes nothing.

Two generations of a dict: the young one is written, both are read, and when the young one
is full or old enough the older is dropped. An id is remembered for at least `window`
seconds or `ids_max` newer ids, whichever ends first. It is forgotten when a newer id comes
after twice that, so a quiet gateway remembers longer, and never more than twice `ids_max`. Pure.
"""

from __future__ import annotations


class Duplicates:
    """The ids of admitted messages, each with the negotiation that it opened, if any."""

    __slots__ = ("_born", "_ids_max", "_old", "_window", "_young")

    def __init__(self, window: float, ids_max: int, now: float) -> None:
        """Remember for `window` seconds, `ids_max` ids a generation."""
        self._window = window
        self._ids_max = ids_max
        self._young: dict[str, str] = {}
        self._old: dict[str, str] = {}
        self._born = now

    def __len__(self) -> int:
        """Return how many ids are remembered."""
        return len(self._young) + len(self._old)

    def find(self, key: str) -> str | None:
        """Return what was remembered with `key`, or None when it is new."""
        found = self._young.get(key)
        return self._old.get(key) if found is None else found

    def remember(self, key: str, opened: str, now: float) -> None:
        """Remember an admitted message, with the id of the negotiation it opened or ""."""
        young = self._young
        if len(young) >= self._ids_max or now - self._born > self._window:
            self._old, self._young = young, {}
            young = self._young
            self._born = now
        young[key] = opened

    def forget(self, key: str) -> None:
        """Forget a message that was not admitted after all."""
        self._young.pop(key, None)
        self._old.pop(key, None)
