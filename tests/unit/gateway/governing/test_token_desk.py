"""Tokens for credit: bids, sales, trades, and what becomes of them when something is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.governing import token_desk as module
from gateway.governing.keeping import KeepError, KeptInMemory
from gateway.governing.token_book import TokenBook
from gateway.governing.token_desk import NOT_KEPT, Denied, TokenDesk, held_by
from gateway.known_budgets import KnownBudgets
from policy.ledger import MICROS_MAX, Balance
from policy.noise import NoiseRule
from policy.store import Commit, Mint, SetBudget
from policy.token_market import Sale, TokenLimit
from tests.support.market_parts import SlowStore

LIMIT = TokenLimit(rate=10, burst=40, reserve=0.25, purse_max=0.5)
BOB, CAROL, DAVE = "agent://bob", "agent://carol", "agent://dave"


class Away(KeptInMemory):
    """A keeper that may be away."""

    is_away = False

    async def put(self, name: str, text: bytes) -> None:
        if self.is_away:
            raise KeepError("away")
        await super().put(name, text)


class Scene:
    """A desk with one limit, whose pool is full, and a ledger."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.keeper = Away()
        self.store = SlowStore()
        self.book = TokenBook(
            "acme", "search", LIMIT, NoiseRule(half_life=1e9), self.keeper, lambda: self.now
        )
        self.desk = TokenDesk(
            [self.book], self.store, KnownBudgets(self.store, lambda: self.now), lambda: self.now
        )
        self.now += 4.0
        self.book.market.refill(self.now)

    async def give(self, agent: str, micros: int) -> None:
        await self.store.commit(Commit(f"give:{agent}", self.now, (Mint(f"acme|{agent}", micros),)))

    async def balance(self, agent: str) -> Balance:
        return await self.store.balance(f"acme|{agent}")

    async def bids(self, *bids: tuple[str, int, int]) -> list[Sale | Denied]:
        """Hold a sale among these bids."""
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(self.desk.bid(self.book, *bid)) for bid in bids]
            await quiet()
            for one, sale in self.desk.sell(self.book):
                await self.desk._settle(self.book, one, sale)
        return [one.result() for one in asked]


async def quiet() -> None:
    """Let everything be done that waits for nobody."""
    for _ in range(20):
        await asyncio.sleep(0)


@asynccontextmanager
async def open_desk() -> AsyncIterator[Scene]:
    """A desk that is open, though its next sale is a second away."""
    scene = Scene()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(scene.desk.run())
        await quiet()
        yield scene
        running.cancel()


async def test_who_gets_tokens_pays_the_one_price_and_the_rest_is_free_again() -> None:
    scene = Scene()
    for agent in (BOB, CAROL, DAVE):
        await scene.give(agent, 1_000)
    sales = await scene.bids((BOB, 20, 30), (CAROL, 10, 50), (DAVE, 5, 10))
    assert sales == [Sale(BOB, 20, 10), Sale(CAROL, 10, 10), Sale(DAVE, 0, 0)]
    assert await scene.balance(BOB) == Balance(800, 0)
    assert await scene.balance(CAROL) == Balance(900, 0)
    assert await scene.balance(DAVE) == Balance(1_000, 0)
    assert (held_by(scene.book, BOB), scene.book.price) == (20, 10)
    (entry,) = [
        one for one in await scene.store.entries() if one.spent and one.spent[0].micros == 200
    ]
    assert entry.spent[0].resource == "tokens/search", "costs say what was paid for"


async def test_of_two_bids_of_one_agent_each_pays_for_what_it_got() -> None:
    scene = Scene()
    await scene.give(BOB, 1_000)
    assert await scene.bids((BOB, 3, 1), (BOB, 4, 2)) == [Sale(BOB, 3, 0), Sale(BOB, 4, 0)]
    assert held_by(scene.book, BOB) == 7


