"""What every test of the simulation needs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.play import silent_logs


@pytest.fixture(autouse=True)
def _without_logs() -> Iterator[None]:
    with silent_logs():
        yield
