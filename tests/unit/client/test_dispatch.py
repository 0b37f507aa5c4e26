"""The author's handlers at work."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from llmx.dispatch import Dispatch


def noting(notes: list[str], name: str, gate: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        notes.append(f"{name} begins")
        await gate.wait()
        notes.append(f"{name} ends")

    return work


async def test_work_of_one_negotiation_keeps_its_order_and_others_do_not_wait_for_it():
    notes: list[str] = []
    slow, quick = asyncio.Event(), asyncio.Event()
    quick.set()
    dispatch = Dispatch(running_max=8, waiting_max=8)
    async with asyncio.TaskGroup() as tasks:
        dispatch.start(tasks)
        dispatch.put("one", noting(notes, "a", slow))
        dispatch.put("one", noting(notes, "b", quick))
        done = asyncio.Event()
        dispatch.put("two", noting(notes, "c", quick))

        async def finish() -> None:
            done.set()

        dispatch.put("two", finish)
        await done.wait()
        assert notes == ["a begins", "c begins", "c ends"]
        slow.set()
        await dispatch.idle()
    assert notes[3:] == ["a ends", "b begins", "b ends"]


async def test_no_more_keys_run_at_once_than_allowed():
    running: set[str] = set()
    most = 0

    def counting(key: str) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            nonlocal most
            running.add(key)
            most = max(most, len(running))
            await asyncio.sleep(0)  # let the others in, if they may
            running.discard(key)

        return work

    dispatch = Dispatch(running_max=2, waiting_max=8)
    async with asyncio.TaskGroup() as tasks:
        dispatch.start(tasks)
        for key in "abcd":
            dispatch.put(key, counting(key))
        await dispatch.idle()
    assert most == 2


async def test_work_beyond_the_bound_is_not_taken():
    gate = asyncio.Event()
    dispatch = Dispatch(running_max=1, waiting_max=2)
    async with asyncio.TaskGroup() as tasks:
        dispatch.start(tasks)
        assert dispatch.put("a", noting([], "a", gate))
        assert dispatch.put("b", noting([], "b", gate))
        assert not dispatch.put("c", noting([], "c", gate))
        gate.set()
        await dispatch.idle()
        assert dispatch.has_room


async def test_work_that_fails_is_logged_with_its_negotiation_and_the_rest_goes_on(
    caplog: pytest.LogCaptureFixture,
):
    notes: list[str] = []
    gate = asyncio.Event()
    gate.set()

    async def broken() -> None:
        raise RuntimeError("oops")

    dispatch = Dispatch(running_max=1, waiting_max=8)
    with caplog.at_level(logging.ERROR, "llmx"):
        async with asyncio.TaskGroup() as tasks:
            dispatch.start(tasks)
            dispatch.put("gw.0.17", broken)
            dispatch.put("gw.0.17", noting(notes, "next", gate))
            await dispatch.idle()
    assert "gw.0.17" in caplog.text
    assert notes == ["next begins", "next ends"]