async def test_a_noisy_agent_pays_a_multiple() -> None:
    """N-8.5: bob has spent nine of ten tokens, so its multiplier is 1.8."""
    scene = Scene()
    for agent in (BOB, CAROL, DAVE):
        await scene.give(agent, 10_000)
    await scene.bids((BOB, 9, 0), (CAROL, 1, 0))
    for agent, tokens in ((BOB, 9), (CAROL, 1)):
        assert await scene.desk.spend(scene.book, agent, tokens, is_system=False) == 0
    assert scene.desk.multiplier(scene.book, BOB) == pytest.approx(1.8)
    sales = await scene.bids((BOB, 10, 180), (CAROL, 15, 50))
    assert sales == [Sale(BOB, 10, 90), Sale(CAROL, 10, 50)]
    assert scene.book.price == 50


async def test_a_bid_needs_credit_and_budget_for_the_most_that_it_may_cost() -> None:
    scene = Scene()
    await scene.give(BOB, 100)
    (short,) = await scene.bids((BOB, 11, 10))
    assert isinstance(short, Denied) and short.reason.startswith("CREDIT_SHORT: ")
    budget = SetBudget(f"acme|{BOB}", 50)
    await scene.store.commit(Commit("budget", scene.now, (budget,)))
    scene.now += 60.0  # what is believed of budgets is seconds old
    (out,) = await scene.bids((BOB, 6, 10))
    assert isinstance(out, Denied) and "BUDGET_EXHAUSTED" in out.reason
    (huge,) = await scene.bids((BOB, 2, MICROS_MAX))
    assert huge == Denied("EXHAUSTED", "no account holds so much; bid less")
    assert await scene.balance(BOB) == Balance(100, 0)


async def test_only_so_many_bids_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BIDS_MAX", 1)
    scene = Scene()
    first, second = await scene.bids((BOB, 1, 0), (CAROL, 1, 0))
    assert first == Sale(BOB, 1, 0)
    assert isinstance(second, Denied) and second.code == "EXHAUSTED"
    assert scene.desk.sell(scene.book) == []


