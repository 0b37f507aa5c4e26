"""Ctrl-C and SIGTERM while a command runs: no traceback, and nothing left behind.

The first signal cancels the command, which then leaves as it does at its end; a second one
ends the process at once. What happens before and after is told in `quiet`.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SIGNAL_EXIT = 128
"""A shell says of a process that a signal ended: 128 and the signal's number."""


def run(command: Coroutine[Any, Any, int]) -> int:
    """Run a command and return its exit code: 130 after Ctrl-C, 143 after SIGTERM.

    A command that cancels itself has ended as it meant to.
    """
    return asyncio.run(_until_told(command))


async def _until_told(command: Coroutine[Any, Any, int]) -> int:
    loop, life = asyncio.get_running_loop(), asyncio.current_task()
    assert life is not None, "a coroutine of asyncio.run has a task"
    told: list[int] = []

    def stop(number: int) -> None:
        told.append(number)
        for each in SIGNALS:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        life.cancel()

    for each in SIGNALS:
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt does it
            loop.add_signal_handler(each, stop, each)
    try:
        code = await command
    except asyncio.CancelledError:
        code = 0
    return SIGNAL_EXIT + told[0] if told else code
