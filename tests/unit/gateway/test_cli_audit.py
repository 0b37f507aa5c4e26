"""`llmx audit` on the command line."""

from __future__ import annotations

from typer.testing import CliRunner

from gateway.cli import app


def test_without_a_file_it_says_what_it_takes() -> None:
    done = CliRunner().invoke(app, ["audit", "verify"])
    assert done.exit_code == 2
    assert "FILE" in done.output


def test_its_help_tells_the_exit_codes() -> None:
    done = CliRunner().invoke(app, ["audit", "verify", "--help"])
    assert done.exit_code == 0
    assert "Exit code 0" in done.output