async def test_bids_whose_price_is_being_held_are_counted_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many come while the ledger is slow, no more of them wait."""
    monkeypatch.setattr(module, "BIDS_MAX", 1)
    scene = Scene()
    for agent in (BOB, CAROL):
        await scene.give(agent, 1_000)
    scene.store.open.clear()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(scene.desk.bid(scene.book, BOB, 1, 10))
        await quiet()
        second = await asyncio.wait_for(scene.desk.bid(scene.book, CAROL, 1, 10), 1.0)
        assert isinstance(second, Denied) and second.code == "EXHAUSTED"
        scene.store.open.set()
        await quiet()
        ((one, sale),) = scene.desk.sell(scene.book)
        await scene.desk._settle(scene.book, one, sale)
    assert first.result() == Sale(BOB, 1, 0)
    (third,) = await scene.bids((CAROL, 1, 0))
    assert third == Sale(CAROL, 1, 0), "there is room again"


async def test_who_goes_away_has_bid_all_the_same_and_pays() -> None:
    """Else tokens would be free for whoever hangs up in time."""
    scene = Scene()
    await scene.give(BOB, 1_000)
    await scene.give(CAROL, 10_000)
    async with asyncio.TaskGroup() as tasks:
        gone = tasks.create_task(scene.desk.bid(scene.book, BOB, 20, 30))
        await quiet()
        gone.cancel()
    await scene.bids((CAROL, 11, 20))
    assert held_by(scene.book, BOB) == 20
    assert await scene.balance(BOB) == Balance(1_000 - 20 * 20, 0)


async def test_spending_takes_what_is_held_and_the_system_class_then_the_pool() -> None:
    scene = Scene()
    await scene.bids((BOB, 3, 0))
    spend, book = scene.desk.spend, scene.book
    assert await spend(book, BOB, 2, is_system=False) == 1
    short = await spend(book, BOB, 2, is_system=False)
    assert short == Denied("EXHAUSTED", "2 are wanted, 1 held; bid for some")
    assert await spend(book, "agent://watchdog", 10, is_system=True) == 0
    assert book.spent == 12


async def test_what_cannot_be_kept_is_not_spent() -> None:
    scene = Scene()
    await scene.bids((BOB, 3, 0))
    scene.keeper.is_away = True
    assert await scene.desk.spend(scene.book, BOB, 2, is_system=False) == NOT_KEPT
    assert (held_by(scene.book, BOB), scene.book.spent) == (3, 0)
    assert await scene.bids((BOB, 1, 0)) == [NOT_KEPT]


async def test_a_trade_moves_tokens_one_way_and_as_much_credit_the_other() -> None:
    """N-8.4: trading conserves; N-7.1: so does the ledger."""
    async with open_desk() as scene:
        await scene.give(CAROL, 100)
        await scene.bids((BOB, 10, 0))
        made = scene.book.offer(BOB, 4, 60, "", scene.now + 60)
        assert made is not None
        assert await scene.desk.take(scene.book, made.offer_id, CAROL) == made
        assert (held_by(scene.book, BOB), held_by(scene.book, CAROL)) == (6, 4)
        assert await scene.balance(BOB) == Balance(60, 0)
        assert await scene.balance(CAROL) == Balance(40, 0)
        again = await scene.desk.take(scene.book, made.offer_id, CAROL)
        assert isinstance(again, Denied) and again.code == "UNKNOWN"


async def test_who_cannot_pay_or_hold_more_leaves_the_offer_as_it_was() -> None:
    async with open_desk() as scene:
        await scene.bids((BOB, 20, 0), (CAROL, 10, 0))
        made = scene.book.offer(BOB, 15, 60, "", scene.now + 60)
        assert made is not None
        full = await scene.desk.take(scene.book, made.offer_id, CAROL)
        assert isinstance(full, Denied) and "than one agent may hold" in full.reason
        poor = await scene.desk.take(scene.book, made.offer_id, DAVE)
        assert isinstance(poor, Denied) and "CREDIT_SHORT" in poor.reason
        assert await scene.desk.take(scene.book, made.offer_id, BOB) == made, "it takes it back"
        assert held_by(scene.book, BOB) == 20
        gift = scene.book.offer(BOB, 1, 0, DAVE, scene.now + 60)
        assert gift is not None
        assert await scene.desk.take(scene.book, gift.offer_id, DAVE) == gift


async def test_a_trade_is_done_to_its_end_though_the_taker_goes_away() -> None:
    async with open_desk() as scene:
        await scene.give(CAROL, 100)
        await scene.bids((BOB, 10, 0))
        made = scene.book.offer(BOB, 4, 60, "", scene.now + 60)
        assert made is not None
        async with asyncio.TaskGroup() as tasks:
            scene.store.open.clear()
            gone = tasks.create_task(scene.desk.take(scene.book, made.offer_id, CAROL))
            await quiet()
            gone.cancel()
        scene.store.open.set()
        await quiet()
        assert held_by(scene.book, CAROL) == 4
        assert await scene.balance(CAROL) == Balance(40, 0)


async def test_a_desk_that_is_closed_takes_no_credit() -> None:
    scene = Scene()
    denied = await scene.desk.take(scene.book, "any", BOB)
    assert isinstance(denied, Denied) and denied.code == "UNAVAILABLE"
    assert repr(scene.desk) == "<TokenDesk: 1 limits, 0 bids waiting>"


async def test_a_ledger_that_does_not_answer_in_time_is_said_to_be_away() -> None:
    scene = Scene()
    scene.store.memory.is_away = True
    scene.desk._ledger._now = scene.desk._budgets._now = _leaping(scene)
    assert await scene.desk.bid(scene.book, BOB, 1, 10) == module.NO_LEDGER


def _leaping(scene: Scene) -> object:
    """Return a clock that goes on by a minute each time somebody looks."""

    def now() -> float:
        scene.now += 60.0
        return scene.now

    return now
