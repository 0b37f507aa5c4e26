"""The commands of a cluster on the command line."""

from __future__ import annotations

import pytest
import typer.main
from typer.testing import CliRunner

from gateway import cli
from gateway.cli_cluster import ctl_app
from gateway.cli_policy import policy_app


def options(*names: str) -> set[str]:
    command = typer.main.get_command(cli.app)
    for name in names:
        assert hasattr(command, "commands")
        command = command.commands[name]
    return {option for param in command.params for option in param.opts}


def every_ctl() -> list[str]:
    command = typer.main.get_command(ctl_app)
    assert hasattr(command, "commands")
    return sorted(name for name, one in command.commands.items() if not hasattr(one, "commands"))


def every_policy() -> list[str]:
    command = typer.main.get_command(policy_app)
    assert hasattr(command, "commands")
    return sorted(command.commands)


def test_an_operator_has_six_commands_and_four_for_policies():
    assert {"agents", "drain", "links", "members", "negotiations", "show"} <= set(every_ctl())
    assert every_policy() == ["delete", "get", "list", "set"]


@pytest.mark.parametrize("name", every_policy())
def test_those_for_policies_speak_to_programs_too_and_to_any_gateway(name: str):
    assert {"--json", "--gateway", "--token", "--tls"} <= options("ctl", "policy", name)


@pytest.mark.parametrize("name", every_ctl())
def test_each_of_them_speaks_to_programs_too_and_to_any_gateway(name: str):
    assert {"--json", "--gateway", "--token", "--tls"} <= options("ctl", name)


def test_a_drain_has_a_rate_a_deadline_and_a_way_back():
    assert {"--rate", "--deadline", "--abort"} <= options("ctl", "drain")


@pytest.mark.parametrize(
    "words",
    [
        ["--rate", "fast"],
        ["--rate", "0.5/s"],
        ["--deadline", "0"],
        ["--deadline", "1e6"],
        ["--deadline", "soon"],
    ],
)
def test_a_drain_that_cannot_be_asks_nobody(words: list[str]):
    done = CliRunner().invoke(cli.app, ["ctl", "drain", "eu", "-g", "127.0.0.1:1", *words])
    assert done.exit_code == 2 and words[0] in done.output


@pytest.mark.parametrize("words", [["--rate", "50/s"], ["--deadline", "5s"], ["--deadline", "2.5"]])
def test_what_a_drain_is_told_may_bear_its_unit(words: list[str]):
    done = CliRunner().invoke(cli.app, ["ctl", "drain", "eu", "-g", "127.0.0.1:1", *words])
    assert done.exit_code == 1, "there is no gateway, and nothing wrong with the words"


def test_a_cluster_is_started_by_regions():
    assert {"--regions", "--etcd", "--state", "--json"} <= options("up")
    assert "--json" in options("demo-cluster")
    assert options("health") >= {"--gateway", "--tls"}
    for command in (("agent",), ("call",), ("policy", "list"), ("agents", "list")):
        assert options(*command) >= {"--gateway", "--tls", "--ca"}
