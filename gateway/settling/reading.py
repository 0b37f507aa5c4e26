"""Facts as they were kept, decoded; many of them beside the loop, which has to go on.

A journal of a month is hundreds of thousands of entries, and decoding 100,000 takes half a second:
streams would stall, and a lease could end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from policy.facts import Fact, decode
from policy.ledger import Entry

AT_ONCE_MAX = 1_000
"""More are decoded in a thread."""

Kept = Sequence[tuple[str, bytes, int]]
"""Keys with what stands there, and the revision that wrote it."""


async def facts_in(kept: Kept) -> list[Fact]:
    """Return facts in the order in which they were written."""
    if len(kept) <= AT_ONCE_MAX:
        return _in_order(kept)
    return await asyncio.to_thread(_in_order, kept)


def _in_order(kept: Kept) -> list[Fact]:
    found = [(revision, decode(fact)) for _, fact, revision in kept]
    found.sort(key=lambda one: (one[0], one[1].number if isinstance(one[1], Entry) else 0))
    return [fact for _, fact in found]
