"""`llmx demo`: real processes, real negotiations, and an exit code that tells the truth."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateways import ROOT, command, environment, is_running
from tests.support.typed import Typed, all_gone, typed, typed_on

pytestmark = pytest.mark.slow

SECONDS_MAX = 60.0


def played(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Play a demo to its end."""
    return typed(environment(folder), "demo", *words)


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def playing(folder: Path) -> AbstractContextManager[Typed]:
    """Play a demo of four processes that a test interferes with."""
    there = environment(folder) | {"TMPDIR": str(folder)}  # what a killed demo leaves, goes with it
    return typed_on(there, "demo", "--json", "--contractors", "2")


def heard(demo: Typed, name: str) -> dict[str, Any]:
    """Read on to the next event of this name."""
    event: dict[str, Any] = json.loads(demo.until(f'"event": "{name}"'))
    return event


def test_low_medium_and_high_are_played_and_everybody_hears(tmp_path: Path):
    done = played(tmp_path, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    told = events(done.stdout)
    summary = told[-1]
    assert summary["event"] == "summary" and summary["faults"] == [] and summary["notes"] == []
    rounds = summary["rounds"]
    assert [round_["policy"] for round_ in rounds] == [
        *("flow/low@1", "flow/medium@1", "flow/high@1")
    ]
    assert [round_["offers"] for round_ in rounds] == [1, 3, 5]
    assert [round_["late"] for round_ in rounds] == [4, 2, 0]
    assert [round_["refused"] for round_ in rounds] == [1, 1, 1]
    assert (rounds[2]["winner"], rounds[2]["price"]) == ("agent://frank", 33.5)
    assert rounds[0]["price"] >= rounds[2]["price"]
    refused = next(event for event in told if event["event"] == "refused")
    assert (refused["code"], refused["pointer"]) == ("SCHEMA_VIOLATION", "/payload/value")
    pids = next(event for event in told if event["event"] == "started")["pids"]
    assert len(pids) == 7 and not any(map(is_running, pids.values()))


def test_any_scenario_takes_any_number_of_contractors_and_any_policy(tmp_path: Path):
    done = played(tmp_path, "--scenario", "night-slot", "--contractors", "7", "--policy", "high")
    assert (done.returncode, done.stderr) == (0, "")
    assert "flow/high@1" in done.stdout and " of 7 " in done.stdout
    assert "\x1b" not in done.stdout


def test_a_utility_finds_the_best_where_the_cheapest_is_not(tmp_path: Path):
    done = played(tmp_path, "--scenario", "delivery", "--policy", "high", "--json")
    assert done.returncode == 0
    (round_,) = events(done.stdout)[-1]["rounds"]
    assert (round_["winner"], round_["declined"]) == ("agent://tram", 1)


def test_a_call_that_the_gateway_refuses_is_no_success(tmp_path: Path):
    scenario = json.loads((ROOT / "examples" / "gpu-slot.json").read_text("utf-8"))
    scenario["call"]["utility"] = "value +"
    scenario["contractors"] = scenario["contractors"][:1]
    (tmp_path / "my.json").write_text(json.dumps(scenario), "utf-8")
    done = played(tmp_path, "--scenario", str(tmp_path / "my.json"), "--policy", "low")
    assert done.returncode == 1
    assert "UTILITY_INVALID" in done.stdout.splitlines()[-1]


def test_ctrl_c_in_the_middle_leaves_nobody_behind(tmp_path: Path):
    with playing(tmp_path) as demo:
        pids = list(heard(demo, "started")["pids"].values())
        heard(demo, "opened")
        assert len(pids) == 4 and all(map(is_running, pids))
        assert demo.ended(signal.SIGINT) == (130, "")
    assert not any(map(is_running, pids))
    assert not list(tmp_path.glob("llmx-demo-*"))


def test_a_demo_that_is_killed_takes_everybody_with_it(tmp_path: Path):
    with playing(tmp_path) as demo:
        pids = list(heard(demo, "started")["pids"].values())
        demo.process.kill()
    assert all_gone(pids)


def test_on_a_terminal_there_is_a_table_that_gives_the_cursor_back(tmp_path: Path):
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        command("demo", "--contractors", "2", "--policy", "high"),
        env=environment(tmp_path) | {"TERM": "xterm", "COLUMNS": "100"},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    shown = b""
    with process:
        while select.select([ours], [], [], SECONDS_MAX)[0]:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the other end is closed: Linux says so with EIO
                break
            if not part:
                break
            shown += part
        os.close(ours)
        _, stderr = process.communicate(timeout=SECONDS_MAX)
    assert (process.returncode, stderr) == (0, b"")
    assert shown.count(b"\x1b[?25l") == shown.count(b"\x1b[?25h")
    assert b"all rounds" in shown and b"2 of 2 bids" in shown
