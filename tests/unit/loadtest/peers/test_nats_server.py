"""The server of a case is started on a free port and stopped with the case."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from loadtest.peers import nats_server
from loadtest.peers.work import PeerFailed


def _installed(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a small program where nats-server is looked for."""
    path = folder / "nats-server"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    _only_in(folder, monkeypatch)


def _only_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be found elsewhere, not even beside this Python."""
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setenv("PATH", str(folder))


@pytest.mark.parametrize("stores", [False, True])
def test_it_says_where_it_listens_and_ends_with_the_block(tmp_path: Path, *, stores: bool) -> None:
    with nats_server.nats_server(tmp_path, None, stores=stores) as server:
        host, _, port = server.url.removeprefix("nats://").rpartition(":")
        with socket.create_connection((host, int(port))) as connection:
            said = connection.recv(65_536)
        assert said.startswith(b"INFO {"), "the greeting of NATS"
        assert (b'"jetstream":true' in said) is stores
        pid = server._pid
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_that_does_not_start_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(tmp_path, "echo 'bad flag'; exit 1", monkeypatch)
    with (
        pytest.raises(PeerFailed, match="bad flag"),
        nats_server.nats_server(tmp_path, None, stores=True),
    ):
        pass


def test_without_one_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _only_in(tmp_path, monkeypatch)
    with (
        pytest.raises(PeerFailed, match="no nats-server"),
        nats_server.nats_server(tmp_path, None, stores=False),
    ):
        pass
