"""What happened in finished negotiations: enough to replay each of them.

The last `kept` records stay in memory. With a file, each is appended as one line of JSON;
a line that cannot be written is counted and logged once a minute, and negotiations go on:
a full disk must not stop the exchange.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import orjson
import structlog

from policy.table import Record

log = structlog.get_logger("llmx.records")


class Recorder:
    """Keeps the records of finished negotiations, and logs one line for each."""

    def __init__(self, kept: int, path: Path | None) -> None:
        """Keep `kept` records in memory, and append all to `path` unless it is None."""
        self.recent: deque[Record] = deque(maxlen=kept)
        self.lost = 0
        self._file: IO[bytes] | None = None if path is None else path.open("ab")

    def finished(self, record: Record | None, outcome: Mapping[str, Any]) -> None:
        """Keep the record of a negotiation whose outcome is known."""
        log.info(
            "negotiation finished",
            negotiation_id=outcome["negotiation_id"],
            state=outcome["state"],
            reason=outcome["reason"],
            policy=outcome["policy"],
            offers=outcome["offers"],
            eligible=outcome["eligible"],
            seconds=round(outcome["decided_at"] - outcome["opened_at"], 6),
        )
        if record is None:
            return
        self.recent.append(record)
        if self._file is not None:
            try:
                self._file.write(line_of(record))
                self._file.flush()
            except OSError as error:
                self.lost += 1
                if self.lost == 1:
                    log.error("a record could not be written", error=str(error))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def line_of(record: Record) -> bytes:
    """Return a record as one line of JSON: the call, then each event with its time."""
    return orjson.dumps(
        {
            "call": record.call,
            "events": [
                {"at": at, "event": type(event).__name__, **_fields(event)}
                for at, event in record.events
            ],
        },
        default=_plain,
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _fields(event: object) -> dict[str, Any]:
    assert dataclasses.is_dataclass(event), "events are dataclasses"
    return {
        field.name: getattr(event, field.name) for field in dataclasses.fields(event)
    }


def _plain(value: object) -> object:
    if isinstance(value, (tuple, frozenset)):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not part of a record")
