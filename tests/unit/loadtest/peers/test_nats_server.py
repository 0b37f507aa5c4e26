"""The server of a case is started on a free port and stopped with the case."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loadtest.peers import nats_server
from loadtest.peers.work import PeerFailed


def _installed(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a small program on the PATH that is called as nats-server is."""
    path = folder / "nats-server"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_it_says_where_it_listens_and_ends_with_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What nats-server 2.15 writes; $6 is the folder of its ports file.
    script = """echo '{"nats": ["nats://127.0.0.1:4711"]}' > "$6/nats.ports"; exec sleep 60"""
    _installed(tmp_path, script, monkeypatch)
    with nats_server.nats_server(tmp_path, None, stores=False) as server:
        assert server.url == "nats://127.0.0.1:4711"
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
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(PeerFailed, match="no nats-server"),
        nats_server.nats_server(tmp_path, None, stores=False),
    ):
        pass
