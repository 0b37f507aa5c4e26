"""How late the loop is."""

from __future__ import annotations

import asyncio

import pytest

from gateway.telemetry.loop_lag import LoopLag


class Over(Exception):
    """The test has seen enough."""


def test_what_a_sleep_takes_longer_than_asked_for_is_the_lag() -> None:
    now, late = [0.0], iter((0.0, 0.0, 0.3))

    async def sleep(seconds: float) -> None:
        try:
            now[0] += seconds + next(late)
        except StopIteration:
            raise Over from None

    lag = LoopLag(lambda: now[0], sleep)
    with pytest.raises(Over):
        asyncio.run(lag.run())
    assert len(lag.timing) == 3
    assert lag.timing.total == pytest.approx(0.3)
