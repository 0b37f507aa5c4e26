"""Standard input as a lifeline."""

from __future__ import annotations

import asyncio
import os

from gateway.commands.lifeline import ignore_line, listen


def test_every_line_is_a_step_and_the_end_is_the_end():
    async def scene() -> int:
        ours, theirs = os.pipe()
        steps, ended = asyncio.Semaphore(0), asyncio.Event()
        listen(steps.release, ended.set, ours)
        os.write(theirs, b"\n\n")
        await steps.acquire()
        await steps.acquire()
        assert not ended.is_set()
        os.close(theirs)
        await ended.wait()
        os.close(ours)
        return 2

    assert asyncio.run(asyncio.wait_for(scene(), 10)) == 2


def test_what_cannot_be_read_has_ended():
    async def scene() -> None:
        ours, theirs = os.pipe()
        os.close(ours)
        os.close(theirs)
        ended = asyncio.Event()
        listen(ignore_line, ended.set, ours)
        await ended.wait()

    asyncio.run(asyncio.wait_for(scene(), 10))
