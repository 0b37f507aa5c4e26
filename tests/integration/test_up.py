"""`llmx up` and `llmx demo-cluster`: a real etcd, real gateways, and nobody left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateways import ROOT, command, environment, is_running
from tests.support.typed import Typed, all_gone, typed, typed_on

pytestmark = pytest.mark.slow

SECONDS_MAX = 90.0
PLAY_SECONDS_MAX = 30.0
"""From the moment when all have met; how long twenty processes take to start is the machine's."""


def going_up(folder: Path, *words: str) -> AbstractContextManager[Typed]:
    """Start a cluster; what a killed one leaves goes with the test's folder."""
    return typed_on(environment(folder) | {"TMPDIR": str(folder)}, "up", "--json", *words)


def ready(cluster: Typed) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(cluster.until('"event": "ready"'))
    return told


def pids_of(told: dict[str, Any]) -> list[int]:
    return [told["etcd"]["pid"], *(one["pid"] for one in told["gateways"])]


def asked(folder: Path, told: dict[str, Any], *words: str) -> subprocess.CompletedProcess[str]:
    """Type a command against the cluster."""
    return typed(environment(folder) | {"LLMX_GATEWAY": told["addresses"]}, *words)


def test_a_cluster_comes_up_says_when_one_dies_and_leaves_nobody_behind(tmp_path: Path):
    with going_up(tmp_path, "--regions", "eu,us") as cluster:
        told = ready(cluster)
        pids = pids_of(told)
        assert all(map(is_running, pids))
        assert [one["region"] for one in told["gateways"]] == ["eu", "us"]
        with urllib.request.urlopen(told["gateways"][1]["page"], timeout=10) as page:
            assert b"LLM-X" in page.read()
        assert "not_formed" not in "".join(cluster.lines)
        links = asked(tmp_path, told, "ctl", "links", "--json")
        assert (links.returncode, links.stderr) == (0, "")
        ends = [json.loads(line) for line in links.stdout.splitlines()]
        assert [(end["gateway_id"], end["peer_id"], end["condition"]) for end in ends] == [
            *(("eu", "us", "open"), ("us", "eu", "open"))
        ]
        os.kill(pids[2], signal.SIGKILL)
        ended = json.loads(cluster.until('"event": "ended"'))
        assert (ended["process"], ended["code"], ended["gateways_left"]) == ("us", -9, 1)
        os.kill(pids[0], signal.SIGKILL)
        ended = json.loads(cluster.until('"event": "ended"'))
        assert (ended["process"], ended["gateways_left"]) == ("etcd", 1), "and it goes on"
        assert cluster.ended(signal.SIGINT) == (0, "")
    assert not any(map(is_running, pids))
    assert not list(tmp_path.glob("llmx-up-*"))


def test_a_cluster_that_is_killed_takes_its_etcd_and_its_gateways_with_it(tmp_path: Path):
    with going_up(tmp_path, "--regions", "eu") as cluster:
        pids = pids_of(ready(cluster))
        cluster.process.kill()
    assert all_gone(pids)


def test_what_was_kept_is_there_again_and_no_gateway_left_is_an_end(tmp_path: Path):
    state = tmp_path / "kept"
    words = ("--regions", "eu", "--state", str(state))
    with going_up(tmp_path, *words) as cluster:
        ready(cluster)
        assert cluster.ended(signal.SIGTERM) == (0, "")
    assert (state / "eu.sqlite").is_file() and (state / "etcd" / "member").is_dir()
    with going_up(tmp_path, *words) as cluster:
        told = ready(cluster)
        os.kill(pids_of(told)[1], signal.SIGKILL)
        code, _ = cluster.ended()
        assert code == 1
    assert all_gone(pids_of(told))


def test_an_etcd_that_runs_already_is_used_and_left_running(tmp_path: Path):
    with going_up(tmp_path, "--regions", "eu") as first:
        etcd = ready(first)["etcd"]
        words = ("--regions", "us", "--etcd", etcd["endpoint"])
        with going_up(tmp_path, *words) as second:
            told = ready(second)
            assert told["etcd"] == {"endpoint": etcd["endpoint"], "version": "", "pid": 0}
            members = asked(tmp_path, told, "ctl", "members", "--json").stdout
            assert '"gateway_id": "eu"' in members, "it joined those that were there"
            assert second.ended(signal.SIGINT) == (0, "")
        assert is_running(etcd["pid"])
        assert first.ended(signal.SIGINT) == (0, "")


def test_three_regions_negotiate_as_one_and_lose_a_gateway(tmp_path: Path):
    done = subprocess.run(
        command("demo-cluster", "--json"),
        env=environment(tmp_path) | {"TMPDIR": str(tmp_path)},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    summary = told[-1]
    assert (done.returncode, done.stderr) == (0, ""), summary
    assert summary["event"] == "summary" and summary["faults"] == []
    calls = summary["calls"]
    assert len(calls) == 9 and all(call["state"] == "committed" for call in calls)
    assert {call["eligible"] for call in calls if call["round"] != 2} == {12}
    killed = next(event for event in told if event["event"] == "killed")
    assert len(killed["agents"]) == 5, "four contractors and an initiator"
    survived = next(call for call in calls if call["round"] == 2 and "us" in call["decided_by"])
    assert survived["decided_by"][-1] != "us", "another gateway took it over"
    over_links = [way for way in summary["ways"] if len(set(way["way"])) > 1]
    assert sum(way["offers"] for way in over_links) >= 40
    started = next(event for event in told if event["event"] == "started")
    assert summary["seconds"] - started["seconds"] < PLAY_SECONDS_MAX
    assert not any(map(is_running, pids_of(started)))


def test_ctrl_c_ends_the_demo_of_a_cluster_with_everybody_in_it(tmp_path: Path):
    there = environment(tmp_path) | {"TMPDIR": str(tmp_path)}
    with typed_on(there, "demo-cluster", "--json") as demo:
        started = json.loads(demo.until('"event": "started"'))
        demo.until('"event": "opened"')
        assert demo.ended(signal.SIGINT) == (130, "")
    assert not any(map(is_running, pids_of(started)))
    assert not list(tmp_path.glob("llmx-demo-cluster-*"))
