"""The first signal lets a program leave, a second one is left to the system."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from llmx.signals import SIGNALS, stopped_by_signals


@pytest.fixture(autouse=True)
def same_handlers_afterwards() -> Iterator[None]:
    """Keep the signals of the test run as they are."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
async def test_the_first_signal_stops_and_is_known(number: signal.Signals) -> None:
    stop = asyncio.Event()
    with stopped_by_signals(stop.set) as told:
        signal.raise_signal(number)
        await stop.wait()
    assert told == [number]


@pytest.mark.parametrize("number", SIGNALS)
async def test_after_the_first_any_other_signal_ends_the_process(number: signal.Signals) -> None:
    stop = asyncio.Event()
    with stopped_by_signals(stop.set):
        signal.raise_signal(number)
        await stop.wait()
        inside = [signal.getsignal(each) for each in SIGNALS]
    assert inside == [signal.getsignal(each) for each in SIGNALS] == [signal.SIG_DFL] * 2


async def test_where_no_signal_came_they_do_what_they_did() -> None:
    def heard(number: int, frame: FrameType | None) -> None:
        """Be somebody's handler."""

    for each in SIGNALS:
        signal.signal(each, heard)
    with stopped_by_signals(asyncio.Event().set) as told:
        inside = [signal.getsignal(each) for each in SIGNALS]
    assert heard not in inside
    assert [signal.getsignal(each) for each in SIGNALS] == [heard] * 2
    assert told == []
