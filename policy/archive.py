"""The journal does not grow for ever: what is long past is carried forward in one entry.

Of the entries that it replaces, a carried entry has the sum of all postings, account by account,
and what was spent by agent, resource and project; so every balance and the market's credit stay
what they were. What is forgotten are single negotiations, and the keys: who asks again with one of
them asks for something new. Calls that were decided as long ago are forgotten with them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from policy.facts import Draft, call_key, entry_key, refunded_key
from policy.ledger import Entry, Kind, Posting, Spent
from policy.store import CarryForward, Commit, Decision

ENTRIES_MAX = 32
"""Entries and calls, each, that one commit carries forward."""


def carry_forward(draft: Draft, change: CarryForward) -> None:
    """Take off entries, and let what they say be said by the entry of this commit."""
    sums: Counter[tuple[Kind, str, str]] = Counter()
    costs: Counter[tuple[str, str, str]] = Counter()
    for key in change.entries:
        entry = draft.get(entry_key(key), Entry)
        if entry is None:
            continue  # another gateway has carried it forward
        for posting in entry.postings:
            sums[posting.kind, posting.owner, posting.place] += posting.micros
        for spent in entry.spent:
            costs[spent.agent, spent.resource, spent.project] += spent.micros
            if spent.hold_id:
                draft.take_off(refunded_key(spent.hold_id))
        draft.carried_until = max(draft.carried_until or 0.0, entry.at)
        draft.take_off(entry_key(key))
    draft.postings += [
        Posting(kind, micros, owner, place)
        for (kind, owner, place), micros in sorted(sums.items())
        if micros
    ]
    draft.spent += [
        Spent("", agent, micros, "", resource, project)
        for (agent, resource, project), micros in sorted(costs.items())
        if micros
    ]
    for call in change.calls:
        if draft.get(call_key(call), Decision) is not None:
            draft.take_off(call_key(call))


def carrying(
    entries: Iterable[Entry], calls: Iterable[Decision], before: float, at: float
) -> Iterator[Commit]:
    """Yield what carries forward all that is older than `before`, a few at a time.

    Asked again until there is nothing, it leaves a handful of entries from that time.
    """
    old = [entry for entry in entries if entry.at < before]
    single = [entry.key for entry in old if not entry.is_carried]
    carried = [entry.key for entry in old if entry.is_carried]
    some = single or (carried if len(carried) >= ENTRIES_MAX else [])
    forgotten = [call.call for call in calls if call.at < before]
    for first in range(0, max(len(some), len(forgotten)), ENTRIES_MAX):
        change = CarryForward(
            tuple(some[first : first + ENTRIES_MAX]), tuple(forgotten[first : first + ENTRIES_MAX])
        )
        yield Commit(f"carried:{_digest(change.entries + change.calls)}", at, (change,))


def _digest(keys: Sequence[str]) -> str:
    return hashlib.blake2b("\0".join(keys).encode(), digest_size=16).hexdigest()
