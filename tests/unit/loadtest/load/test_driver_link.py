"""What a driver reports becomes Locust's events, and a driver that dies is one too."""

from __future__ import annotations

import json
from pathlib import Path

from loadtest.load.driver_link import DriverLink, fire_all

REPORT = {
    "rounds": [[1, "w0g0000", 0.5, 9, 8.5, 9.5], [2, "w0g0000", 0.6, 0, 0.0, 30.0]],
    "streams": [["agent://a", 0, 5.5, False, False], ["agent://a", 0, 250.0, True, True]],
    "refused": {"RATE_LIMITED": 2},
    "unfinished": 1,
    "last": True,
}
EVENTS = [
    ("round", "last offer", 8.5, ""),
    ("round", "decision", 9.5, ""),
    ("round", "decision", 30.0, ""),
    ("stream", "connect", 5.5, ""),
    ("stream", "return", 250.0, ""),
    ("message", "refused", 0.0, "RATE_LIMITED"),
    ("message", "refused", 0.0, "RATE_LIMITED"),
    ("round", "decision", 0.0, "never ended"),
]

Event = tuple[str, str, float, str]


def _driver(folder: Path, script: str) -> str:
    """Write a program that is called as the driver's Python is; returns its path."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return str(path)


def test_rounds_streams_and_refusals_are_fired_one_by_one() -> None:
    fired: list[Event] = []
    fire_all(REPORT, lambda *event: fired.append(event))
    assert fired == EVENTS


def test_orders_go_in_and_the_last_report_comes_out(tmp_path: Path) -> None:
    fired: list[Event] = []
    script = f"""read come; read end; echo "$come$end" > "$3.orders"; echo '{json.dumps(REPORT)}'"""
    link = DriverLink(
        _driver(tmp_path, script), tmp_path / "plan", 0, lambda *event: fired.append(event)
    )
    link.order(come=1)
    link.end()
    assert (tmp_path / "plan.orders").read_text() == '{"come": 1}{"end": true}\n'
    assert fired == EVENTS


def test_a_driver_that_ends_without_a_last_report_is_a_failure(tmp_path: Path) -> None:
    fired: list[Event] = []
    link = DriverLink(_driver(tmp_path, "exit 3"), tmp_path, 0, lambda *event: fired.append(event))
    link.end()
    assert fired == [("driver", "end", 0.0, "it ended early, code 3")]
