"""Processes that share a port have about as many agents each.

The kernel spreads new connections evenly by chance, and streams last for days: a process that was
started again stays without agents while the others have them all. So a process with many more
than its part asks some to go on at the others, which an agent notices as a new connection and
nothing else. Nobody is asked twice within a while: who cannot get there comes back and stays.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping

import structlog

from gateway.clock import Clock
from gateway.members import Tenant
from gateway.remote_members import RemoteMember
from gateway.session import Session

LOOK_SECONDS = 2.0
SURPLUS_MIN = 4
"""Fewer agents than that are not worth a move."""
SURPLUS_PART = 0.25
"""How much more than its part a process may have: twice what chance makes of 100 agents."""
MOVES_MAX = 200
"""Agents that are asked at one look."""
AGAIN_SECONDS = 900.0

log = structlog.get_logger("llmx.balance")


def surplus(own: int, siblings: Mapping[str, int]) -> dict[str, int]:
    """Return how many of `own` agents shall go to each sibling, given how many those have."""
    part = (own + sum(siblings.values())) / (1 + len(siblings))
    if own - part < max(SURPLUS_MIN, SURPLUS_PART * part):
        return {}
    lacking = {name: part - count for name, count in siblings.items() if count < part}
    # All that have too many move at once, so each fills its share of every gap and no more.
    share = (own - part) / sum(lacking.values())
    moves = {name: math.floor(lack * share) for name, lack in lacking.items()}
    return {name: count for name, count in moves.items() if count}


class Balance:
    """Moves agents from one process to its siblings."""

    def __init__(
        self,
        sessions: Collection[Session],
        tenants: Mapping[str, Tenant],
        siblings: Callable[[], Mapping[str, str]],
        now: Clock,
    ) -> None:
        """Move agents of `sessions`; `siblings` tells who is reached, and where agents are."""
        self._sessions = sessions
        self._tenants = tenants
        self._siblings = siblings
        self._now = now
        self._asked: dict[str, float] = {}
        self.is_paused: Callable[[], bool] = lambda: False
        """Tells whether agents go elsewhere anyway."""

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Balance: {len(self._sessions)} agents, {len(self._asked)} asked lately>"

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self.is_paused():
                self.look()

    def look(self) -> int:
        """Ask agents to move, if there are too many here; returns how many were asked."""
        now, addresses = self._now(), self._siblings()
        for key in [key for key, at in self._asked.items() if at < now - AGAIN_SECONDS]:
            del self._asked[key]
        moves = surplus(len(self._sessions), self._counts(addresses)) if addresses else {}
        movable = [one for one in self._sessions if one.member.key not in self._asked]
        asked = 0
        for name, count in moves.items():
            for _ in range(min(count, MOVES_MAX - asked, len(movable))):
                session = movable.pop()
                self._asked[session.member.key] = now
                session.close("stopping", f"{name} has more room", move_to=(addresses[name],))
                asked += 1
        if asked:
            log.info("agents move to siblings", asked=asked, agents=len(self._sessions))
        return asked

    def _counts(self, siblings: Collection[str]) -> Counter[str]:
        """Return how many agents each sibling has."""
        counts = Counter(dict.fromkeys(siblings, 0))
        for tenant in self._tenants.values():
            if len(tenant.everyone) > len(tenant.members):
                for member in tenant.everyone.values():
                    if (
                        isinstance(member, RemoteMember)
                        and member.home in counts
                        and not member.is_away
                        and member.lost_at is None
                    ):
                        counts[member.home] += 1
        return counts
