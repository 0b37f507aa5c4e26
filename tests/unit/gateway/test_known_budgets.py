"""Which budgets there are, as far as awards have to know."""

from __future__ import annotations

import asyncio

from gateway import known_budgets
from gateway.known_budgets import BELIEVED_SECONDS, KnownBudgets
from policy.judging import Writer
from policy.memory_store import MemoryStore
from policy.store import BudgetUse, Commit, SetBudget


class Counting(MemoryStore):
    """A store that counts how often it is asked for budgets."""

    def __init__(self) -> None:
        super().__init__(Writer("g"))
        self.asked = 0
        self.often = asyncio.Event()

    async def budget(self, name: str, at: float) -> BudgetUse | None:
        self.asked += 1
        if self.asked > 2:
            self.often.set()
        return await super().budget(name, at)


class Scene:
    """A store with the budget of alice, and a clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.store = Counting()
        self.known = KnownBudgets(self.store, lambda: self.now)

    async def make(self, name: str) -> None:
        await self.store.commit(Commit(f"make {name}", self.now, (SetBudget(name, 5),)))

    async def among(self, *names: str) -> list[str] | None:
        found = await self.known.among(names, self.now)
        return None if found is None else sorted(found)


async def test_a_budget_is_looked_up_once_in_a_while() -> None:
    scene = Scene()
    await scene.make("alice")
    assert await scene.among("alice", "bob") == ["alice"]
    await scene.make("bob")
    assert await scene.among("alice", "bob") == ["alice"], "that is believed"
    assert scene.store.asked == 2
    scene.now += BELIEVED_SECONDS
    assert await scene.among("alice", "bob") == ["alice", "bob"]


async def test_an_operator_that_changes_one_has_all_looked_up_anew() -> None:
    scene = Scene()
    assert await scene.among("alice") == []
    await scene.make("alice")
    scene.known.forget()
    assert await scene.among("alice") == ["alice"]


async def test_a_store_that_is_away_is_asked_until_time_is_over() -> None:
    scene = Scene()
    await scene.make("alice")
    scene.store.memory.is_away = True
    assert await scene.among("alice") is None
    known_budgets.RETRY_SECONDS, before = 0.001, known_budgets.RETRY_SECONDS
    try:
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(scene.known.among(["alice"], scene.now + 60))
            await scene.store.often.wait()
            scene.store.memory.is_away = False
        assert asking.result() == {"alice"}
    finally:
        known_budgets.RETRY_SECONDS = before


async def test_not_more_is_believed_than_there_is_room_for() -> None:
    scene = Scene()
    scene.known._believed = dict.fromkeys(map(str, range(known_budgets.BUDGETS_MAX)), (1.0, True))
    assert await scene.among("alice") == []
    assert len(scene.known._believed) == 1
