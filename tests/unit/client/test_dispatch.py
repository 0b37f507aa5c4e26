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


async def test_work_that_comes_as_the_last_task_ends_is_served():
    """A task that has nothing left to serve is no reason not to start another."""
    begun, gate, served = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def first() -> None:
        begun.set()
        await gate.wait()

    async def second() -> None:
        served.set()

    dispatch = Dispatch(running_max=1, waiting_max=8)
    async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
        dispatch.start(tasks)
        dispatch.put("a", first)
        await begun.wait()
        gate.set()
        # Runs between the task's last step and its done-callbacks.
        asyncio.get_running_loop().call_soon(dispatch.put, "b", second)
        await served.wait()


async def test_a_cancellation_that_nobody_asked_for_is_work_that_failed(
    caplog: pytest.LogCaptureFixture,
):
    notes: list[str] = []
    gate = asyncio.Event()
    gate.set()

    async def broken() -> None:
        raise asyncio.CancelledError

    dispatch = Dispatch(running_max=4, waiting_max=8)
    with caplog.at_level(logging.ERROR, "llmx"):
        async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
            dispatch.start(tasks)
            dispatch.put("gw.0.17", broken)
            dispatch.put("gw.0.17", noting(notes, "next", gate))
            await dispatch.idle()
            dispatch.put("gw.0.17", noting(notes, "later", gate))
            await dispatch.idle()
    assert "gw.0.17" in caplog.text
    assert notes == ["next begins", "next ends", "later begins", "later ends"]


async def test_work_that_cancels_its_own_task_does_not_close_its_negotiation():
    notes: list[str] = []
    gate = asyncio.Event()
    gate.set()
    ending = asyncio.Event()

    async def leave() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(lambda done: ending.set())
        task.cancel()
        await asyncio.Event().wait()

    dispatch = Dispatch(running_max=1, waiting_max=2)
    async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
        dispatch.start(tasks)
        dispatch.put("gw.0.17", leave)
        dispatch.put("gw.0.17", noting(notes, "lost", gate))
        await ending.wait()
        dispatch.put("gw.0.17", noting(notes, "later", gate))
        await dispatch.idle()
        assert dispatch.has_room
    assert notes == ["later begins", "later ends"]


async def test_cancelling_ends_the_work_that_runs():
    begun = asyncio.Event()

    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    dispatch = Dispatch(running_max=1, waiting_max=8)
    async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
        dispatch.start(tasks)
        dispatch.put("a", endless)
        await begun.wait()
        dispatch.cancel()
    assert not dispatch.put("a", endless)


async def test_whoever_watches_hears_when_all_work_of_a_message_has_ended() -> None:
    heard: list[str] = []
    gate, quick = asyncio.Event(), asyncio.Event()
    quick.set()
    dispatch = Dispatch(running_max=4, waiting_max=8)

    def take() -> bool:
        slow = dispatch.put("a", noting([], "slow", gate))
        return slow and dispatch.put("b", noting([], "quick", quick))

    async with asyncio.TaskGroup() as tasks:
        dispatch.start(tasks)
        assert dispatch.watched(take, lambda: heard.append("done"))
        after_quick = asyncio.Event()

        async def finish() -> None:
            after_quick.set()

        assert dispatch.put("b", finish)
        await after_quick.wait()
        assert not heard, "the slow one has not ended"
        gate.set()
        await dispatch.idle()
    assert heard == ["done"]


async def test_a_message_that_makes_no_work_is_done_at_once_and_one_without_room_never() -> None:
    heard: list[str] = []
    dispatch = Dispatch(running_max=4, waiting_max=8)
    assert dispatch.watched(lambda: True, lambda: heard.append("taken"))
    assert not dispatch.watched(lambda: False, lambda: heard.append("not taken"))
    assert heard == ["taken"]


async def test_work_that_was_cancelled_with_the_agent_is_not_done_and_failed_work_is() -> None:
    heard: list[str] = []
    begun = asyncio.Event()

    async def broken() -> None:
        raise RuntimeError("oops")

    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    dispatch = Dispatch(running_max=4, waiting_max=8)
    async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
        dispatch.start(tasks)
        dispatch.watched(lambda: dispatch.put("a", broken), lambda: heard.append("failed"))
        dispatch.watched(lambda: dispatch.put("b", endless), lambda: heard.append("cancelled"))
        dispatch.watched(lambda: dispatch.put("b", endless), lambda: heard.append("left"))
        await begun.wait()
        dispatch.cancel()
    assert heard == ["failed"]
