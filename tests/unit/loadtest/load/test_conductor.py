"""Locust's own count is read as it is, and without Locust there is a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.load import conductor
from loadtest.load.conductor import LoadFailed, row_of
from tests.unit.loadtest.load.plans import plan


def test_percentiles_come_from_what_locust_counted() -> None:
    entry = {
        "method": "round",
        "name": "decision",
        "num_requests": 100,
        "num_failures": 2,
        "response_times": {"10": 50, "30.0": 45, "20": 0, "400": 5},
    }
    assert row_of(entry, 10.0) == {
        "type": "round",
        "name": "decision",
        "requests": 100,
        "failures": 2,
        "per_second": 10.0,
        "p50_ms": 10.0,
        "p95_ms": 30.0,
        "p99_ms": 400.0,
    }


def test_without_locust_it_is_said_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conductor, "LOCUST_PYTHON", tmp_path / "python")
    with pytest.raises(LoadFailed, match="make load"):
        conductor.run(plan(tmp_path), 1, print)
