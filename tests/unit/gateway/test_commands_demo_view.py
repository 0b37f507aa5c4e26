"""How the demo is shown."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from gateway.commands.demo_view import JsonView, LiveView, PlainView, View, verdict
from gateway.commands.rounds import Board
from gateway.commands.scenario import load
from tests.unit.gateway.test_commands_rounds import a_good_round, heard

PIDS = {"gateway": 1, "initiator": 2, "agent://bob": 3, "agent://carol": 4}


def play(view: View) -> None:
    """Show a whole demo of one round."""
    scenario = load("gpu-slot")
    board = Board()
    view.begin(scenario, 2)
    view.ready(1, 3)
    view.started(PIDS, {"host": "127.0.0.1", "port": 7600}, 1.5)
    board.begin("high", everybody_hears=True)
    view.round_began(1, 1, "flow/high@1")
    for event in a_good_round():
        round_ = board.hear(event)
        assert round_ is not None
        view.heard(round_, event)
    assert board.current is not None
    view.round_ended(board.current)
    view.end([board.current], ["a note"], 3.0)
    view.leave()


def test_lines_tell_offers_then_the_outcome_then_the_verdicts(
    capsys: pytest.CaptureFixture[str],
):
    play(PlainView())
    lines = capsys.readouterr().out.splitlines()
    words = [line.split()[0] for line in lines if line.startswith("  ")]
    assert words == ["offer", "offer", "outcome", "reject", "accept"]
    assert any("4 processes" in line for line in lines)
    assert lines[-1].startswith("1 of 1 rounds have one outcome, 2 of 2 bids heard")
    assert "\x1b" not in "".join(lines)


def test_verdicts_that_come_before_the_outcome_wait_for_it(capsys: pytest.CaptureFixture[str]):
    view, board = PlainView(), Board()
    board.begin("high", everybody_hears=True)
    view.round_began(1, 1, "flow/high@1")
    events = a_good_round()
    for event in [*events[:5], *events[6:], events[5]]:
        round_ = board.hear(event)
        assert round_ is not None
        view.heard(round_, event)
    words = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:2] == "  "]
    assert words[-3:] == ["outcome", "reject", "accept"]


def test_json_is_an_object_a_line_and_ends_with_the_summary(capsys: pytest.CaptureFixture[str]):
    play(JsonView())
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0]["event"] == "started" and events[0]["pids"] == PIDS
    assert events[-1]["event"] == "summary"
    assert events[-1]["faults"] == []
    assert events[-1]["rounds"][0]["winner"] == "agent://carol"


def test_the_live_table_is_taken_away_and_stays_as_text():
    screen = io.StringIO()
    play(LiveView(Console(file=screen, force_terminal=True, width=100, height=40)))
    shown = screen.getvalue()
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h"), "the cursor must come back"
    after = shown.rpartition("\x1b[?25h")[2]
    assert "won at 30" in after and "all rounds" in after


def test_leaving_in_the_middle_gives_the_cursor_back():
    screen = io.StringIO()
    view = LiveView(Console(file=screen, force_terminal=True, width=100, height=40))
    view.round_began(1, 1, "flow/high@1")
    view.leave()
    view.leave()
    assert screen.getvalue().count("\x1b[?25h") == 1


def test_the_last_line_names_every_fault():
    said = verdict([heard(*a_good_round()), heard(*a_good_round()[:-1])], 2.0)
    assert said.startswith("not as it should be")
    assert "round 2: agent://carol offered and heard neither accept nor reject" in said
