"""`llmx gateway`, as far as it goes without serving; tests/integration starts it for real."""

from __future__ import annotations

import errno
import socket
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.commands.serve import remedy, serve
from tests.support.gateways import command, environment


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


@pytest.mark.slow
def test_what_is_wrong_with_a_setting_is_one_line_though_half_the_gateway_runs_already(
    tmp_path: Path,
) -> None:
    """The port for other gateways is bound last, among tasks whose group wraps what is raised."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"federation.listen=127.0.0.1:{taken.getsockname()[1]}"
        given = ("federation.peers=b=127.0.0.1:1", listen, "server.metrics_port=none")
        flags = [part for one in given for part in ("--set", one)]
        ended = subprocess.run(
            command("gateway", "--id", "a", "--port", "0", *flags),
            env={**environment(tmp_path), "GRPC_VERBOSITY": "NONE"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 2
    assert f"llmx gateway: {listen}: " in ended.stderr and "Traceback" not in ended.stderr
