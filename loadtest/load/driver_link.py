"""Locust's end of a driver: starts it, gives it orders, and turns its reports into events.

Imports the standard library only, which Locust has made cooperative: the reader below is a thread
to this module and a greenlet under Locust.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

END_SECONDS_MAX = 30.0
REFUSALS_FIRED_MAX = 1_000
"""Of one code and one report; Locust keeps a count of each anyway."""

Fire = Callable[[str, str, float, str], None]
"""Type, name, milliseconds and, if it failed, why; else an empty text."""


class DriverLink:
    """A driver that runs."""

    def __init__(self, python: str, plan: Path, worker: int, fire: Fire) -> None:
        """Start the driver of a Locust worker; `fire` hears of all that it reports."""
        root = Path(__file__).resolve().parents[2]
        self._process = subprocess.Popen(
            [python, "-m", "loadtest.load.driver", str(plan), str(worker)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        self._fire = fire
        self._orders = threading.Lock()
        self._heard_last = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def order(self, **order: object) -> None:
        """Give an order; one that has ended hears nothing."""
        stdin = self._process.stdin
        assert stdin is not None, "it was started with pipes"
        with self._orders, contextlib.suppress(OSError, ValueError):
            stdin.write(json.dumps(order) + "\n")
            stdin.flush()

    def end(self) -> None:
        """Let open rounds run out and hear the last report; a driver that stays is killed."""
        self.order(end=True)
        self._reader.join(END_SECONDS_MAX)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS_MAX)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # what it never read
                self._process.stdin.close()
        if not self._heard_last:
            self._fire("driver", "end", 0.0, f"it ended early, code {self._process.returncode}")

    def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None, "it was started with pipes"
        with stdout:
            for line in stdout:
                report = json.loads(line)
                self._heard_last = self._heard_last or report["last"]
                fire_all(report, self._fire)


def fire_all(report: Mapping[str, Any], fire: Fire) -> None:
    """Fire an event for each round, stream and refusal in a report."""
    for _, _, _, offers, offers_ms, decision_ms in report["rounds"]:
        if offers:
            fire("round", "last offer", offers_ms, "")
        fire("round", "decision", decision_ms, "")
    for _, _, milliseconds, came_back, _ in report["streams"]:
        fire("stream", "return" if came_back else "connect", milliseconds, "")
    for code, count in report["refused"].items():
        for _ in range(min(count, REFUSALS_FIRED_MAX)):
            fire("message", "refused", 0.0, code)
    for _ in range(report["unfinished"]):
        fire("round", "decision", 0.0, "never ended")
