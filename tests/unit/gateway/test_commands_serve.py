"""`llmx gateway`, as far as it goes without serving; tests/integration starts it for real."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.commands.serve import remedy, serve


def test_a_setting_that_cannot_be_ends_it_with_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LLMX_STATE_DIR", str(tmp_path))
    assert serve(None, {"server.port": 70_000}, "text") == 2
    said = capsys.readouterr().err
    assert said.startswith("llmx gateway: ") and "70000" in said
    assert not (tmp_path / "development.secret").exists()


def test_an_address_of_another_machine_is_named_as_the_cause():
    nowhere = OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
    assert "this machine has no such address" in remedy(nowhere)
    assert "this machine has no such address" in remedy(socket.gaierror(-2, "Name not known"))
    assert "is another gateway there?" in remedy(OSError(errno.EADDRINUSE, "Address in use"))


def test_an_announcement_of_another_kind_is_refused_with_those_there_are():
    result = CliRunner().invoke(app, ["gateway", "--announce", "yaml"])
    assert result.exit_code == 2
    assert "use text or json" in result.output
