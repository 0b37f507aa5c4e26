"""The ledger of a gateway, from its settings to its work: wired here, once.

Where the ledger is in etcd it is connected when the gateway joins its cluster; until then, and
while etcd is away, whoever asks it hears that it is not available.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import structlog

from federation.discovery import EtcdDiscovery
from gateway.book import Book
from gateway.book_etcd import book_in_etcd
from gateway.book_file import book_in_file
from gateway.catalogue import Catalogue, read_catalogue
from gateway.clock import Clock
from gateway.cluster import Cluster
from gateway.governing.token_limits import SharedLimits
from gateway.known_resources import KnownResources
from gateway.ledger_view import LedgerView
from gateway.members import Members
from gateway.negotiations import Negotiations
from gateway.settings import MarketSettings, SettingsError
from gateway.settlement import Settlement
from gateway.settling.archive import Archive
from gateway.settling.counted_shelf import ShelfFigures
from gateway.settling.figures import SettlingFigures
from gateway.settling.tally import Tally
from gateway.settling.watched_catalogue import WatchedCatalogue
from gateway.staked_calls import StakedCalls
from gateway.store import Store as File
from gateway.store_file import open_store_file
from policy.judging import Writer
from policy.ledger import Balance, Entry, Hold
from policy.memory_store import MemoryStore
from policy.resources import Resource
from policy.store import (
    CARRIED_MAX,
    BudgetUse,
    Commit,
    Committed,
    Decision,
    Refused,
    Store,
    StoreError,
    StoreUnavailable,
)

RETRY_SECONDS = 1.0
STOP_SECONDS = 5.0

log = structlog.get_logger("llmx.market")


class LateStore:
    """A store that is connected later."""

    def __init__(self, store: Store | None = None, resources: KnownResources | None = None) -> None:
        """Be available at once when there is a store already; `resources` hear of changes."""
        self._store = store
        self._resources = KnownResources() if resources is None else resources
        self.tally = Tally()

    def connect(self, store: Store) -> None:
        """Use this store from now on."""
        self._store = store

    @property
    def _there(self) -> Store:
        if self._store is None:
            raise StoreUnavailable("the ledger is not connected yet")
        return self._store

    async def commit(self, commit: Commit) -> Committed | Refused:
        """Do all of it or nothing, and tell which."""
        answer = await self._resources.commit(self._there, commit)
        self.tally.note(commit, answer)
        return answer

    async def decision(self, call: str) -> Decision | None:
        """Return the award of a call."""
        return await self._there.decision(call)

    async def balance(self, agent: str) -> Balance:
        """Return what an agent has, at all places together."""
        return await self._there.balance(agent)

    async def holds(self, prefix: str = "") -> Sequence[Hold]:
        """Return the holds that have not ended, those whose id begins so."""
        return await self._there.holds(prefix)

    async def budget(self, name: str, at: float) -> BudgetUse | None:
        """Return how a budget stands in the window of a time."""
        return await self._there.budget(name, at)

    async def resource(self, name: str) -> Resource | None:
        """Return a resource with its calendar."""
        return await self._there.resource(name)

    async def resources(self) -> Sequence[Resource]:
        """Return all resources, by name."""
        return await self._there.resources()

    async def entries(self, since: float = 0.0) -> Sequence[Entry]:
        """Return the journal from a time on, in the order in which it was written."""
        return await self._there.entries(since)

    async def carry_forward(self, before: float, at: float, commits_max: int = CARRIED_MAX) -> int:
        """Put the journal from before a time together, now; tell how many commits that took."""
        return await self._there.carry_forward(before, at, commits_max)

    async def expire(self, at: float) -> int:
        """Release every hold whose time is over, and tell how many there were."""
        ended = await self._there.expire(at)
        self.tally.expired += ended
        return ended


class Market:
    """What awards of one gateway can hold."""

    def __init__(
        self,
        settings: MarketSettings,
        gateway_id: str,
        members: Members,
        negotiations: Negotiations,
        now: Clock,
        resources: KnownResources | None = None,
    ) -> None:
        """Let the negotiations settle their awards. Raises SettingsError."""
        self._resources = KnownResources() if resources is None else resources
        self._settings = settings
        self._gateway_id = gateway_id
        self._cluster: Cluster | None = None
        self._now = now
        self._negotiations = negotiations
        self._catalogue = (
            Catalogue() if settings.catalogue is None else read_catalogue(settings.catalogue)
        )
        self.limits = SharedLimits(self._catalogue, gateway_id)
        self.store = LateStore(
            MemoryStore(Writer(gateway_id)) if settings.store == "memory" else None,
            self._resources,
        )
        self.settlement = Settlement(gateway_id, self.store, negotiations.perform, now)
        self.settlement.is_told = lambda award: negotiations.is_known(award.negotiation_id)
        self.archive = Archive(gateway_id, self.store, settings.journal_seconds, now)
        self._shelf = ShelfFigures()
        self.figures = SettlingFigures(
            self.settlement, self.store.tally, self._shelf, self.archive, now
        )
        self.view = LedgerView(self.store, self.settlement.budgets, now)
        negotiations.staked = StakedCalls(self.settlement, members)
        negotiations.gate = self.settlement.takes

    def join(self, cluster: Cluster) -> None:
        """Be the market of one gateway of a cluster, with its ledger where the settings want it.

        Raises SettingsError for a catalogue that is not for a cluster.
        """

        def address_of(gateway_id: str) -> str:
            info = cluster.members.get(gateway_id)
            return "" if info is None else info.agents_address

        self.limits.join(address_of)
        settlement, gate, stays = self.settlement, cluster.gate, cluster.inheritance.stays
        self._cluster = cluster
        cluster.inheritance.stays = lambda one: one in settlement or stays(one)
        settlement.epoch = lambda: cluster.own.epoch
        if gate is not None:
            gate.stands = settlement.has_decided
            settlement.is_told = gate.is_told
            self._negotiations.gate = lambda *step: settlement.takes(*step) or gate.takes(*step)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work until the block ends, and write then what is owed, for a few seconds at most.

        Raises SettingsError for a file that cannot be used.
        """
        async with AsyncExitStack() as stack:
            if self._settings.store != "memory":
                book = self._book_in_file() if self._cluster is None else self._book_in_etcd()
                self.store.connect(await stack.enter_async_context(book))
            async with asyncio.TaskGroup() as tasks:
                chores = (self.settlement.run(), self._equip(), self.archive.run(), self._watch())
                working = [tasks.create_task(chore) for chore in chores]
                try:
                    yield
                finally:
                    await self._finish()
                    for task in working:
                        task.cancel()

    @asynccontextmanager
    async def _book_in_file(self) -> AsyncIterator[Book]:
        assert self._settings.file is not None, "the settings were checked"
        try:
            connection = open_store_file(self._settings.file)
        except SettingsError as error:
            reason = str(error).replace("mailbox.file", "market.file")
            raise SettingsError(reason) from error
        store = File(connection)
        store.start()
        try:
            async with book_in_file(store, self._gateway_id, self._shelf) as book:
                yield book
        finally:
            await store.close()

    def _book_in_etcd(self) -> AbstractAsyncContextManager[Book]:
        cluster = self._cluster
        assert cluster is not None and cluster.etcd is not None, "the settings were checked"
        discovery = cluster.discovery
        assert isinstance(discovery, EtcdDiscovery), "there is etcd"
        return book_in_etcd(
            cluster.etcd,
            f"{cluster.name}/market/",
            self._gateway_id,
            registration=discovery.own_key,
            epoch=lambda: cluster.own.epoch,
            figures=self._shelf,
        )

    async def _finish(self) -> None:
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.settlement.finished()
        except TimeoutError:
            log.warning("the ledger is left with work to do", work=repr(self.settlement))

    async def _equip(self) -> None:
        """Bring the ledger to where the catalogue wants it."""
        for commit in self._catalogue.commits(secrets.token_hex(8), self._now()):
            answer = await self._commit(commit)
            while answer is None:
                await asyncio.sleep(RETRY_SECONDS)
                answer = await self._commit(commit)
            if isinstance(answer, Refused):
                log.error("the ledger refuses the catalogue", key=commit.key, why=answer.detail)
        if self._settings.store == "memory" or self._cluster is None:  # nobody else writes it
            await self._resources.read(self.store)

    async def _commit(self, commit: Commit) -> Committed | Refused | None:
        """Commit; None when it is to be asked for again: the gateway is not registered yet."""
        try:
            answer = await self.store.commit(commit)
        except StoreError:
            return None
        return None if isinstance(answer, Refused) and answer.code == "FENCED" else answer

    async def _watch(self) -> None:
        """Hear of the resources that other gateways register, where they write the same ledger."""
        cluster = self._cluster
        if self._settings.store == "memory" or cluster is None or cluster.etcd is None:
            return
        prefix = f"{cluster.name}/market/"
        await WatchedCatalogue(cluster.etcd, prefix, self._resources, self.store).run()
