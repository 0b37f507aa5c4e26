"""Conductor, Locust and drivers read the same plan."""

from __future__ import annotations

from pathlib import Path

from loadtest.load.plan import read_plan
from tests.unit.loadtest.load.plans import plan


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    written = plan(tmp_path, shape="storm")
    written.write(tmp_path / "plan.json")
    assert read_plan(tmp_path / "plan.json") == written
