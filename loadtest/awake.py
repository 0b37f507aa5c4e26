"""Run a command while no core of this machine falls asleep.

    python -m loadtest.awake COMMAND [ARGUMENT...]

A core that has nothing to do is halted, and a virtual machine gives it away; a message that comes
then waits until it is back. So a machine with little to do answers more slowly than a busy one, and
whatever else begins or ends there shows in the latencies. Here a process for each core spins at
idle priority (SCHED_IDLE): it runs only where nobody else wants to. Linux may share the processor
among sessions first (autogroup), so each has a session of its own, with the least share there is.

The results of the command say so. The spinners end with it, and when this process is killed. Exits
as the command does, which gets a SIGTERM that is sent to this process, and Ctrl-C at the terminal.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

VARIABLE = "LLMX_CORES_AWAKE"
"""Set to 1 for the command, whose results are to say it."""

_SPIN = """
import os, sys
core, parent = map(int, sys.argv[1:])
os.sched_setaffinity(0, {core})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
try:
    with open("/proc/self/autogroup", "w") as group:
        group.write("19")
except OSError:
    pass
print("spins", flush=True)
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


def is_on() -> bool:
    """Tell whether this process was started with the cores kept awake."""
    return os.environ.get(VARIABLE) == "1"


@contextmanager
def cores_awake() -> Iterator[list[int]]:
    """Keep every core awake that this process may use; yields the ids of the spinning processes.

    Raises OSError where the system knows no idle priority; only Linux does.
    """
    if not hasattr(os, "SCHED_IDLE"):
        raise OSError("this system has no idle priority (SCHED_IDLE)")
    spinners: list[subprocess.Popen[str]] = []
    try:
        for core in sorted(os.sched_getaffinity(0)):
            command = [sys.executable, "-I", "-S", "-c", _SPIN, str(core), str(os.getpid())]
            spinner = subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, start_new_session=True
            )
            spinners.append(spinner)
            assert spinner.stdout is not None, "it was asked for"
            if not spinner.stdout.readline():
                raise OSError("a process of idle priority could not be started")
        yield [spinner.pid for spinner in spinners]
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
            if spinner.stdout is not None:
                spinner.stdout.close()


def _run(command: Sequence[str]) -> int:
    """Run the command, to which SIGTERM is handed on; Ctrl-C reaches it by itself."""
    process = subprocess.Popen(command, env={**os.environ, VARIABLE: "1"})
    before = [
        (signal.SIGTERM, signal.signal(signal.SIGTERM, lambda *_: process.terminate())),
        (signal.SIGINT, signal.signal(signal.SIGINT, lambda *_: None)),
    ]
    try:
        return process.wait()
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code, 2 when there is none or it cannot be run."""
    command = list(sys.argv[1:] if arguments is None else arguments)
    if not command:
        print("awake: say which command to run", file=sys.stderr)
        return 2
    try:
        with cores_awake():
            code = _run(command)
    except OSError as error:
        print(f"awake: {error}", file=sys.stderr)
        return 2
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
