"""Ctrl-C and SIGTERM while a command runs: no traceback, and nothing left behind.

The first signal cancels the command, which then leaves as it does at its end; a second one
ends the process at once. What happens before and after is told in `quiet`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from llmx.signals import SIGNAL_EXIT, SIGNALS, stopped_by_signals

__all__ = ["SIGNALS", "SIGNAL_EXIT", "run"]


def run(command: Coroutine[Any, Any, int]) -> int:
    """Run a command and return its exit code: 130 after Ctrl-C, 143 after SIGTERM.

    A command that cancels itself has ended as it meant to.
    """
    return asyncio.run(_until_told(command))


async def _until_told(command: Coroutine[Any, Any, int]) -> int:
    life = asyncio.current_task()
    assert life is not None, "a coroutine of asyncio.run has a task"
    with stopped_by_signals(life.cancel) as told:
        try:
            code = await command
        except asyncio.CancelledError:
            code = 0
    return SIGNAL_EXIT + told[0] if told else code
