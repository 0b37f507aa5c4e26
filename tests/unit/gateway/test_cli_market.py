"""`llmx ctl market` on the command line."""

from __future__ import annotations

import pytest
import typer.main
from typer.testing import CliRunner

from gateway import cli
from gateway.cli_market import market_app


def test_there_are_three_commands_which_speak_to_programs_too() -> None:
    command = typer.main.get_command(market_app)
    assert hasattr(command, "commands")
    assert sorted(command.commands) == ["rate", "show", "tokens"]
    for one in command.commands.values():
        known = {option for param in one.params for option in param.opts}
        assert {"--json", "--gateway", "--token", "--tls"} <= known


@pytest.mark.parametrize("words", [["rate", "agent://bob"], ["rate", "--claimed", "1"]])
def test_a_rating_needs_an_agent_and_both_values(words: list[str]) -> None:
    assert CliRunner().invoke(cli.app, ["ctl", "market", *words]).exit_code == 2


def test_a_gateway_that_is_none_is_complained_about() -> None:
    done = CliRunner().invoke(cli.app, ["ctl", "market", "show", "-g", "nowhere", "--token", "t"])
    assert done.exit_code == 2
