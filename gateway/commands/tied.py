"""Runs a program that does not outlive whoever started it, even if that was killed.

    python -m gateway.commands.tied PARENT PROGRAM ARGUMENT…

PARENT is the process id of whoever starts this. On Linux the kernel ends the program together
with the thread that started it: this process asks for that and becomes the program. Elsewhere it
stays beside the program, and ends it when its own standard input ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def become(parent: int, program: Sequence[str]) -> None:
    """Turn into a program that the kernel kills when `parent` ends. Linux only."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "the kernel does not tie processes")
    if os.getppid() != parent:  # it has ended before we asked
        return
    os.execv(program[0], list(program))


def guard(program: Sequence[str]) -> int:
    """Run a program until it ends, or our standard input does; returns the exit code."""
    running: list[subprocess.Popen[bytes]] = []
    is_told = threading.Event()

    def end(*_: object) -> None:
        is_told.set()
        for process in running:
            process.terminate()

    def wait_for_end() -> None:
        while os.read(0, 4096):
            pass
        running[0].kill()

    signal.signal(signal.SIGTERM, end)
    running.append(subprocess.Popen(program, stdin=subprocess.DEVNULL))
    if is_told.is_set():  # while it was started
        running[0].terminate()
    threading.Thread(target=wait_for_end, daemon=True).start()
    return running[0].wait()


if __name__ == "__main__":
    if sys.platform == "linux":
        become(int(sys.argv[1]), sys.argv[2:])
    else:
        sys.exit(guard(sys.argv[2:]))
