"""The session of an agent across its streams: the numbers in both directions, and silence.

A session outlives its stream. Batches are numbered from 1 in each direction; any other frame
bears the number 0, confirms, and is not confirmed itself. `Link` is kept from stream to stream
and decides what a number that came means and whether a Welcome goes on with the session; `Pulse`
belongs to one stream and decides when its silence has lasted too long.

Pure: nothing here reads a clock or sends anything.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

CONFIRM_AFTER = 16
"""Frames that may come, while we send none, before we send one that only confirms."""
SILENT_HEARTBEATS_MAX = 3
"""Heartbeats without a frame after which a stream is lost."""
LOOKS_PER_HEARTBEAT = 4
"""How often, at most, a stream is looked at in one heartbeat."""
GAPS_MAX = 2
"""Gaps in a row after which resuming has not helped, and a new session is begun."""


class Arrival(enum.Enum):
    """What the number of a frame that came means."""

    NEW = enum.auto()
    REPEAT = enum.auto()
    """It was handled before."""
    GAP = enum.auto()
    """One before it is missing."""


class Begun(enum.Enum):
    """What a Welcome means for the session."""

    RESUMED = enum.auto()
    """Both sides go on counting; nothing that was handled comes again."""
    FRESH = enum.auto()
    """Both sides count from 1; what is owed is sent again."""
    IMPOSSIBLE = enum.auto()
    """The gateway speaks of a session that we never had: connect again, without a token."""


class Link:
    """The numbers of one session, whatever stream carries it."""

    __slots__ = ("_gaps", "_unanswered", "received", "sent", "token")

    def __init__(self) -> None:
        """Have no session yet."""
        self.token = ""
        """What to say in the next Hello to go on; empty when there is nothing to go on with."""
        self.sent = 0
        """The number of the last batch that we sent."""
        self.received = 0
        """The number of the last batch that came and was handled."""
        self._unanswered = 0
        self._gaps = 0

    def __repr__(self) -> str:
        return f"<Link: {self.sent} sent, {self.received} received>"

    @property
    def owes_confirmation(self) -> bool:
        """Have so many frames come that one without content is due?"""
        return self._unanswered >= CONFIRM_AFTER

    def begin(self, token: str, *, resumed: bool, confirmed: int) -> Begun:
        """Hear a Welcome with its token and its confirmed number."""
        said, self.token = self.token, token
        self._unanswered = 0  # the Hello has confirmed them
        if not resumed:
            self.sent = self.received = 0
            return Begun.FRESH
        if not said or confirmed > self.sent:
            self.token = ""
            return Begun.IMPOSSIBLE
        self.token = token or said
        self.sent = confirmed
        return Begun.RESUMED

    def move(self, token: str) -> None:
        """Hear in a Goodbye how to go on; an empty token changes nothing."""
        self.token = token or self.token

    def hear(self, number: int) -> Arrival:
        """Tell what a frame with this number is; the caller says `took` when it is handled."""
        if number == 0 or number == self.received + 1:
            return Arrival.NEW
        if number <= self.received:
            return Arrival.REPEAT
        self._gaps += 1
        if self._gaps >= GAPS_MAX:
            self.token = ""
        return Arrival.GAP

    def took(self, number: int) -> None:
        """Count a frame that was handled; one without a number counts for nothing."""
        if number:
            self.received = number
            self._unanswered += 1
            self._gaps = 0

    def number_next(self) -> int:
        """Return the number of the next batch; it confirms what came."""
        self._unanswered = 0
        self.sent += 1
        return self.sent

    def confirm(self) -> None:
        """Count what came as confirmed, by a frame without a number."""
        self._unanswered = 0


@dataclass(slots=True)
class Pulse:
    """How long either side of one stream has been silent."""

    heartbeat: float
    """Seconds that a side may be silent; 0 means for ever."""
    said_at: float
    """When we sent the last frame, by the clock whose readings the methods take."""
    heard_at: float
    """When the last frame came."""

    @property
    def lost_at(self) -> float:
        """Return when the stream is lost if nothing comes."""
        return self.heard_at + SILENT_HEARTBEATS_MAX * self.heartbeat

    def is_lost(self, now: float) -> bool:
        """Has nothing come for too long?"""
        return self.heartbeat > 0 and now >= self.lost_at

    def owes_beat(self, now: float) -> bool:
        """Have we been silent so long that a frame without content is due?"""
        return self.heartbeat > 0 and now >= self.said_at + self.heartbeat

    def rest(self, now: float) -> float:
        """Return seconds until it makes sense to look again."""
        due = min(self.said_at + self.heartbeat, self.lost_at)
        return max(due - now, self.heartbeat / LOOKS_PER_HEARTBEAT)
