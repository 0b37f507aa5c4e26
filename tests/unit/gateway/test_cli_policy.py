"""`llmx ctl policy` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app

TRACE = Path(__file__).parent / "recorded" / "version-2.jsonl"


def test_every_command_explains_itself() -> None:
    said = CliRunner().invoke(app, ["ctl", "policy", "--help"])
    assert said.exit_code == 0
    for command in ("list", "get", "set", "delete"):
        assert command in said.stdout


def test_a_dry_run_takes_several_traces_and_asks_no_gateway() -> None:
    words = ["ctl", "policy", "set", "quick", "{}", "--dry-run", str(TRACE), "--dry-run"]
    said = CliRunner().invoke(app, [*words, str(TRACE), "--json", "-g", "127.0.0.1:1"])
    assert said.exit_code == 0
    assert json.loads(said.stdout.splitlines()[-1])["negotiations"] == 24


@pytest.mark.parametrize(
    "words", [("list",), ("get", "low"), ("set", "quick", "{}"), ("delete", "quick")]
)
def test_a_gateway_that_is_away_is_one_line(
    words: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["ctl", "policy", *words, "-g", "127.0.0.1:1", "--token", "a.b.c"]
    assert CliRunner().invoke(app, arguments).exit_code == 1


def test_replay_is_a_command() -> None:
    said = CliRunner().invoke(app, ["replay", str(TRACE)])
    assert said.exit_code == 0 and "12 the same to the byte" in said.stdout
