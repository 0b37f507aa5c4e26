"""Runs the tests that are coroutines, each in a loop of its own; lets examples take their time."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import pytest
from hypothesis import settings

gc.disable()  # until all tests are there: nearly everything that comes now stays
settings.register_profile("llmx", deadline=None)  # a busy machine is no mistake of ours
settings.load_profile("llmx")

TEST_SECONDS_MAX = 60.0
"""What has not ended then hangs, however busy the machine is."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return two more than there are cores: half of the time somebody waits, for a lease."""
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Look for garbage from now on, but never in what was imported and collected."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine.

    A fixture cannot wait for anything. What it gives that has to be entered and left with
    `async with` is entered and left here, in the loop of the test.
    """
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def bounded() -> None:
        async with AsyncExitStack() as stack:
            for given in pyfuncitem.funcargs.values():
                if isinstance(given, AbstractAsyncContextManager):
                    await stack.enter_async_context(given)
            async with asyncio.timeout(TEST_SECONDS_MAX):
                await pyfuncitem.obj(**arguments)

    asyncio.run(bounded())
    return True
