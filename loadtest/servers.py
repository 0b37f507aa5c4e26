"""Start the servers that a benchmark measures, read their CPU time, stop them.

A server is a process of ours on a free port of the loopback. It prints one line of JSON with
its port. Only what was started here is stopped here: SIGTERM first, SIGKILL after a while.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 10.0
LINES_BEFORE_PORT_MAX = 200
LOG_TAIL_CHARACTERS = 2_000

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class ServerFailed(Exception):
    """A server did not start, or ended while it was needed; the text has its last words."""


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """How to start a server."""

    name: str
    arguments: Sequence[str]
    """What follows the interpreter on the command line."""
    environment: Mapping[str, str]
    """What is set beside the environment of this process."""


class Server:
    """A running server process; a context manager that stops it."""

    def __init__(self, command: ServerCommand, core: int | None, log: Path) -> None:
        """Start the process on a core (None: any) and wait until it says its port."""
        self._log = log
        self._name = command.name
        with log.open("wb") as errors, on_core(core):
            self._process = subprocess.Popen(
                [sys.executable, *command.arguments],
                env={**os.environ, **command.environment},
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self.announced: dict[str, object] = {}
        """What the server said of itself when it was ready."""
        try:
            self.port = self._read_port()
        except ServerFailed:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def cpu_seconds(self) -> float:
        """Return the CPU time so far of the process and all that it has started."""
        return cpu_seconds_with_descendants(self.pid)

    def resident_bytes(self) -> int:
        """Return the memory that the process itself holds, 0 when it is gone."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def open_files(self) -> int:
        """Return how many file descriptors the process has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def kill(self) -> None:
        """End the process as a crash would, without a word."""
        self._process.kill()
        self._process.wait(STOP_SECONDS_MAX)

    def tell_to_stop(self) -> None:
        """Ask the process to end; `stop` waits for it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """End the process; harmless when it has ended."""
        if self._process.poll() is None:
            self.tell_to_stop()
            try:
                self._process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_SECONDS_MAX)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def log_tail(self) -> str:
        """Return the last lines that the server wrote to its standard error."""
        return self._log.read_text(errors="replace")[-LOG_TAIL_CHARACTERS:]

    def _read_port(self) -> int:
        """Read lines until one is JSON with a port; raises ServerFailed."""
        assert self._process.stdout is not None, "the pipe was asked for"
        ends_at = time.monotonic() + START_SECONDS_MAX
        heard = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while (left := ends_at - time.monotonic()) > 0:
                if not selector.select(left):
                    break
                more = os.read(self._process.stdout.fileno(), 65_536)
                if not more:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(1.0)
                    break
                heard += more
                lines = heard.split(b"\n")
                for line in lines[:LINES_BEFORE_PORT_MAX]:
                    if (port := port_in(line)) is not None:
                        self.announced = json.loads(line)
                        return port
        code = self._process.poll()
        happened = (
            f"printed no port within {START_SECONDS_MAX:.0f} s"
            if code is None
            else f"ended with code {code} before it printed its port"
        )
        words = self.log_tail() or heard.decode(errors="replace")
        raise ServerFailed(f"{self._name} {happened}; its last words:\n{words}")


def port_in(line: bytes) -> int | None:
    """Return the port that a line of JSON announces, None when it announces none."""
    try:
        announced = json.loads(line)
    except ValueError:
        return None
    port = announced.get("port") if isinstance(announced, dict) else None
    return port if isinstance(port, int) else None


@contextlib.contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Keep this thread, and what it starts meanwhile, on one core; None changes nothing."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds_with_descendants(pid: int) -> float:
    """Return the CPU time so far of a process and all that it has started."""
    return sum(cpu_seconds_of(one) for one in _with_descendants(pid))


def _with_descendants(pid: int) -> list[int]:
    found = [pid]
    for parent in found:  # grows while it is read, as far as the tree is deep
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in children.read_text().split()]
            except OSError:
                continue  # the thread ended between the listing and the reading
    return found


def cpu_seconds_of(pid: int) -> float:
    """Return user and system time, with that of children that have ended; 0 when gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    # The name of the program stands in parentheses and may contain anything.
    after_name = stat[stat.rindex(")") + 2 :].split()
    return sum(int(ticks) for ticks in after_name[11:15]) / _TICKS_PER_SECOND
