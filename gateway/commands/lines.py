"""What the commands write to standard output: a line for people, or an object for programs.

Much of it was said by agents that nobody here knows. It is shortened, and signs that would
move the cursor or change colours are shown as what they are.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

WIDTH_MAX = 160
NOTE_LENGTH_MAX = 400


def say(line: str) -> None:
    """Print a line at once. When nobody reads on, that is an end like Ctrl-C."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        signal.raise_signal(signal.SIGINT)


def tell(event: str, **facts: Any) -> None:
    """Print an event for a program: one JSON object, with the machine's monotonic time."""
    line = {"event": event, "at": round(time.monotonic(), 6), **facts}
    say(json.dumps(line, ensure_ascii=True, default=str))


def clock() -> str:
    """Return the time of day, 12:00:01.123."""
    return datetime.now().strftime("%H:%M:%S.%f")[:-3]


def moment(seconds: float) -> str:
    """Return a time that a gateway has told, 2025-08-21T19:00:00Z; as it came if it is none."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return f"{seconds:g}"


def figure(value: float | None) -> str:
    """Return a number as people write it: 40, 37.5; a dash for none."""
    if value is None:
        return "–"
    if value and not 0.01 <= abs(value) < 1e12:
        return f"{value:g}"
    text = f"{value:.2f}"
    return text.rstrip("0").rstrip(".")


def clean(text: str, length_max: int = WIDTH_MAX) -> str:
    """Return what a stranger wrote, short and without signs that do something to a terminal."""
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    return shown if len(shown) <= length_max else shown[: length_max - 1] + "…"


def compact(value: Any, length_max: int = WIDTH_MAX) -> str:
    """Return words as they are, and anything else as JSON on one line; nothing for nothing."""
    if not value and value != 0:
        return ""
    if isinstance(value, str):
        return clean(value, length_max)
    if isinstance(value, Mapping):
        value = dict(value)
    return clean(json.dumps(value, ensure_ascii=False, default=str), length_max)


class Notes(logging.Handler):
    """Shows what the client library has to say: that the gateway is away, that a handler failed.

    That it is still away is said once.
    """

    def __init__(self, *, as_json: bool) -> None:
        """Write for people, or for programs."""
        super().__init__(logging.INFO)
        self._as_json = as_json
        self._is_away = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, if it is one that the command has not written itself."""
        is_news = self._is_news(record.msg)
        if record.levelno == logging.INFO and not is_news:
            return
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        text = clean(text, NOTE_LENGTH_MAX)
        if self._as_json:
            tell("note", level=record.levelname.lower(), text=text)
        else:
            say(f"{clock()}  note     {text}")

    def _is_news(self, template: str) -> bool:
        was_away = self._is_away
        if "again in" in template or "; going to" in template:
            self._is_away = True
            return not was_away
        if "connected to" in template:
            self._is_away = False
            return was_away
        return False


def show_notes(*, as_json: bool) -> None:
    """Show what the client library logs from now on."""
    log = logging.getLogger("llmx")
    log.handlers = [Notes(as_json=as_json)]
    log.setLevel(logging.INFO)
    log.propagate = False
