"""One gateway for all tests that do not harm it, and a crowd of agents for each test."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator

import pytest

from tests.support.gateways import Gateway, running
from tests.support.raw_agent import Crowd

TEST_SECONDS_MAX = 30.0


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine in a loop of its own; its crowd leaves with it."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def bounded() -> None:
        try:
            async with asyncio.timeout(TEST_SECONDS_MAX):
                await pyfuncitem.obj(**arguments)
        finally:
            for value in arguments.values():
                if isinstance(value, Crowd):
                    await value.close()

    asyncio.run(bounded())
    return True


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that everybody shares; nobody may stop it."""
    with running(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.fixture
def crowd(gateway: Gateway) -> Crowd:
    """The agents of this test on the shared gateway."""
    return Crowd(gateway)
