"""The commands of a cluster on the command line."""

from __future__ import annotations

import pytest
import typer.main
from typer.testing import CliRunner

from gateway import cli
from gateway.cli_cluster import ctl_app


def options(*names: str) -> set[str]:
    command = typer.main.get_command(cli.app)
    for name in names:
        assert hasattr(command, "commands")
        command = command.commands[name]
    return {option for param in command.params for option in param.opts}


def every_ctl() -> list[str]:
    command = typer.main.get_command(ctl_app)
    assert hasattr(command, "commands")
    return sorted(command.commands)


def test_an_operator_has_six_commands():
    assert every_ctl() == ["agents", "drain", "links", "members", "negotiations", "show"]


@pytest.mark.parametrize("name", every_ctl())
def test_each_of_them_speaks_to_programs_too_and_to_any_gateway(name: str):
    assert {"--json", "--gateway", "--token", "--tls"} <= options("ctl", name)


def test_a_drain_has_a_rate_a_deadline_and_a_way_back():
    assert {"--rate", "--deadline", "--abort"} <= options("ctl", "drain")


@pytest.mark.parametrize(
    "words", [["--rate", "fast"], ["--rate", "0.5/s"], ["--deadline", "0"], ["--deadline", "1e6"]]
)
def test_a_drain_that_cannot_be_asks_nobody(words: list[str]):
    done = CliRunner().invoke(cli.app, ["ctl", "drain", "eu", "-g", "127.0.0.1:1", *words])
    assert done.exit_code == 2 and words[0] in done.output


def test_a_cluster_is_started_by_regions():
    assert {"--regions", "--etcd", "--state", "--json"} <= options("up")
    assert "--json" in options("demo-cluster")
    assert options("health") >= {"--gateway", "--tls"}
