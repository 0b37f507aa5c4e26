"""The tokens of one limit: kept, offered, taken, given back."""

from __future__ import annotations

import asyncio

import pytest

from gateway.governing import token_book as module
from gateway.governing.keeping import KeepError, KeptInMemory
from gateway.governing.token_book import TokenBook
from policy.noise import NoiseRule
from policy.token_market import MICRO, TokenBid, TokenLimit

LIMIT = TokenLimit(rate=10, burst=40, reserve=0.25, purse_max=0.5)
BOB, CAROL = "agent://bob", "agent://carol"


class Life:
    """One life of a book."""

    def __init__(self, keeper: KeptInMemory | None = None) -> None:
        self.now = 100.0
        self.keeper = keeper or KeptInMemory()
        self.book = TokenBook("acme", "search", LIMIT, NoiseRule(), self.keeper, lambda: self.now)
        self.book.hear(self.keeper._texts.get(self.book.key))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.book.market.refill(self.now)

    def buy(self, agent: str, tokens: int) -> None:
        (sale,) = self.book.market.sell([TokenBid(agent, tokens, 0)], self.now)
        assert sale.tokens == tokens

    def held(self, agent: str) -> float:
        return self.book.market.held(agent) / MICRO


async def test_a_book_that_is_taken_up_again_has_what_agents_held_and_an_empty_pool() -> None:
    """N-8.2: what was spent a moment ago is not known, so nobody gets it twice."""
    life = Life()
    assert life.book.market.total == 0
    life.wait(4.0)
    life.buy(BOB, 7)
    await life.book.save()
    assert life.book.market.spend(BOB, 2, life.now)
    await life.book.save()
    again = Life(life.keeper)
    assert (again.held(BOB), again.book.market.total) == (5, 5 * MICRO)
    assert repr(again.book) == "<TokenBook search: <TokenMarket 0 in the pool, 5 held>, 0 offers>"


async def test_what_is_heard_after_the_first_change_is_from_here() -> None:
    life = Life()
    await life.book.save()
    life.wait(4.0)
    life.book.hear(b"\x80")
    assert life.book.market.total == 40 * MICRO


async def test_what_was_taken_up_is_not_taken_up_again() -> None:
    """Etcd tells all texts again when it was away; what is offered lies elsewhere by then."""
    before = Life()
    before.wait(4.0)
    before.buy(BOB, 10)
    await before.book.save()
    life = Life(before.keeper)
    offer = life.book.offer(BOB, 4, 0, "", life.now + 60)
    assert offer is not None
    life.wait(1.0)
    life.book.hear(life.keeper._texts[life.book.key])
    assert life.held(BOB) == 6 and life.book.market.total == 20 * MICRO
    life.book.end_taking(offer, CAROL)
    assert life.held(CAROL) == 4


def test_purses_that_cannot_be_read_are_passed_over() -> None:
    life = Life()
    life.book.hear(b"nonsense")
    life.book.hear(None)
    assert life.book.market.total == 0


async def test_all_that_comes_while_one_write_is_under_way_is_written_with_the_next() -> None:
    class Counted(KeptInMemory):
        puts = 0

        async def put(self, name: str, text: bytes) -> None:
            self.puts += 1
            await asyncio.sleep(0)
            await super().put(name, text)

    keeper = Counted()
    life = Life(keeper)
    await asyncio.gather(*(life.book.save() for _ in range(50)))
    assert keeper.puts <= 2


async def test_a_write_that_failed_is_not_taken_for_done() -> None:
    class Away(KeptInMemory):
        async def put(self, name: str, text: bytes) -> None:
            raise KeepError("away")

    life = Life(Away())
    for _ in range(2):
        with pytest.raises(KeepError):
            await life.book.save()


def test_what_is_offered_is_nobodys_until_it_is_taken_or_its_time_is_over() -> None:
    life = Life()
    life.wait(4.0)
    life.buy(BOB, 10)
    made = life.book.offer(BOB, 4, 100, "", life.now + 5)
    assert made is not None and life.held(BOB) == 6
    assert list(life.book.offers(CAROL)) == [made]
    assert life.book.begin_taking(made.offer_id, CAROL) == made
    assert life.book.begin_taking(made.offer_id, "agent://dave") is None, "carol pays for it now"
    life.wait(6.0)
    assert list(life.book.offers(BOB)) == [made], "it does not end meanwhile"
    life.book.end_taking(made, CAROL)
    assert (life.held(BOB), life.held(CAROL)) == (6, 4)
    short = life.book.offer(BOB, 1, 0, "", life.now + 5)
    assert short is not None
    life.wait(6.0)
    assert list(life.book.offers(BOB)) == [] and life.held(BOB) == 6


def test_an_offer_to_one_agent_is_for_that_one_and_its_giver() -> None:
    life = Life()
    life.wait(4.0)
    life.buy(BOB, 10)
    made = life.book.offer(BOB, 4, 0, CAROL, life.now + 5)
    assert made is not None
    assert list(life.book.offers("agent://dave")) == []
    assert life.book.begin_taking(made.offer_id, "agent://dave") is None
    assert life.book.begin_taking(made.offer_id, BOB) == made
    life.book.end_taking(made, None)
    assert life.book.begin_taking(made.offer_id, CAROL) == made


def test_nobody_offers_what_it_does_not_hold_nor_too_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "OFFERS_MAX", 1)
    life = Life()
    life.wait(4.0)
    life.buy(BOB, 10)
    assert life.book.offer(BOB, 11, 0, "", life.now + 5) is None
    assert life.book.offer(BOB, 1, 0, "", life.now + 5) is not None
    assert life.book.offer(BOB, 1, 0, "", life.now + 5) is None
    assert life.held(BOB) == 9


async def test_what_is_offered_is_kept_as_its_givers() -> None:
    life = Life()
    life.wait(4.0)
    life.buy(BOB, 10)
    assert life.book.offer(BOB, 4, 0, "", life.now + 5) is not None
    await life.book.save()
    assert Life(life.keeper).held(BOB) == 10
