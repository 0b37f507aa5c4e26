"""The pieces of the live market that need no gateway."""

from __future__ import annotations

import asyncio

import pytest

from loadtest.market.arms import ARMS, HOST_SLOTS
from loadtest.market.clock import Run, figures, played
from loadtest.market.live import SMALL, Live, Size, most_at_once
from loadtest.market.live_arms import LIVE_ARMS, Board, slots_of
from loadtest.market.page import BEGIN_LIVE, END_LIVE, live_text, placed
from loadtest.market.world import World

WORLD = World(Size(40, 8, 6.0).demand, 1)


def board() -> Board:
    began = asyncio.get_running_loop().time()
    free = dict.fromkeys(range(8), 0.0)
    return Board(WORLD, 600.0, began, list(WORLD.tasks[:10]), free_since=free)


async def test_a_slot_is_taken_once_and_a_task_served_once() -> None:
    here = board()
    first, second = WORLD.tasks[:2]
    grant = here.take(first, 1, 2.5)
    assert grant is not None
    assert (grant.slot, grant.price) == (HOST_SLOTS, 2.5)
    assert here.take(first, 0, 1.0) is None, "it was served"
    taken = [here.take(task, 1, 0.0) for task in WORLD.tasks[1 : 1 + HOST_SLOTS]]
    assert [one is not None for one in taken] == [True] * (HOST_SLOTS - 1) + [False]
    assert second not in here.waiting
    assert len(here.free_since) == 8 - HOST_SLOTS


async def test_a_host_asks_more_the_fuller_it_is() -> None:
    here = board()
    before = here.asks()
    assert set(before) == {0, 1}
    here.take(WORLD.tasks[0], 1, 0.0)
    after = here.asks()
    assert after[1] > after[0]
    for task in WORLD.tasks[1:HOST_SLOTS]:
        here.take(task, 1, 0.0)
    assert set(here.asks()) == {0}


def test_the_most_slots_at_once_are_counted_from_grants() -> None:
    arm, run = played(WORLD, ARMS["FIFO"], 100.0)
    assert 1 <= most_at_once(run) <= WORLD.demand.slots
    assert most_at_once(Run(WORLD, {}, [], [])) == 0
    assert arm.books.entries == 0


@pytest.mark.parametrize("arm", LIVE_ARMS)
def test_every_live_way_is_one_of_the_simulated_and_has_resources_of_its_own(arm: str) -> None:
    assert arm in ARMS
    assert slots_of(arm).replace("-", "").isalnum()


def test_the_demand_is_as_much_for_each_slot_as_in_the_large_market() -> None:
    assert Size().agents / Size().slots == 500 / 40
    assert SMALL.demand.hours * 3600 / 600 == SMALL.seconds


def test_live_figures_stand_beside_the_simulated_and_what_was_checked() -> None:
    row = [figures("FIFO", *played(WORLD, ARMS["FIFO"], 100.0))]
    seen = Live(
        SMALL, {"FIFO, simulated": row}, {"LATE": 2}, {"contract net": 3}, -1, 2_500_000, 9.0, 1.0
    )
    text = live_text(seen)
    assert "| FIFO, simulated | " in text
    assert "Calls without an outcome: LATE 2" in text
    assert "3 of 4. Credits paid: 2.5; lost or made: -0.000001." in text
    page = f"before {BEGIN_LIVE}\n\nold\n\n{END_LIVE} after"
    assert placed(page, "new", BEGIN_LIVE, END_LIVE) == (
        f"before {BEGIN_LIVE}\n\nnew\n\n{END_LIVE} after"
    )
