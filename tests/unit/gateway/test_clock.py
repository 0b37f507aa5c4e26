"""The clock of a gateway, and times as text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import (
    TIMESTAMP_SECONDS_MAX,
    iso_text,
    seconds_of,
    steady_clock,
    told_expiry,
)


def test_the_clock_starts_at_the_wall_time() -> None:
    before = time.time()
    now = steady_clock()()
    assert before - 1 <= now <= time.time() + 1


def test_the_clock_never_goes_back() -> None:
    now = steady_clock()
    readings = [now() for _ in range(1000)]
    assert readings == sorted(readings)


def test_a_jump_of_the_wall_time_does_not_move_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = steady_clock()
    before = now()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert 0 <= now() - before < 60


def test_a_time_is_told_in_utc_with_milliseconds() -> None:
    assert iso_text(0.0) == "1970-01-01T00:00:00.000Z"
    assert iso_text(1755801900.25) == "2025-08-21T18:45:00.250Z"


@given(st.integers(0, 4_000_000_000_000))
def test_a_time_that_was_told_is_understood_again(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    understood = seconds_of(iso_text(seconds))
    assert understood is not None
    assert abs(understood - seconds) <= 0.001  # told times are cut to the millisecond


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2025-08-21T18:45Z", 1755801900.0),  # as the paper prints it
        ("2025-08-21T18:45:00Z", 1755801900.0),
        ("2025-08-21T20:45:00.5+02:00", 1755801900.5),
        ("2025-08-21T18:45:00.123456789Z", 1755801900.123456),
        ("1969-12-31T23:59:59Z", -1.0),
    ],
)
def test_a_time_with_a_zone_is_understood(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2025-08-21T18:45",  # no zone: whose time?
        "2025-08-21",
        "2025-02-30T00:00Z",
        "2025-08-21T18:45:61Z",
        "\ud800",
        "9" * 5000,
    ],
)
def test_a_text_that_means_no_moment_is_none(text: str) -> None:
    assert seconds_of(text) is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"])
def test_a_moment_at_the_edge_of_the_calendar_raises_nothing(text: str) -> None:
    moment = seconds_of(text)
    assert moment is None or abs(moment) > 1e10


@given(st.text(max_size=40))
def test_no_text_makes_the_clock_raise(text: str) -> None:
    seconds_of(text)


@pytest.mark.parametrize(
    ("expires_at", "told"), [(17.9, 17), (1e300, TIMESTAMP_SECONDS_MAX), (-5.0, 0)]
)
def test_any_end_of_a_token_can_be_told(expires_at: float, told: float) -> None:
    assert told_expiry(expires_at) == told
