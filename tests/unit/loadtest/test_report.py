"""Results are written so that they can be compared later."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from loadtest import report
from loadtest.figures import Compared, figures_of
from loadtest.micro import Cost
from loadtest.peers.roll import PEERS
from loadtest.rounds import Played


def _figures(rounds: int) -> dict[str, float]:
    return figures_of(
        Played(
            rounds=rounds,
            seconds=1.0,
            client_cpu_seconds=0.5,
            server_cpu_seconds=0.8,
            messages=rounds * 37,
            frames_received=rounds,
            frames_sent=rounds,
            to_last_offer=[0.001, 0.002],
            to_last_outcome=[0.002, 0.003],
        )
    )


OURS, FLOOR = _figures(3_000), _figures(4_000)
COMPARED = [
    Compared(12, 32, {"ours": OURS, "floor": FLOOR}, {"ours": [OURS], "floor": [FLOOR]}),
    Compared(5, 1, {"floor": FLOOR}, {"floor": [FLOOR]}),
]
PEER = [Compared(12, 1, {"nats": OURS, "floor": FLOOR}, {"nats": [OURS], "floor": [FLOOR]})]
COSTS = [Cost("policy: one step", 2.5)]


def test_the_result_says_where_and_with_what_it_was_measured() -> None:
    facts = report.facts()
    assert facts["cores"]
    assert facts["python"]
    libraries = facts["libraries"]
    assert isinstance(libraries, dict)
    assert libraries["grpcio"]


def test_the_file_has_every_repeat_and_the_history_one_line_a_run(tmp_path: Path) -> None:
    result = report.as_json({"cores": 2}, {"repeats": 1}, COMPARED, COSTS)
    out, history = tmp_path / "new" / "out.json", tmp_path / "state" / "history.jsonl"
    report.write(result, out, history)
    report.write(result, None, history)
    written = json.loads(out.read_text())
    assert written["cases"][0]["ours_over_floor"]["rounds_per_second"] == 0.75
    assert len(written["cases"][0]["repeats"]["ours"]) == 1
    assert written["micro"] == [{"what": "policy: one step", "microseconds": 2.5}]
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    assert len(lines) == 2
    assert "repeats" not in lines[0]["cases"][0]
    assert lines[0]["machine"] == {"cores": 2}


def test_the_table_shows_the_ratio_where_both_were_played() -> None:
    text = io.StringIO()
    report.show(COMPARED, COSTS, Console(file=text, width=112))
    lines = text.getvalue().splitlines()
    assert any("ours/floor" in line and "0.75" in line for line in lines)
    assert sum("ours/floor" in line for line in lines) == 1
    assert any("policy: one step" in line and "2.50" in line for line in lines)


def test_a_peer_stands_beside_with_what_it_leaves_out() -> None:
    text = io.StringIO()
    report.show(PEER, [], Console(file=text, width=400))
    shown = text.getvalue()
    assert "NATS core" in shown
    assert f"Left out: {PEERS['nats'].leaves_out}." in shown
    assert "AutoGen" not in shown
    (case,) = cast(list[dict[str, Any]], report.as_json({}, {}, PEER, [])["cases"])
    assert case["over_floor"]["nats"]["rounds_per_second"] == 0.75
    assert case["ours_over_floor"] == {}


def test_a_latency_that_nobody_measured_is_a_dash_and_not_in_the_file() -> None:
    """Of a window in which no round both began and ended."""
    late = figures_of(Played(rounds=1, seconds=1.0, server_cpu_seconds=0.1, client_cpu_seconds=0.1))
    one = [Compared(12, 1, {"a2a": late, "floor": FLOOR}, {"a2a": [late], "floor": [FLOOR]})]
    text = io.StringIO()
    report.show(one, [], Console(file=text, width=200))
    assert "–/–/–" in text.getvalue()
    json.dumps(report.as_json({}, {}, one, []), allow_nan=False)
