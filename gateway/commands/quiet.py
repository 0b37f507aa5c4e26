"""Ctrl-C before a command runs ends the process without a word: there is nothing to put away.

What grpc has to say of a connection stays unsaid too: a command tells it in one line of its own. A
gateway and who starts some let grpc tell of errors only, else whoever tries to connect without TLS
writes a line into its log. GRPC_VERBOSITY says otherwise.

The command line imports this before anything that takes long, so it imports next to nothing.
"""

from __future__ import annotations

import os
import signal
import sys

SERVING = ("gateway", "up", "demo", "demo-cluster")


def end_quietly() -> None:
    """Let Ctrl-C end this process without a traceback, until `interrupts.run` knows better."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def is_command(program: str) -> bool:
    """Tell whether a process that was started as `program` is the command line of `llmx`."""
    parts = program.replace("\\", "/").split("/")
    return parts[-1] in ("llmx", "llmx.exe") or parts[-2:] == ["gateway", "cli.py"]


if is_command(sys.argv[0]):
    end_quietly()
    serves = bool({*sys.argv[1:2]} & {*SERVING})
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR" if serves else "NONE")  # read by grpc's import
