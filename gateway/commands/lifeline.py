"""Standard input as a lifeline: whoever holds its other end can start steps, and by letting go
ends us, even if it was killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable

CHUNK_BYTES = 4096


def listen(on_line: Callable[[], None], on_end: Callable[[], None], descriptor: int = 0) -> None:
    """Call `on_line` in the running loop for every line that comes, and `on_end` at the end.

    A thread reads, because a loop cannot watch every kind of file; it ends with the process.
    """
    loop = asyncio.get_running_loop()

    def tell(listener: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended before us
            loop.call_soon_threadsafe(listener)

    def read() -> None:
        with contextlib.suppress(OSError):  # closed, or not for reading: the same as its end
            while chunk := os.read(descriptor, CHUNK_BYTES):
                for _ in range(chunk.count(b"\n")):
                    tell(on_line)
        tell(on_end)

    threading.Thread(target=read, name="lifeline", daemon=True).start()


def ignore_line() -> None:
    """Do nothing with a line; for those that only want to know the end."""
