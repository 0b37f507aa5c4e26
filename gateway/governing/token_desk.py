"""Where agents buy, spend and trade tokens of shared limits, and pay for them.

Each limit is kept by one gateway, the one that the catalogue names, so there is one bucket however
many gateways there are; while that one is away nobody gets tokens, and the API sees no request too
many. Bids gather for a second, then the pool is sold to the highest; all pay one price, and who
uses more than its share pays a multiple of it. What a bid may cost is held before it counts, and
what it did cost is paid afterwards; the rest is free again.

    bid ──hold──▸ waiting ──sale──▸ tokens, and the price is paid
    offer ──▸ purse of the offer ──take, pay──▸ the taker's; its price is minted for the giver

The price of a trade goes to the market account, where budgets and costs see it, and as much is
minted for the giver in the same commit: so credit is moved, and the sum stays what it was.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from gateway.certain_commits import CertainCommits
from gateway.clock import Clock
from gateway.governing.keeping import KeepError
from gateway.governing.token_book import Offer, TokenBook
from gateway.known_budgets import KnownBudgets
from policy.ledger import MICROS_MAX
from policy.store import Capture, Change, Commit, HoldCredit, Mint, Refused, Release, Store
from policy.token_market import MICRO, Sale, TokenBid

SALE_SECONDS = 1.0
BIDS_MAX = 1_000
"""Of one limit that wait for its next sale."""
PAY_SECONDS = 5.0
"""How long a bid or a trade may wait for the ledger."""
HOLD_SECONDS = 120.0
"""When what a bid may cost is free again, whatever happens."""

log = structlog.get_logger("llmx.governing")


@dataclass(frozen=True, slots=True)
class Denied:
    """Why an agent does not get what it asked for."""

    code: str
    """"EXHAUSTED", "UNAVAILABLE" or "UNKNOWN"."""
    reason: str


NOT_KEPT = Denied("UNAVAILABLE", "what is held cannot be kept now; ask again later")
NO_LEDGER = Denied("UNAVAILABLE", "the ledger does not answer; ask again later")
NO_OFFER = Denied("UNKNOWN", "no offer of this id stands for this agent; list the offers")


@dataclass(slots=True)
class _Waiting:
    """A bid that is paid for, up to its price."""

    bid: TokenBid
    hold_id: str
    sold: asyncio.Future[Sale | Denied] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class TokenDesk:
    """The limits that one gateway keeps."""

    def __init__(
        self, books: Iterable[TokenBook], ledger: Store, budgets: KnownBudgets, now: Clock
    ) -> None:
        """Sell tokens of these limits."""
        self.books = {(book.tenant, book.name): book for book in books}
        self._ledger = CertainCommits(ledger, now)
        self._budgets = budgets
        self._now = now
        self._waiting: dict[str, list[_Waiting]] = {book.key: [] for book in self.books.values()}
        self._coming = dict.fromkeys(self._waiting, 0)
        """Bids whose price is being held."""
        self._tasks: asyncio.TaskGroup | None = None
        self._life = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    def __repr__(self) -> str:
        """Tell the state in words."""
        waiting = sum(map(len, self._waiting.values()))
        return f"<TokenDesk: {len(self.books)} limits, {waiting} bids waiting>"

    async def run(self) -> None:
        """Sell every now and then, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            while True:
                await asyncio.sleep(SALE_SECONDS)
                for book in self.books.values():
                    for one, sale in self.sell(book):
                        tasks.create_task(self._settle(book, one, sale))

    def multiplier(self, book: TokenBook, agent: str) -> float:
        """Return what tokens cost an agent, as a multiple of the price."""
        return book.noise.multiplier(agent, self._now())

    async def bid(self, book: TokenBook, agent: str, tokens: int, price: int) -> Sale | Denied:
        """Bid for tokens of the pool; returns what the next sale brought.

        Whoever goes away meanwhile has bid all the same.
        """
        if len(self._waiting[book.key]) + self._coming[book.key] >= BIDS_MAX:
            return Denied("EXHAUSTED", f"{BIDS_MAX} bids wait already; bid again later")
        bid = TokenBid(agent, tokens, price, self.multiplier(book, agent))
        one = _Waiting(bid, f"tokens:{self._life}:{next(self._numbers)}")
        if price:
            self._coming[book.key] += 1
            try:
                denied = await self._hold(book, one)
            finally:
                self._coming[book.key] -= 1
            if denied is not None:
                return denied
        self._waiting[book.key].append(one)
        return await one.sold

    async def _settle(self, book: TokenBook, one: _Waiting, sale: Sale) -> None:
        """Pay for what a bid got, keep it, and tell."""
        if one.bid.price:
            await self._pay(one, sale.tokens * sale.price)
        is_kept = not sale.tokens or await self._is_saved(book)
        if not one.sold.done():  # else whoever asked has gone
            one.sold.set_result(sale if is_kept else NOT_KEPT)

    def sell(self, book: TokenBook) -> list[tuple[_Waiting, Sale]]:
        """Hold a sale of what is in the pool; returns what each that waited got, and owes."""
        now, waiting = self._now(), self._waiting[book.key]
        if not waiting:
            return []
        self._waiting[book.key] = []
        book.end_offers()
        sales = book.market.sell([one.bid for one in waiting], now)
        got: dict[str, list[Sale]] = {}
        for sale in sales:
            got.setdefault(sale.agent, []).append(sale)
        book.price = max((round(_plain(sale, waiting)) for sale in sales), default=book.price)
        # Highest first, as they were sold: of two bids of one agent the higher gets its sale.
        ranked = sorted(waiting, key=lambda one: -one.bid.price / one.bid.multiplier)
        return [
            (one, own.pop(0) if (own := got.get(one.bid.agent)) else _nothing(one.bid))
            for one in ranked
        ]

    async def spend(
        self, book: TokenBook, agent: str, tokens: int, *, is_system: bool
    ) -> int | Denied:
        """Spend tokens; returns how many whole tokens are left."""
        now, market = self._now(), book.market
        book.end_offers()
        book.noise.note(agent, tokens, now)  # what was tried counts too
        if not market.spend(agent, tokens, now, system=is_system):
            held = held_by(book, agent)
            return Denied("EXHAUSTED", f"{tokens} are wanted, {held} held; bid for some")
        if not await self._is_saved(book):
            market.put_back(agent, tokens)
            return NOT_KEPT
        book.spent += tokens
        return held_by(book, agent)

    async def take(self, book: TokenBook, offer_id: str, agent: str) -> Offer | Denied:
        """Take what somebody offers, and pay for it; its giver takes it back for nothing."""
        if self._tasks is None:
            return NO_LEDGER
        offer = book.begin_taking(offer_id, agent)
        if offer is None:
            return NO_OFFER
        # Whoever goes away meanwhile may have paid already, so this is done to its end.
        return await asyncio.shield(self._tasks.create_task(self._take(book, offer, agent)))

    async def _take(self, book: TokenBook, offer: Offer, agent: str) -> Offer | Denied:
        denied = None if agent == offer.giver else await self._bought(book, offer, agent)
        book.end_taking(offer, agent if denied is None else None)
        if denied is not None:
            return denied
        return offer if await self._is_saved(book) else NOT_KEPT

    async def _bought(self, book: TokenBook, offer: Offer, agent: str) -> Denied | None:
        if book.market.room(agent) < offer.tokens:
            return Denied("EXHAUSTED", "this is more than one agent may hold; spend some first")
        if not offer.price:
            return None
        budgets = await self._budgets_of(book, agent)
        if budgets is None:
            return NO_LEDGER
        now, hold_id = self._now(), f"tokens:{offer.offer_id}"
        changes = (
            self._held(book, hold_id, agent, offer.price, budgets),
            Capture(hold_id, offer.price),
            Mint(f"{book.tenant}|{offer.giver}", offer.price),
        )
        commit = Commit(f"trade:{offer.offer_id}", now, changes)
        # Without end: whether it was paid has to be known, and the key makes asking harmless.
        return _denied(await self._ledger.commit(commit))

    async def _hold(self, book: TokenBook, one: _Waiting) -> Denied | None:
        bid = one.bid
        most = bid.tokens * bid.price
        if most > MICROS_MAX:
            return Denied("EXHAUSTED", "no account holds so much; bid less")
        budgets = await self._budgets_of(book, bid.agent)
        if budgets is None:
            return NO_LEDGER
        held = self._held(book, one.hold_id, bid.agent, most, budgets)
        commit = Commit(f"hold:{one.hold_id}", self._now(), (held,))
        answer = await self._ledger.commit(commit, self._now() + PAY_SECONDS)
        return NO_LEDGER if answer is None else _denied(answer)

    async def _pay(self, one: _Waiting, micros: int) -> None:
        """Pay what the sale has cost; the rest of what was held is free again."""
        change: Change = Capture(one.hold_id, micros) if micros else Release(one.hold_id)
        now = self._now()
        await self._ledger.owed(Commit(f"paid:{one.hold_id}", now, (change,)), now + HOLD_SECONDS)

    def _held(
        self, book: TokenBook, hold_id: str, agent: str, micros: int, budgets: frozenset[str]
    ) -> HoldCredit:
        return HoldCredit(
            hold_id,
            f"{book.tenant}|{agent}",
            micros,
            self._now() + HOLD_SECONDS,
            resource=f"tokens/{book.name}",
            budgets=tuple(sorted(budgets)),
        )

    async def _budgets_of(self, book: TokenBook, agent: str) -> frozenset[str] | None:
        until = self._now() + PAY_SECONDS
        return await self._budgets.among((f"{book.tenant}|{agent}",), until)

    async def _is_saved(self, book: TokenBook) -> bool:
        try:
            await book.save()
        except KeepError as error:
            log.warning("purses cannot be kept now", limit=book.name, error=str(error))
            return False
        return True


def held_by(book: TokenBook, agent: str) -> int:
    """Return how many whole tokens an agent holds."""
    return book.market.held(agent) // MICRO


def _nothing(bid: TokenBid) -> Sale:
    return Sale(bid.agent, 0, 0)


def _plain(sale: Sale, waiting: Iterable[_Waiting]) -> float:
    """Return the price of a sale without what noise added to it."""
    noise = next(one.bid.multiplier for one in waiting if one.bid.agent == sale.agent)
    return sale.price / noise


def _denied(answer: object) -> Denied | None:
    if not isinstance(answer, Refused):
        return None
    again = "" if answer.resets_at is None else "; its budget begins anew later"
    return Denied("EXHAUSTED", f"{answer.code}: {answer.detail}{again}")
