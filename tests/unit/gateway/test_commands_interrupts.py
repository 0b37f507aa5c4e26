"""Signals while a command runs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from gateway.commands.interrupts import SIGNALS, run


@pytest.fixture(autouse=True)
def same_handlers_afterwards() -> Iterator[None]:
    """Keep the signals of the test run as they are."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_command_ends_with_its_own_exit_code():
    async def command() -> int:
        return 3

    assert run(command()) == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_the_command_put_its_things_away(number: signal.Signals, code: int):
    put_away: list[str] = []

    async def command() -> int:
        signal.raise_signal(number)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            put_away.append("all")
        return 0

    assert run(command()) == code
    assert put_away == ["all"]


def test_a_second_signal_is_left_to_the_system():
    async def command() -> int:
        signal.raise_signal(signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        return 0

    assert run(command()) == 130


def test_a_command_that_cancels_itself_has_ended_well():
    async def command() -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.Event().wait()
        return 1

    assert run(command()) == 0
