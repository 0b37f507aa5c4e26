"""Commands of `llmx` that go on, with their output line by line."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from tests.support.gateways import ROOT, command

SECONDS_MAX = 60.0


class Typed:
    """A command that goes on."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Take a process that was started just now."""
        self.process = process
        self.lines: list[str] = []
        self._rest = b""

    def until(self, part: str) -> str:
        """Return the first line from here on that has this part."""
        while True:
            line = self.line()
            assert line is not None, f"no {part!r} in {self.lines}"
            if part in line:
                return line

    def line(self) -> str | None:
        """Return the next line of its output, None when there is none (in time)."""
        stdout = self.process.stdout
        assert stdout is not None, "it was started with a pipe"
        while b"\n" not in self._rest:
            if not select.select([stdout], [], [], SECONDS_MAX)[0]:
                return None
            part = os.read(stdout.fileno(), 65536)
            if not part:
                return None
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        self.lines.append(line.decode())
        return self.lines[-1]

    def step(self) -> None:
        """Write an empty line to its standard input."""
        stdin = self.process.stdin
        assert stdin is not None, "it was started with a pipe"
        stdin.write(b"\n")
        stdin.flush()

    def ended(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Send a signal, if any; return the exit code and what stood on standard error."""
        if number is not None:
            self.process.send_signal(number)
        _, stderr = self.process.communicate(timeout=SECONDS_MAX)
        assert b"Traceback" not in stderr, stderr.decode()
        return self.process.returncode, stderr.decode()


@contextmanager
def typed_on(environment: Mapping[str, str], *words: str) -> Iterator[Typed]:
    """Type a command that goes on; it is ended with the block at the latest."""
    process = subprocess.Popen(
        command(*words),
        env=dict(environment),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            yield Typed(process)
        finally:
            if process.poll() is None:
                process.kill()


def typed(variables: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Type a command in an environment and return what it said when it has ended."""
    return subprocess.run(
        command(*words),
        env=variables,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )


def all_gone(pids: Iterable[int]) -> bool:
    """Wait until processes that are not ours have ended; tell whether they have."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if not select.select([handle], [], [], SECONDS_MAX)[0]:
                return False
        finally:
            os.close(handle)
    return True
