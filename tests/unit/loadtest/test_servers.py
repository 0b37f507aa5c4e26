"""Servers are started, measured and stopped, and their last words are told."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from loadtest.servers import Server, ServerCommand, ServerFailed, on_core, port_in

ANNOUNCES = (
    "import signal; print('starting'); print('{\"port\": 4711}', flush=True); signal.pause()"
)
BURNS = (
    "import subprocess, sys, time\n"
    "work = 'import time\\nwhile time.process_time() < 0.12: pass'\n"
    "subprocess.run([sys.executable, '-c', work])\n"
    "print('{\"port\": 1}', flush=True)\n"
    "sys.stdin.read()"
)


def _command(program: str) -> ServerCommand:
    return ServerCommand("a server", ["-c", program], {})


@pytest.mark.parametrize(
    ("line", "port"),
    [(b'{"port": 7}', 7), (b'{"port": "7"}', None), (b"[7]", None), (b"port 7", None), (b"", None)],
)
def test_a_port_is_announced_as_json(line: bytes, port: int | None) -> None:
    assert port_in(line) == port


def test_a_server_is_there_until_it_is_stopped(tmp_path: Path) -> None:
    with Server(_command(ANNOUNCES), None, tmp_path / "log") as server:
        assert server.port == 4711
        assert server.resident_bytes() > 0
        os.kill(server.pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)
    assert server.resident_bytes() == 0


def test_the_time_of_children_counts(tmp_path: Path) -> None:
    with Server(_command(BURNS), None, tmp_path / "log") as server:
        assert server.cpu_seconds() >= 0.12
    assert server.cpu_seconds() == 0


def test_a_server_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(ServerFailed, match="no such setting"):
        Server(_command("raise SystemExit('no such setting')"), None, tmp_path / "log")
    assert time.monotonic() - started < 10


def test_a_core_is_left_again() -> None:
    before = os.sched_getaffinity(0)
    core = min(before)
    with on_core(core):
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before
    with on_core(None):
        assert os.sched_getaffinity(0) == before
