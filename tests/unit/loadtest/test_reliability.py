"""Figures stand between their marks, and what stands around them stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest import reliability
from loadtest.reliability import PageError, as_table, refresh

PHASE = {
    "rounds": 100,
    "unfinished": 0,
    "called_again": 2,
    "p50_ms": 4.25,
    "p95_ms": 9.0,
    "p99_ms": 1_234.4,
    "own_lag_p99_ms": 3.4,
}
SESSIONS = {
    "plan": {"sessions": 5_000, "active": 500, "rounds_per_second": 60.0, "heartbeat": 25.0},
    "memory": {
        "rss_before_bytes": 100 << 20,
        "rss_with_bytes": 350 << 20,
        "bytes_per_session": 51_200,
        "files_before": 523,
        "files_with": 5_523,
    },
    "openings": [{"seconds": 4.0, "cpu_seconds": 3.0}],
    "idle_cpu_ms_per_second": {"without": 20.0, "with": 55.0},
    "without": PHASE,
    "with": PHASE,
    "cut": {
        "seconds": 8.0,
        "p50_seconds": 4.0,
        "attempts": 5_100,
        "resumed": 5_000,
        "heard": {"messages": 5_000, "copies": 5_001},
        "repeats_sent": 1.0,
        "during": PHASE,
    },
    "crash": {"seconds": 6.0, "restart_seconds": 1.5, "attempts": 14_000, "during": PHASE},
}
SLOW = {
    "plan": {"agents": 200, "rounds_per_second": 50.0, "messages_per_second": 1_000.0},
    "reading": {**PHASE, "p99_ms": 20.0},
    "stopped": {**PHASE, "p99_ms": 21.0},
    "watched": [
        {"rss_most_bytes": 120 << 20, "rss_before_bytes": 100 << 20, "warned_after": 5.04},
        {"rss_most_bytes": 130 << 20, "rss_before_bytes": 120 << 20, "warned_after": 5.1},
    ],
}


def test_only_what_stands_between_the_marks_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- sessions -->\nold\n<!-- /sessions -->\nafter\n")
    refresh(page, "sessions", "new")
    refresh(page, "sessions", "newer")
    assert page.read_text() == "before\n<!-- sessions -->\nnewer\n<!-- /sessions -->\nafter\n"


@pytest.mark.parametrize("text", ["nothing", "<!-- sessions -->", "<!-- /sessions -->"])
def test_a_page_without_both_marks_is_left_alone(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(PageError, match="sessions"):
        refresh(page, "sessions", "new")
    assert page.read_text() == text


def test_the_page_of_the_repository_has_a_place_for_both() -> None:
    text = Path(__file__).parents[3].joinpath("docs/reliability.md").read_text("utf-8")
    for mark in ("sessions", "slow consumer"):
        assert f"<!-- {mark} -->" in text and f"<!-- /{mark} -->" in text


def test_a_table_begins_with_the_command_that_printed_it() -> None:
    machine = {"commit": "abc", "uncommitted_changes": True, "cores": 2, "python": "3.11.7"}
    first, _, head, *_ = as_table("make it", machine, [("a", "b")]).splitlines()
    assert first.startswith("`make it`, commit abc with changes, 2 cores")
    assert head == "| what | figure |"


def test_the_rows_of_sessions_say_what_was_measured() -> None:
    rows = dict(reliability.rows_of_sessions(SESSIONS))
    assert "50 KiB (100 → 350 MiB)" in rows.values()
    assert "35 ms a second" in rows.values()
    assert "4.2 / 9.0 / 1,234 ms" in rows.values()
    assert "5,000 of 5,000 heard it, 1 repeats were sent" in rows.values()


def test_the_rows_of_a_slow_consumer_compare_the_others() -> None:
    rows = dict(reliability.rows_of_slow_consumer(SLOW))
    assert rows["p99 with it, divided by p99 without"] == "1.05"
    assert "after 5.0 s, after 5.1 s" in rows.values()
    assert "never, never" in rows.values()
    assert rows["how late the measuring process itself was, p99"] == "3.4 ms"
    assert rows["memory that its messages take"] == "20 MiB"
