"""Runs the tests that are coroutines, and gives them a gateway."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import pytest

import llmx
from llmx.backoff import Backoff

TEST_SECONDS_MAX = 20.0
QUICK = Backoff(first=0.01, longest=0.02)

AgentMaker = Callable[..., llmx.Agent]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine in a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def bounded() -> None:
        async with asyncio.timeout(TEST_SECONDS_MAX):
            await pyfuncitem.obj(**arguments)

    asyncio.run(bounded())
    return True


@pytest.fixture
def agent() -> AgentMaker:
    """Return a function that describes an agent which reconnects quickly."""

    def make(name: str, gateway: str, **options: Any) -> llmx.Agent:
        options = {"token": name, "backoff": QUICK, "close_timeout": 1.0} | options
        return llmx.Agent(f"agent://{name}", gateway, **options)

    return make
