"""A program that does not outlive whoever started it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateways import ROOT, is_running

pytestmark = pytest.mark.slow

SECONDS_MAX = 20.0
PARENT = """
import os, subprocess, sys
line = [sys.executable, "-P", "-m", "gateway.commands.tied", str(os.getpid()), "/bin/sleep", "60"]
print(subprocess.Popen(line, stdin=subprocess.PIPE).pid, flush=True)
sys.stdin.read()
"""
GUARD = "import sys; from gateway.commands.tied import guard; sys.exit(guard(sys.argv[1:]))"


def ours() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'client'}"}


def has_gone(pid: int) -> bool:
    """Wait until a process that is not ours has ended; tell whether it has."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], SECONDS_MAX)[0])
    finally:
        os.close(handle)


def test_the_program_goes_when_its_parent_is_killed():
    pipe = subprocess.PIPE
    line = [sys.executable, "-c", PARENT]
    with subprocess.Popen(line, env=ours(), stdin=pipe, stdout=pipe) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
        assert has_gone(pid)


def test_a_parent_that_has_gone_already_has_its_program_not_started(tmp_path: Path):
    file = tmp_path / "started"
    line = (sys.executable, "-P", "-m", "gateway.commands.tied", "1", "/usr/bin/touch", str(file))
    assert subprocess.run(line, env=ours(), check=False).returncode == 0
    assert not file.exists()


@pytest.mark.parametrize(("ended_by", "code"), [("its input", -9), ("a word", -15)])
def test_a_guard_ends_the_program_with_its_own_input_or_when_told(ended_by: str, code: int):
    """As it is where the kernel does not do it."""
    script = "echo $$; exec sleep 60"
    line = [sys.executable, "-c", GUARD, "/bin/sh", "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, env=ours(), stdin=pipe, stdout=pipe) as guarding:
        assert guarding.stdout is not None and guarding.stdin is not None
        pid = int(guarding.stdout.readline())
        if ended_by == "its input":
            guarding.stdin.close()
        else:
            guarding.send_signal(signal.SIGTERM)
        assert guarding.wait(SECONDS_MAX) == code % 256
        assert has_gone(pid)


def test_a_program_that_ends_by_itself_gives_its_exit_code():
    line = [sys.executable, "-c", GUARD, "/bin/sh", "-c", "exit 3"]
    with subprocess.Popen(line, env=ours(), stdin=subprocess.PIPE) as guarding:
        assert guarding.wait(SECONDS_MAX) == 3
