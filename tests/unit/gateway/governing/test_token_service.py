"""The token service: who asks for what, and what is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import grpc
import pytest

from gateway.auth import Identity
from gateway.governing.keeping import KeptInMemory
from gateway.governing.token_limits import SharedLimits
from gateway.governing.token_service import TokenService
from gateway.known_budgets import KnownBudgets
from llmx.v1 import token_service_pb2 as messages
from policy.judging import Writer
from policy.ledger import MICROS_MAX
from policy.memory_store import MemoryStore
from policy.noise import NoiseRule
from policy.token_market import MICRO
from tests.support.fake_streams import Aborted, FakeStream
from tests.unit.gateway.governing.test_token_limits import limits

CONTEXT = cast(Any, FakeStream())
STATUS = grpc.StatusCode


class Desk:
    """A service at a gateway that keeps "search", in whose purse Bob has ten tokens."""

    def __init__(self, folder: Path, gateway_id: str = "eu") -> None:
        self.now = 100.0
        self.limits: SharedLimits = limits(folder, gateway_id)
        self.who = SimpleNamespace(agent_id="agent://bob", tenant="default", system=False)
        books = self.limits.books(NoiseRule(), KeptInMemory(), lambda: self.now)
        store = MemoryStore(Writer("eu"))
        budgets = KnownBudgets(store, lambda: self.now)
        self.desk = self.limits.keep(books, store, budgets, lambda: self.now)
        for book in books:
            if book.name == "search":
                book.hear(b"\x81\xabagent://bob\xce" + (10 * MICRO).to_bytes(4, "big"))

        async def authenticate(context: Any) -> Identity:
            return cast(Identity, self.who)

        self.service = TokenService(cast(Any, authenticate), self.limits, lambda: self.now)

    async def ask(self, method: str, request: Any) -> Any:
        return await getattr(self.service, method)(request, CONTEXT)

    async def offered(self, **said: Any) -> Any:
        request = messages.OfferTokensRequest(limit="search", **{"tokens": 4} | said)
        return (await self.ask("OfferTokens", request)).offer


async def test_limits_are_listed_with_what_the_agent_holds(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.now += 1.0
    (search,) = (await desk.ask("ListLimits", messages.ListLimitsRequest())).limits
    assert (search.name, search.rate, search.burst, search.gateway_id) == ("search", 10, 50, "eu")
    assert (search.pool, search.held, search.multiplier, search.sale_seconds) == (10, 10, 1, 1)


async def test_a_gateway_that_keeps_no_limit_says_who_does(tmp_path: Path) -> None:
    desk = Desk(tmp_path, "us")
    desk.limits.address_of = lambda gateway_id: f"{gateway_id}:7600"
    (search,) = (await desk.ask("ListLimits", messages.ListLimitsRequest())).limits
    assert (search.address, search.held) == ("eu:7600", 0)
    with pytest.raises(Aborted, match="gateway eu keeps search; ask there") as caught:
        await desk.ask("SpendTokens", messages.SpendTokensRequest(limit="search"))
    assert caught.value.code is STATUS.FAILED_PRECONDITION


async def test_nobody_spends_before_it_is_known_who_holds_tokens(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.limits.desk = None
    with pytest.raises(Aborted, match="not read yet; ask again in a moment") as caught:
        await desk.ask("SpendTokens", messages.SpendTokensRequest(limit="search"))
    assert caught.value.code is STATUS.UNAVAILABLE


async def test_another_tenants_limit_is_none_of_an_agents_business(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with pytest.raises(Aborted, match="there are search") as caught:
        await desk.ask("SpendTokens", messages.SpendTokensRequest(limit="maps"))
    assert caught.value.code is STATUS.NOT_FOUND
    desk.who.tenant = "nobody"
    with pytest.raises(Aborted, match="there are none"):
        await desk.ask("SpendTokens", messages.SpendTokensRequest(limit="maps"))


async def test_one_token_is_spent_unless_more_are_named(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    spent = await desk.ask("SpendTokens", messages.SpendTokensRequest(limit="search"))
    assert spent.held == 9
    with pytest.raises(Aborted, match="10 are wanted, 9 held") as caught:
        await desk.ask("SpendTokens", messages.SpendTokensRequest(limit="search", tokens=10))
    assert caught.value.code is STATUS.RESOURCE_EXHAUSTED


async def test_a_bid_is_answered_by_the_next_sale(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.now += 4.0
    request = messages.BidForTokensRequest(limit="search", tokens=2)
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(desk.ask("BidForTokens", request))
        await asyncio.sleep(0)
        book = desk.desk.books["default", "search"]
        for one, sold in desk.desk.sell(book):
            await desk.desk._settle(book, one, sold)
    sale = asked.result().sale
    assert (sale.tokens, sale.price_micros, sale.held) == (2, 0, 12)
    with pytest.raises(Aborted, match="no account holds so much") as caught:
        await desk.ask(
            "BidForTokens",
            messages.BidForTokensRequest(limit="search", tokens=2, price_micros=MICROS_MAX),
        )
    assert caught.value.code is STATUS.RESOURCE_EXHAUSTED


async def test_tokens_are_offered_listed_and_taken(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    made = await desk.offered(price_micros=0)
    assert (made.giver, made.tokens, made.taker) == ("agent://bob", 4, "")
    assert made.expires_at.seconds == 160
    made.expires_at.Clear()
    assert (await desk.offered(tokens=1)).offer_id != made.offer_id
    desk.who.agent_id = "agent://carol"
    listed = messages.ListTokenOffersRequest(limit="search")
    assert len((await desk.ask("ListTokenOffers", listed)).offers) == 2
    take = messages.TakeTokensRequest(limit="search", offer_id=made.offer_id)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(desk.desk.run())
        await asyncio.sleep(0)
        taken = await desk.ask("TakeTokens", take)
        running.cancel()
    assert (taken.held, taken.offer.offer_id) == (4, made.offer_id)
    with pytest.raises(Aborted, match="no offer of this id") as caught:
        await desk.ask("TakeTokens", take)
    assert caught.value.code is STATUS.NOT_FOUND


@pytest.mark.parametrize(
    ("said", "fault", "status"),
    [
        ({"tokens": 0}, "tokens=0", STATUS.INVALID_ARGUMENT),
        ({"price_micros": -1}, "price_micros=-1", STATUS.INVALID_ARGUMENT),
        ({"taker": "bob"}, "taker: name another agent", STATUS.INVALID_ARGUMENT),
        ({"taker": "agent://bob"}, "taker: name another agent", STATUS.INVALID_ARGUMENT),
        ({"valid_for": {"seconds": 3_601}}, "valid_for: above 0", STATUS.INVALID_ARGUMENT),
        ({"valid_for": {}}, "valid_for: above 0", STATUS.INVALID_ARGUMENT),
        ({"tokens": 11}, "11 cannot be offered, 10 are held", STATUS.RESOURCE_EXHAUSTED),
    ],
)
async def test_an_offer_that_cannot_be_is_told(
    tmp_path: Path, said: dict[str, Any], fault: str, status: grpc.StatusCode
) -> None:
    with pytest.raises(Aborted, match=fault) as caught:
        await Desk(tmp_path).offered(**said)
    assert caught.value.code is status


def test_every_method_has_a_handler(tmp_path: Path) -> None:
    assert Desk(tmp_path).service.handlers().keys() == {
        "BidForTokens",
        "ListLimits",
        "ListTokenOffers",
        "OfferTokens",
        "SpendTokens",
        "TakeTokens",
    }
