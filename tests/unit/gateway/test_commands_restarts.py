"""A process that dies is started again, later each time, and not for ever."""

from __future__ import annotations

import pytest

from gateway.commands.restarts import (
    AGAIN_FIRST_SECONDS,
    AGAIN_MOST_SECONDS,
    DEATHS_MAX,
    STEADY_SECONDS,
    Restarts,
)


def test_it_waits_longer_after_each_death_up_to_a_bound() -> None:
    restarts = Restarts()
    waits = [restarts.died(1.0, chance=1.0) for _ in range(DEATHS_MAX - 1)]
    assert waits[:3] == [AGAIN_FIRST_SECONDS, 2 * AGAIN_FIRST_SECONDS, 4 * AGAIN_FIRST_SECONDS]
    assert max(wait for wait in waits if wait is not None) == AGAIN_MOST_SECONDS


def test_it_is_given_up_after_so_many_deaths_in_a_row() -> None:
    restarts = Restarts()
    for _ in range(DEATHS_MAX - 1):
        assert restarts.died(STEADY_SECONDS - 1, chance=0.5) is not None
    assert restarts.died(STEADY_SECONDS - 1, chance=0.5) is None


def test_who_was_well_for_long_begins_anew() -> None:
    restarts = Restarts()
    for _ in range(3 * DEATHS_MAX):
        wait = restarts.died(STEADY_SECONDS, chance=1.0)
        assert wait == pytest.approx(AGAIN_FIRST_SECONDS)
