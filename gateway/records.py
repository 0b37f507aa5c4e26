"""What happened in finished negotiations: enough to replay each of them.

The last `kept` records stay in memory. With a file, each is appended as one line of JSON;
a line that cannot be written is counted and logged once a minute, and negotiations go on:
a full disk must not stop the exchange.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import structlog

from gateway.record_format import line_of
from policy.table import Record

COMPLAIN_SECONDS = 60.0
"""How long one complaint about records that cannot be written stands for all."""

ENDED = frozenset({"end", "unreachable", "not_understood"})
"""Why a party has ended a bargain, in words of the engine."""

Heard = Callable[[Record | None, Mapping[str, Any]], None]


class Recorder:
    """Keeps the records of finished negotiations, and logs one line for each."""

    def __init__(self, kept: int, path: Path | None) -> None:
        """Keep `kept` records in memory, and append all to `path` unless it is None."""
        self.recent: deque[Record] = deque(maxlen=kept)
        self.heard: Heard = lambda record, outcome: None
        """Hears of every negotiation whose outcome is known."""
        self.lost = 0
        self._complain_at = float("-inf")
        self._torn = False
        # Unbuffered: a record is one write, and what the disk has not taken is not kept.
        self._log = structlog.get_logger("llmx.records").bind()
        # Bound once: a line for each negotiation is the most frequent one there is.
        self._file: IO[bytes] | None = None if path is None else path.open("ab", buffering=0)

    def finished(self, record: Record | None, outcome: Mapping[str, Any]) -> None:
        """Keep the record of a negotiation whose outcome is known."""
        self._log.info(
            "negotiation finished",
            negotiation_id=outcome["negotiation_id"],
            state=outcome["state"],
            reason=reason_of(outcome),
            policy=outcome["policy"],
            offers=outcome["offers"],
            eligible=outcome["eligible"],
            seconds=round(outcome["decided_at"] - outcome["opened_at"], 6),
        )
        self.heard(record, outcome)
        if record is None:
            return
        self.recent.append(record)
        if self._file is not None:
            self._append(self._file, line_of(record), outcome["decided_at"])

    def _append(self, file: IO[bytes], line: bytes, now: float) -> None:
        """Write a line, on a line of its own even if the last one was cut short."""
        if self._torn:
            line = b"\n" + line
        try:
            written = file.write(line)
        except OSError as error:
            problem = str(error)
        else:
            self._torn = written < len(line)
            if not self._torn:
                return
            problem = f"{written} of {len(line)} bytes were taken"
        self.lost += 1
        if now >= self._complain_at:
            self._complain_at = now + COMPLAIN_SECONDS
            self._log.error("a record could not be written", error=problem, lost=self.lost)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def reason_of(outcome: Mapping[str, Any]) -> str:
    """Return why a negotiation ended, as it may be written down.

    An agent that cancels it, or ends a bargain, says why in its own words; these are in the
    outcome only.
    """
    if outcome["state"] == "cancelled":
        return "cancelled"
    reason: str = outcome["reason"]
    is_its_own = outcome.get("ended_by") == "end" and reason not in ENDED
    return "end" if is_its_own else reason
