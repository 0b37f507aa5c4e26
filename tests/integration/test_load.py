"""A load for real: etcd, a gateway, Locust in its own environment, a driver, a report.

`make test` puts Locust into .venv/load, as `make load` does; without it this says so and fails.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from loadtest.load.__main__ import main

pytestmark = pytest.mark.slow

AGENTS, GROUP = 10, 5
LONGER = (2, 6, 18)
"""Seconds. Locust's runs end by the clock: on a machine that is busy none may end well in two."""


def test_locust_loads_a_gateway_and_both_count_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seconds in LONGER:
        words = f"--gateways 1 --agents {AGENTS} --group {GROUP} --seconds {seconds} --in-flight 1"
        code = main([*words.split(), "--runs", str(tmp_path / str(seconds))])
        printed = capsys.readouterr()
        if code == 0:
            break
    assert code == 0, printed
    (folder,) = (tmp_path / str(seconds)).iterdir()
    kept = {path.name for path in folder.iterdir()}
    assert kept >= {"config.json", "events.jsonl", "summary.json", "report.md", "locust.html"}
    assert "spool" not in kept
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["wrong"] == []
    with (folder / "rounds.csv").open(newline="") as file:
        rounds = list(csv.DictReader(file))
    assert summary["rounds"] == len(rounds) > 0
    assert {row["offers"] for row in rounds} == {str(GROUP - 1)}
    counted = {(row["type"], row["name"]): row for row in summary["locust"]}
    assert counted["stream", "connect"]["requests"] == AGENTS
    assert counted["round", "decision"]["requests"] == len(rounds)
    assert all(row["failures"] == 0 for row in counted.values())
    (gateway,) = summary["by_gateway"]
    assert gateway["messages_delivered"] > len(rounds) * GROUP, "the gateway has counted too"
    generator = summary["generator"]
    assert generator["cpu_seconds"] > generator["drivers_cpu_seconds"] > 0
    assert f"The generator used {generator['cpu_seconds']:.1f} s of CPU" in printed.out
