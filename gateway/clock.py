"""The one clock of a gateway.

It starts at the wall time and then follows the monotonic clock, so it never jumps: a
deadline is judged by the same clock that set it, whatever happens to the machine's date.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

Clock = Callable[[], float]
"""Returns seconds since 1970 that never go back."""

TIMESTAMP_SECONDS_MAX = 253_402_300_799
"""The end of the year 9999; a Timestamp knows nothing beyond it."""


def steady_clock() -> Clock:
    """Return a clock that reads the wall time now and is steady from then on."""
    offset = time.time() - time.monotonic()
    monotonic = time.monotonic

    def now() -> float:
        return monotonic() + offset

    return now


def iso_text(seconds: float) -> str:
    """Return `seconds` since 1970 as ISO 8601 in UTC with milliseconds."""
    whole, micros = divmod(round(seconds * 1e6), 1_000_000)
    return f"{_to_the_second(whole)}.{micros // 1000:03d}Z"


@lru_cache(maxsize=8)  # many messages are written in the same second
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]


def set_seconds(told: Timestamp | Duration, seconds: float) -> None:
    """Set a time, or a span of 0 or more; what protobuf has for this takes three times as long."""
    told.seconds, told.nanos = divmod(round(seconds * 1e9), 1_000_000_000)


def seconds_of(text: str) -> float | None:
    """Return the seconds since 1970 that an ISO 8601 text with a zone means, else None."""
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else moment.timestamp()
    except (ValueError, OverflowError):
        return None


def told_expiry(expires_at: float) -> int:
    """Return the end of a token as whole seconds that a Timestamp can hold."""
    return max(0, min(int(expires_at), TIMESTAMP_SECONDS_MAX))
