"""One gateway for all tests that do not harm it, and a crowd of agents for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateways import Gateway, running
from tests.support.raw_agent import Crowd


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that everybody shares; nobody may stop it."""
    with running(tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.fixture
def crowd(gateway: Gateway) -> Crowd:
    """The agents of this test on the shared gateway; they leave with the test."""
    return Crowd(gateway)
