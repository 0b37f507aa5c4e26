"""SIGINT and SIGTERM while a program runs: the first lets it leave as at its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any] | int | None
"""What Python does at a signal; None where something else looks after it."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SIGNAL_EXIT = 128
"""A shell says of a program that a signal ended: 128 and the signal's number."""


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[], object]) -> Iterator[list[int]]:
    """Call `stop` at the first signal; its number then stands in the list that this gives.

    From then on a signal ends the process at once. When none came, they do afterwards what they
    did before. Only the loop of the main thread hears of signals.
    """
    loop, told = asyncio.get_running_loop(), list[int]()
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def leave_to(handlers: Mapping[signal.Signals, Handler]) -> None:
        for number, handler in handlers.items():
            if loop.remove_signal_handler(number) and handler is not None:
                signal.signal(number, handler)

    def on_signal(number: int) -> None:
        told.append(number)
        leave_to(dict.fromkeys(SIGNALS, signal.SIG_DFL))
        stop()

    with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt does it
        for number in SIGNALS:
            loop.add_signal_handler(number, on_signal, number)
    try:
        yield told
    finally:
        with contextlib.suppress(NotImplementedError):  # Windows, as above
            leave_to(before)
