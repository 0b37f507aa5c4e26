"""Looks after agents and streams several times a second: whatever is due by the clock.

Repeats what was not acknowledged and expires what came too late, shows life on quiet streams
and ends those that are silent, old or without a good token, and lets agents go whose grace is
over. A look costs what is due and an eighth of the streams, so that thousands of quiet agents
keep nobody waiting.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass

from gateway.absences import Absences
from gateway.auth import Authenticator
from gateway.clock import Clock
from gateway.members import NOBODY_YET, Member, Members, Recipient
from gateway.metrics import Metrics
from gateway.negotiations import Negotiations
from gateway.quota import RepeatBudget
from gateway.router import Router
from gateway.session import Session

UPKEEP_SECONDS = 0.25
LATE_SECONDS = 0.1
"""When an upkeep comes later than that, the gateway has more to do than it can."""
WATCH_SLICES = 8
"""In how many looks every stream is looked at once, if there are many."""
WATCH_SLICE_MIN = 64
EXPIRE_MAX = 2_000
"""Messages that one look takes out of outboxes; their senders are told of each, 20 µs apiece."""


@dataclass(frozen=True, slots=True)
class UpkeepLimits:
    """When something is due."""

    grace: float
    """Seconds that a session can be resumed after its stream broke."""
    heartbeat: float
    """Seconds of silence after which either side shows that it is alive."""
    age_max: float
    """Seconds that a stream may last; 0 for ever."""
    repeats_per_second: float
    """How many messages may be sent again, of all agents together."""


class Upkeep:
    """What a gateway does by the clock for its streams and agents."""

    def __init__(
        self,
        limits: UpkeepLimits,
        authenticator: Authenticator,
        members: Members,
        sessions: Collection[Session],
        left: list[Member],
        negotiations: Negotiations,
        router: Router,
        absences: Absences,
        metrics: Metrics,
        now: Clock,
    ) -> None:
        """Look after `members` and `sessions`; who is in `left` is not waited for any more."""
        self._limits = limits
        self._authenticator = authenticator
        self._members = members
        self._sessions = sessions
        self._left = left
        self._negotiations = negotiations
        self._router = router
        self._absences = absences
        self._metrics = metrics
        self._now = now
        self._unwatched: list[Session] = []
        self._repeats = RepeatBudget(limits.repeats_per_second, now())

    async def run(self) -> None:
        """Repeat, expire, and forget who stays away, until cancelled."""
        while True:
            due = self._now() + UPKEEP_SECONDS
            await asyncio.sleep(UPKEEP_SECONDS)
            now = self._now()
            self.look(now, random.random, is_late=now - due > LATE_SECONDS)

    def look(self, now: float, chance: Callable[[], float], *, is_late: bool = False) -> None:
        """Do what is due at `now`; `chance` gives the jitter of repeats, 0 to 1.

        While the gateway itself is late nothing is repeated: the acknowledgements are likely to
        wait for it.
        """
        # A part of them each time: to look at 5,000 would keep everybody waiting for 8 ms.
        self._unwatched = self._unwatched or list(self._sessions)
        slice_size = max(WATCH_SLICE_MIN, len(self._sessions) // WATCH_SLICES)
        watched = self._unwatched[-slice_size:]
        del self._unwatched[-slice_size:]
        for session in watched:
            fault = self._authenticator.still_good(session.identity, now)
            if fault is not None:
                reason = "token_revoked" if fault.code == "revoked" else "token_expired"
                session.close(reason, f"{fault.reason}; send RenewToken in time")
            elif self._limits.age_max and now - session.opened_at > self._limits.age_max:
                session.close("aged", "the stream is as old as streams may be; open another one")
            else:
                session.show_life(now, self._limits.heartbeat)
        owing, left = self._members.owing, EXPIRE_MAX
        for member in list(owing.values()):
            if not len(member.outbox):
                del owing[member.key]
            elif member.outbox.next_due <= now:
                over = member.outbox.expire(now, left)
                left -= len(over)
                if over:
                    self._router.undelivered(member, over, "expired")
                if self._repeat(member, now, chance, is_late=is_late) or over:
                    owing[member.key] = owing.pop(member.key)  # others come first now
        for member in self._members.away_before(now - self._limits.grace):
            self._absences.leave(member)
            self._left.append(member)
        self._absences.upkeep(now)
        if self._left:
            gone = [member for member in self._left if member.stream is None]
            self._left.clear()
            self._negotiations.leave(gone)
            for member in gone:
                has_moved = member.tenant.members.get(member.agent_id) is not member
                if not has_moved and member.generation != NOBODY_YET:
                    self._members.changed(member)

    def _repeat(
        self, member: Recipient, now: float, chance: Callable[[], float], *, is_late: bool
    ) -> bool:
        """Send again what is late; tells whether the budget allowed it.

        What all agents together do not get again now, they get when it does.
        """
        outbox, stream = member.outbox, member.stream
        if stream is None or is_late or not outbox.is_late(now):
            return False
        if not self._repeats.allows(now, outbox.sent_count):
            return False
        self._metrics.repeated += outbox.repeat(now, chance())
        stream.wake()
        return True
