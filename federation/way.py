"""One open stream to another gateway, as those see it who decide what goes over it.

It carries the frames of the link between the two, signs of life, and frames of others that pass
through. Those are queued here up to a bound; what finds no room is dropped, because the link
that it belongs to sends again what nobody confirms.

Pure: whoever holds the stream gives the functions that wake its writer and end it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from federation.pulse import Pulse

PASSING_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of frames of others that wait for one stream; one frame is always taken."""


class Way:
    """A stream to one other gateway."""

    __slots__ = (
        "_passing",
        "_passing_bytes",
        "close",
        "connected",
        "gateway_id",
        "opened_at",
        "passed_last",
        "pulse",
        "wake",
    )

    def __init__(
        self,
        gateway_id: str,
        pulse: Pulse,
        now: float,
        wake: Callable[[], None],
        close: Callable[[str], None],
    ) -> None:
        """Lead to `gateway_id`; `wake` is called when there is something to write."""
        self.gateway_id = gateway_id
        self.pulse = pulse
        self.opened_at = now
        self.wake = wake
        self.close = close
        """Ends the stream, for a reason; the first one counts."""
        self.connected: frozenset[str] = frozenset()
        """Whom the other side has a living stream with, as it said last."""
        self.passed_last = False
        """Was a frame of others the last thing that was written?"""
        self._passing: deque[bytes] = deque()
        self._passing_bytes = 0

    def __repr__(self) -> str:
        """Tell the state in words."""
        return (
            f"<Way to {self.gateway_id}: round trip {self.pulse.round_trip:.4f} s, "
            f"{len(self._passing)} frames passing>"
        )

    @property
    def has_passing(self) -> bool:
        return bool(self._passing)

    def let_pass(self, raw: bytes) -> bool:
        """Queue a frame of others; False when there is no room for it."""
        if self._passing and self._passing_bytes + len(raw) > PASSING_BYTES_MAX:
            return False
        self._passing.append(raw)
        self._passing_bytes += len(raw)
        self.wake()
        return True

    def next_passing(self) -> bytes:
        """Return the oldest frame of others, to write it now."""
        raw = self._passing.popleft()
        self._passing_bytes -= len(raw)
        return raw
