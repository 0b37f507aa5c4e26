"""Commands of other packages are found, and a broken one hides no other."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
import typer
from typer.testing import CliRunner

from gateway import cli, cli_added

RUN = CliRunner()


def points(**values: str) -> list[EntryPoint]:
    return [EntryPoint(name, value, cli_added.GROUP) for name, value in values.items()]


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three packages, of which one works."""
    made = points(
        ctl_of_others="gateway.cli_ledger:ledger_app",
        missing="no_such_package.anywhere:app",
        wrong="gateway.cli_added:GROUP",
        token="gateway.cli_ledger:ledger_app",
    )
    monkeypatch.setattr(cli_added, "entry_points", lambda group: made)


def test_experiments_are_a_command_of_this_installation() -> None:
    assert "experiment" in {point.name for point in cli_added.added()}
    told = RUN.invoke(cli.app, ["experiment", "list"])
    assert told.exit_code == 0
    assert "table5" in told.stdout


@pytest.mark.usefixtures("others")
def test_an_added_command_is_listed_after_the_own_ones_and_called() -> None:
    told = RUN.invoke(cli.app, ["--help"])
    assert told.stdout.index("gateway") < told.stdout.index("ctl_of_others")
    assert RUN.invoke(cli.app, ["ctl_of_others", "--help"]).exit_code == 0
    assert RUN.invoke(cli.app, ["nothing"]).exit_code == 2


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize(
    ("name", "why"), [("missing", "no_such_package"), ("wrong", "is no typer app")]
)
def test_one_that_cannot_be_loaded_says_why(name: str, why: str) -> None:
    told = RUN.invoke(cli.app, [name, "run", "--fast"])
    assert told.exit_code == 1
    assert why in told.stderr


@pytest.mark.usefixtures("others")
def test_nobody_takes_the_name_of_a_command_of_the_gateway() -> None:
    command = typer.main.get_command(cli.app)
    assert isinstance(command, cli_added.Added)
    own = command.get_command(typer.Context(command), "token")
    assert own is command.commands["token"]
    assert command.list_commands(typer.Context(command)).count("token") == 1


@pytest.mark.slow
def test_who_starts_a_gateway_pays_nothing_for_them() -> None:
    asked = "import sys, gateway.cli; print([m for m in sys.modules if m.startswith('loadtest')])"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
