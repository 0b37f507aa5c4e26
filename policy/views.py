"""What is read from a store, whichever it is: a `FactReader` says what its facts mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import TypeVar

from policy import archive
from policy.budgets import Grant, Share, at_window
from policy.facts import (
    CALLS,
    ENTRIES,
    HOLDS,
    RESOURCES,
    Fact,
    call_key,
    grant_key,
    purse_key,
    resource_key,
    share_key,
)
from policy.ledger import Balance, Entry, Hold, Purse
from policy.resources import Resource
from policy.store import CARRIED_MAX, BudgetUse, Commit, Committed, Decision, Refused, Release

EXPIRED_MAX = 16
"""Holds that one commit releases."""

_Kind = TypeVar("_Kind", Decision, Entry, Grant, Hold, Purse, Resource, Share)


class FactReader(ABC):
    """The half of a store that reads; the other half commits."""

    @abstractmethod
    async def commit(self, commit: Commit) -> Committed | Refused:
        """Do all of it or nothing, and tell which."""

    @abstractmethod
    async def at(self, key: str) -> Fact | None:
        """Return what stands under a key."""

    @abstractmethod
    async def under(self, prefix: str) -> Sequence[Fact]:
        """Return what stands under the keys that begin so, in the order in which it was written."""

    async def decision(self, call: str) -> Decision | None:
        """Return the award of a call; None also when it was taken back."""
        stands = await self._one(Decision, call_key(call))
        return None if stands is None or stands.is_open else stands

    async def balance(self, agent: str) -> Balance:
        """Return what an agent has, at all places together."""
        purses = _only(Purse, await self.under(purse_key(agent, "")))
        return Balance(
            sum(purse.available for purse in purses), sum(purse.held for purse in purses)
        )

    async def holds(self, prefix: str = "") -> Sequence[Hold]:
        """Return the holds that have not ended, those whose id begins so."""
        return _only(Hold, await self.under(HOLDS + prefix))

    async def budget(self, name: str, at: float) -> BudgetUse | None:
        """Return how a budget stands in the window of a time."""
        grant = await self._one(Grant, grant_key(name))
        if grant is None:
            return None
        grant = at_window(grant, max(grant.window, grant.window_at(at)))
        shares = _only(Share, await self.under(share_key(name, "")))
        used = sum(share.used for share in shares if share.window == grant.window)
        return BudgetUse(grant, used, grant.resets_at(grant.window))

    async def resource(self, name: str) -> Resource | None:
        """Return a resource with its calendar."""
        return await self._one(Resource, resource_key(name))

    async def resources(self) -> Sequence[Resource]:
        """Return all resources, by name."""
        found = _only(Resource, await self.under(RESOURCES))
        return sorted(found, key=lambda resource: resource.name)

    async def entries(self, since: float = 0.0) -> Sequence[Entry]:
        """Return the journal from a time on, in the order in which it was written.

        What was carried forward comes first: it is older than all the rest.
        """
        found = [entry for entry in _only(Entry, await self.under(ENTRIES)) if entry.at >= since]
        return sorted(found, key=lambda entry: not entry.is_carried)

    async def carry_forward(self, before: float, at: float, commits_max: int = CARRIED_MAX) -> int:
        """Put the journal from before a time together, now; tell how many commits that took."""
        commits = 0
        while True:
            calls = _only(Decision, await self.under(CALLS))
            some = list(archive.carrying(await self.entries(), calls, before, at))
            for commit in some:
                if commits >= commits_max or isinstance(await self.commit(commit), Refused):
                    return commits
                commits += 1
            if not some:
                return commits

    async def expire(self, at: float) -> int:
        """Release every hold whose time is over, and tell how many there were."""
        due = [hold.hold_id for hold in await self.holds() if hold.expires_at <= at]
        ended = 0
        for first in range(0, len(due), EXPIRED_MAX):
            some = due[first : first + EXPIRED_MAX]
            changes = tuple(Release(hold_id, only_expired=True) for hold_id in some)
            answer = await self.commit(Commit(f"expired:{some[0]}:{len(some)}", at, changes))
            ended += len(some) if isinstance(answer, Committed) else 0
        return ended

    async def _one(self, kind: type[_Kind], key: str) -> _Kind | None:
        fact = await self.at(key)
        assert fact is None or isinstance(fact, kind), "a key tells what stands under it"
        return fact


def _only(kind: type[_Kind], facts: Iterable[Fact]) -> list[_Kind]:
    return [fact for fact in facts if isinstance(fact, kind)]
