"""Which topics are heard in their own region only.

Agents of another region may listen to a topic of the same name; then it is theirs, and the two
do not mix: a gateway tells of listeners to a regional topic only to gateways of its own region.

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

from collections.abc import Iterable

REMAINDERS_MAX = 16_384
"""Sets of topics of which is remembered what other regions hear of them."""


class RegionalTopics:
    """Names, and prefixes that end in "/*": `local/*` is every topic below `local`."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        """Take patterns as they stand in the settings."""
        self._patterns = tuple(patterns)
        self._prefixes = tuple(one[:-1] for one in self._patterns if one.endswith("/*"))
        self._names = frozenset(one for one in self._patterns if not one.endswith("/*"))
        self._remainders: dict[frozenset[str], frozenset[str]] = {}

    def __repr__(self) -> str:
        """Tell the patterns."""
        return f"<RegionalTopics: {', '.join(self._patterns) or 'none'}>"

    def __bool__(self) -> bool:
        """Tell whether any topic is regional."""
        return bool(self._patterns)

    def is_regional(self, topic: str) -> bool:
        """Tell whether only its own region hears of a topic."""
        return topic in self._names or topic.startswith(self._prefixes)

    def without_regional(self, topics: frozenset[str]) -> frozenset[str]:
        """Return those of the topics that every region hears of."""
        remainder = self._remainders.get(topics)
        if remainder is None:
            regional = {topic for topic in topics if self.is_regional(topic)}
            remainder = topics - regional if regional else topics
            if len(self._remainders) >= REMAINDERS_MAX:
                self._remainders.clear()
            self._remainders[topics] = remainder
        return remainder
