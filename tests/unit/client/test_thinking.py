"""Asking the others to wait."""

from __future__ import annotations

import asyncio

import pytest

import llmx
from llmx.thinking import SECONDS_DEFAULT, SECONDS_MAX, WORDS_MAX, Thinking, nobody_waits


class Gateway:
    """Keeps what it is asked for, and refuses after so many words."""

    def __init__(self, patience: int = 1_000) -> None:
        self.asked: list[float] = []
        self.patience = patience
        self.news = asyncio.Event()

    async def ask(self, seconds: float) -> None:
        self.asked.append(seconds)
        self.news.set()
        if len(self.asked) > self.patience:
            raise llmx.Refused("WRONG_STATE", "enough")

    async def until_asked(self, times: int) -> None:
        while len(self.asked) < times:
            self.news.clear()
            await self.news.wait()


async def test_awaiting_asks_once():
    gateway = Gateway()
    await Thinking(gateway.ask, 20, None)
    assert gateway.asked == [20]


async def test_who_awaits_hears_that_nobody_waits():
    with pytest.raises(llmx.Refused):
        await Thinking(Gateway(patience=0).ask, 20, None)


async def test_a_block_asks_again_until_it_ends():
    gateway = Gateway()
    async with Thinking(gateway.ask, 0.01, None):
        await gateway.until_asked(3)
    count = len(gateway.asked)
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(gateway.asked) == count


async def test_a_block_asks_so_many_times_at_most():
    gateway = Gateway()
    async with Thinking(gateway.ask, 1e-9, None) as thinking:
        assert thinking._asking is not None
        await thinking._asking
    assert len(gateway.asked) == WORDS_MAX


async def test_a_gateway_that_will_not_wait_is_no_reason_to_stop_working():
    gateway = Gateway(patience=0)
    async with Thinking(gateway.ask, 20, None) as thinking:
        assert thinking._asking is not None
        await thinking._asking
        done = True
    assert done and gateway.asked == [20]


async def test_what_a_block_raises_is_raised_as_it_is():
    gateway = Gateway()

    async def fail() -> None:
        async with Thinking(gateway.ask, 20, None):
            await gateway.until_asked(1)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()


async def test_a_block_that_is_cancelled_asks_no_more():
    gateway = Gateway()

    async def think() -> None:
        async with Thinking(gateway.ask, 20, None):
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        thinking = tasks.create_task(think())
        await gateway.until_asked(1)
        thinking.cancel()
    assert thinking.cancelled()


@pytest.mark.parametrize(
    ("seconds", "longest", "wanted"),
    [
        (None, None, SECONDS_DEFAULT),
        (None, 60.0, SECONDS_DEFAULT),
        (None, 1_600.0, 200.0),
        (None, -5.0, SECONDS_DEFAULT),
        (5.0, 1_600.0, 5.0),
        (99_999.0, None, SECONDS_MAX),
    ],
)
async def test_it_asks_for_enough_to_reach_the_deadline_with_the_words_it_has(
    seconds: float | None, longest: float | None, wanted: float
):
    gateway = Gateway()
    await Thinking(gateway.ask, seconds, longest)
    assert gateway.asked == [wanted]


async def test_a_call_that_came_from_no_gateway_has_nobody_to_ask():
    await Thinking(nobody_waits, None, None)
