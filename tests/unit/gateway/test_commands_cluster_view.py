"""How the demo of a cluster is shown."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from gateway.commands.cluster_board import ClusterBoard
from gateway.commands.cluster_view import (
    ClusterView,
    JsonClusterView,
    LiveClusterView,
    PlainClusterView,
)
from gateway.commands.local_cluster import LocalEtcd, LocalGateway
from tests.unit.gateway.test_commands_cluster_board import (
    CONTRACTORS,
    board_of,
    heard,
    made,
    opened,
    outcome,
    verdict,
)

GATEWAYS = [LocalGateway("eu", "eu", "127.0.0.1:7600", "http://127.0.0.1:7601/metrics", 42)]
EVENTS = [
    opened("eu", "eu.1.a"),
    made("agent://bob", "eu.1.a", 1.1),
    heard("eu", "agent://bob", "eu.1.a", 1.2),
    outcome("eu", "eu.1.a", 1.3, "agent://bob"),
    verdict("agent://bob", "eu.1.a", 1.4, won=True),
]


def played(view: ClusterView) -> ClusterBoard:
    """Show a round in which one of two calls ends."""
    board = board_of()
    view.begin("Two regions", "negotiate as one")
    view.step("starting")
    view.started(LocalEtcd("127.0.0.1:2379", "3.5.16", 41), GATEWAYS, 4, 1.5)
    view.round_began(1, 3, board, board.calls)
    for event in EVENTS:
        board.hear(event)
        view.changed(event)
    view.news("killed", "kill -9 of gateway us", gateway="us")
    board.at("agent://bob", "eu")
    view.changed({"event": "moved", "agent": "agent://bob", "gateway": "eu"})
    view.round_ended(board.calls)
    view.end(board, board.faults(), 9.5)
    view.leave()
    return board


def test_lines_tell_who_negotiated_with_whom_through_which_gateways(
    capsys: pytest.CaptureFixture[str],
):
    played(PlainClusterView())
    said = capsys.readouterr().out
    assert "etcd 3.5.16 on 127.0.0.1:2379 (41); gateways eu 127.0.0.1:7600 (42)" in said
    assert "  call     alice-eu: 2 may answer, decided by eu\n" in said
    assert "bob to alice-eu          40       by us→eu" in said
    assert "  moved    bob is at eu now" in said and "kill -9 of gateway us" in said
    assert said.splitlines()[-1].startswith("not as it should be, after 9.5 s: round 1, agent://")
    assert "\x1b" not in said


def test_programs_get_an_object_for_everything(capsys: pytest.CaptureFixture[str]):
    played(JsonClusterView())
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["event"] for one in told] == [
        *("started", "round", "opened", "offer", "offer", "outcome", "verdict"),
        *("killed", "moved", "summary"),
    ]
    assert told[0]["gateways"][0]["gateway_id"] == "eu"
    summary = told[-1]
    assert summary["ways"] == [{"way": ["us", "eu", "eu"], "offers": 1}]
    assert [call["state"] for call in summary["calls"]] == ["committed", "unknown"]
    assert any("agent://alice-us: no outcome" in fault for fault in summary["faults"])


def test_a_table_changes_and_stays_when_its_round_is_over():
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=120, highlight=False)
    played(LiveClusterView(CONTRACTORS, console))
    shown = file.getvalue()
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0
    assert "round 1 of 3" in shown and "all calls" in shown and "won at 40" in shown


def test_when_all_is_well_the_last_line_says_so(capsys: pytest.CaptureFixture[str]):
    board = ClusterBoard({})
    PlainClusterView().end(board, [], 3.0)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == (
        "0 of 0 calls have one outcome, 0 of 0 bids heard accept or reject, once; 3.0 s in all"
    )
