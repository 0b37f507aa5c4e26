"""Signs of life on one stream: when the other side was heard, and how long a way takes.

Each side says by its own clock when it speaks, and what it heard last and how long ago; the
difference is the round trip, without the time that the answer waited to be said.

Pure: the caller says what time it is.
"""

from __future__ import annotations

from collections.abc import Collection

from llmx.v1.peering_pb2 import PeerHeartbeat

SILENT_HEARTBEATS = 3
"""After so many heartbeats in which nothing came, the other side is taken for dead."""
BEAT_SHARE = 0.75
"""After so much of a heartbeat the next one is due, so that one comes in each."""
NEW_SHARE = 0.25
"""How much the newest round trip counts in the one that is told."""


class Pulse:
    """The heartbeats of one stream, in both directions."""

    __slots__ = ("_came_at", "_came_sent", "_seconds", "heard_at", "round_trip", "spoke_at")

    def __init__(self, heartbeat: float, now: float) -> None:
        """Begin with a stream that was opened `now`; `heartbeat` is in seconds."""
        self._seconds = heartbeat
        self._came_sent = 0
        self._came_at = now
        self.heard_at = now
        """When anything came the last time."""
        self.spoke_at = float("-inf")
        """When the last heartbeat was said."""
        self.round_trip = 0.0
        """Seconds; 0 until it is known."""

    def owes_beat(self, now: float) -> bool:
        """Tell whether it is time for a heartbeat."""
        return now - self.spoke_at >= BEAT_SHARE * self._seconds

    def is_silent(self, now: float) -> bool:
        """Tell whether the other side is taken for dead."""
        return now - self.heard_at > SILENT_HEARTBEATS * self._seconds

    def beat(self, now: float, connected: Collection[str], sees_discovery: bool) -> PeerHeartbeat:
        """Return the heartbeat to say now."""
        self.spoke_at = now
        return PeerHeartbeat(
            sent=_nanoseconds(now),
            echo=self._came_sent,
            echo_age=_nanoseconds(now - self._came_at) if self._came_sent else 0,
            connected=sorted(connected),
            sees_discovery=sees_discovery,
        )

    def hear(self, beat: PeerHeartbeat, now: float) -> None:
        """Take a heartbeat of the other side."""
        self._came_sent, self._came_at = beat.sent, now
        if beat.echo:
            seconds = (_nanoseconds(now) - beat.echo - beat.echo_age) / 1e9
            if seconds >= 0:  # a clock that is not ours says nothing
                known = self.round_trip
                self.round_trip = known + NEW_SHARE * (seconds - known) if known else seconds


def _nanoseconds(seconds: float) -> int:
    return max(0, round(seconds * 1e9))
