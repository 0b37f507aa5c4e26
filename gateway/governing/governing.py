"""Keeps what a gateway knows of its markets, and lets the other gateways of its cluster know.

With etcd everything is there, and all gateways hear it; else in the file of `mailbox.file`; with
neither it ends with the gateway. Facts are written a second later at most, together; ratings when
they change. What other gateways tell is known here as soon as etcd has told it: shares and ratings
are those of the whole cluster up to a second or two ago, and no award waits for them.

    outcome ─▸ Governance ─▸ pages ─▸ keeper ─▸ pages of the others ─▸ their Governance
    report  ─▸ Reports ─▸ ratings ─▸ keeper ─▸ everybody's ratings
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog

from federation.etcd import EtcdClient
from gateway.catalogue import Catalogue
from gateway.governance import Governance
from gateway.governing.facts import Claimed, Fact
from gateway.governing.keeping import Keeper, KeepError, KeptInMemory
from gateway.governing.kept_in_etcd import KeptInEtcd
from gateway.governing.kept_in_file import KeptInFile
from gateway.governing.kept_ratings import KeptRatings
from gateway.governing.pages import Pages, flushed
from gateway.governing.reports import Reports
from gateway.governing.token_book import TokenBook
from gateway.governing.token_limits import SharedLimits, hear_purses
from gateway.market import Market
from gateway.negotiations import Negotiations
from gateway.store import Store
from policy.served import SERVICES_MAX

FLUSH_SECONDS = 1.0
BEGIN_SECONDS = 2.0
"""How long a gateway that starts waits for what is kept; what comes later is known then."""
AGAIN_SECONDS = 5.0
MARKS_REMOVED_MAX = 64
"""At one flush."""
FACTS_MAX = 2 * SERVICES_MAX
"""Of each kind, of one gateway: as many awards and waits as a book remembers."""

log = structlog.get_logger("llmx.governing")


def keeper_of(store: Store | None, etcd: EtcdClient | None, cluster: str) -> Keeper:
    """Return where a gateway keeps what it knows."""
    if etcd is not None:
        return KeptInEtcd(etcd, f"{cluster}/governing/")
    return KeptInMemory() if store is None else KeptInFile(store)


def shared_limits(market: Market | None, gateway_id: str) -> SharedLimits:
    """Return the rate limits that agents share; without a ledger there are none."""
    return SharedLimits(Catalogue(), gateway_id) if market is None else market.limits


class Governing:
    """What one gateway keeps and shares."""

    def __init__(
        self,
        governance: Governance,
        gateway_id: str,
        keeper: Keeper,
        market: Market | None = None,
    ) -> None:
        """Keep what `governance` notes, from when it runs, and tokens where there is a ledger."""
        self._governance = governance
        self._market = market
        noise, now = governance.rules.noise, governance.now
        self._books: Sequence[TokenBook] = (
            () if market is None else market.limits.books(noise, keeper, now)
        )
        self._keeper = keeper
        life, rules = secrets.token_hex(8), governance.rules
        self.ratings = KeptRatings(keeper, rules.rating, governance.know_rating)
        self.reports = Reports(governance.claims, self.ratings, governance.now)
        self._claims = Pages(keeper, "claim", gateway_id, life, rules.report_seconds, FACTS_MAX)
        self._past = Pages(keeper, "past", gateway_id, life, rules.window, FACTS_MAX)
        self._early: list[Fact] | None = []

    def __repr__(self) -> str:
        """Tell the state in words."""
        return f"<Governing: {self._keeper!r}, {self._past!r}, {self._claims!r}>"

    @asynccontextmanager
    async def running(self, negotiations: Negotiations) -> AsyncIterator[None]:
        """Know what is kept, then keep and share what is noted, until the block ends."""
        governance, keeper = self._governance, self._keeper
        keeper.on_text = self._hear
        self._past.on_facts = self._claims.on_facts = self._believe
        self.reports.listen(negotiations)
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen())
            is_read = await keeper.begun(BEGIN_SECONDS)
            if not is_read:
                log.warning("what is known of the market is not read yet", keeper=repr(keeper))
            self._begin()
            governance.keep_rating = self._rate
            if keeper.outlives:  # else nobody would ever read it
                governance.tell = self._note
            chores = [self.reports.run(), self._flush()]
            if self._market is not None:
                desk = self._desk if is_read else self._desk_later
                chores.append(desk(self._market))
            working = [tasks.create_task(chore) for chore in chores]
            try:
                yield
            finally:
                for task in working:
                    task.cancel()
                await asyncio.wait(working)  # one may be in the middle of a flush
                await self._flush_once()
                listening.cancel()

    def _desk(self, market: Market) -> Coroutine[Any, Any, None]:
        """Open the desk for tokens, and return what runs it."""
        budgets, now = market.settlement.budgets, self._governance.now
        return market.limits.keep(self._books, market.store, budgets, now).run()

    async def _desk_later(self, market: Market) -> None:
        """Open it when it is known who holds tokens, which a sale before that would overwrite."""
        while not await self._keeper.begun(BEGIN_SECONDS):
            log.debug("who holds tokens is not read yet", keeper=repr(self._keeper))
        await self._desk(market)

    def _note(self, fact: Fact) -> None:
        pages = self._claims if isinstance(fact, Claimed) else self._past
        pages.note(fact)

    async def _rate(
        self, tenant: str, agent: str, claimed: float, realised: float, task: str
    ) -> None:
        await self.ratings.rate(tenant, agent, claimed, realised, task)

    def _hear(self, name: str, text: bytes | None) -> None:
        for pages in (self._past, self._claims):
            if pages.owns(name):
                pages.hear(name, text)
                return
        hear_purses(self._books, name, text)
        self.ratings.hear(name, text)

    def _believe(self, facts: tuple[Fact, ...]) -> None:
        if self._early is not None:
            self._early += facts
            return
        for fact in facts:
            self._governance.believe(fact)

    def _begin(self) -> None:
        """Believe what was kept in the order in which it happened, whichever page has it."""
        early, self._early = self._early or [], None
        for fact in sorted(early, key=lambda fact: fact.at):
            self._governance.believe(fact)

    async def _listen(self) -> None:
        while True:
            try:
                await self._keeper.run()
            except KeepError as error:
                log.warning("what is kept cannot be read now", error=str(error))
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self._flush_once()

    async def _flush_once(self) -> None:
        now = self._governance.now()
        self._governance.claims.forget(now)
        for pages in (self._past, self._claims):
            await flushed(pages, now)
        try:
            # Twice as long as a claim: whoever has the claim of a rated task finds the mark too.
            before = now - 2 * self._governance.rules.report_seconds
            await self.ratings.forget(before, MARKS_REMOVED_MAX)
        except KeepError as error:
            log.warning("old marks are not taken away now", error=str(error))
