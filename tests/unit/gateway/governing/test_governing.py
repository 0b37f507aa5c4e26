"""What a gateway keeps of its markets and shares with others, with real shards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from gateway.governance import Governance, GovernanceRules
from gateway.governing.facts import Awarded, Claimed, Fact, Used, Waited
from gateway.governing.governing import Governing, keeper_of, shared_limits
from gateway.governing.keeping import Keeper, KeepError, KeptInMemory
from gateway.governing.kept_in_etcd import KeptInEtcd
from gateway.governing.kept_in_file import KeptInFile
from gateway.known_budgets import KnownBudgets
from policy.judging import Writer
from policy.memory_store import MemoryStore
from policy.noise import NoiseRule
from tests.support.etcd_store import EtcdStore
from tests.support.fake_etcd import FakeEtcd
from tests.support.gateway_parts import NOW, Parts
from tests.support.keepers import in_etcd, running_file
from tests.unit.gateway.governing.test_token_limits import limits

ALICE, BOB = "agent://alice", "agent://bob"
RULES = GovernanceRules(noise=NoiseRule(alpha=1.0, half_life=1e9))
FACTS: list[Fact] = [
    Awarded("acme", BOB, 4.0, NOW),
    Waited("acme", ALICE, 0.5, NOW),
    Used("acme", BOB, "gpu", 30.0, NOW),
    Used("acme", ALICE, "gpu", 10.0, NOW),
    Claimed("acme", "n", ALICE, BOB, 40.0, NOW),
]


class Gateway:
    """One life of a gateway that governs."""

    def __init__(self, keeper: Keeper, gateway_id: str = "eu") -> None:
        self.parts = Parts(gateway_id=gateway_id)
        self.keeper = keeper
        self.governance = Governance(
            RULES, gateway_id, b"s" * 32, self.parts.members, lambda: self.parts.now
        )
        self.governing = Governing(self.governance, gateway_id, keeper)

    def decide(self) -> None:
        """Have decided something."""
        for fact in FACTS:
            self.governance.believe(fact)
            self.governance.tell(fact)

    @property
    def known(self) -> tuple[int, float, bool, float]:
        """Return what it knows: Bob's awards, his multiplier, his claim, his rating."""
        governance = self.governance
        return (
            governance.book("acme").standing((BOB,), NOW).of(BOB).awards,
            round(governance.prices.highest("acme", BOB, NOW), 6),
            governance.claims.knows("n"),
            round(governance.ratings("acme").of(BOB).rating, 6),
        )


@asynccontextmanager
async def living(keeper: Keeper, gateway_id: str = "eu") -> AsyncIterator[Gateway]:
    gateway = Gateway(keeper, gateway_id)
    async with gateway.governing.running(gateway.parts.negotiations):
        yield gateway


ALL = (1, 1.5, True, 0.95)


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    """What is noted is written at the latest when the gateway ends, and once."""
    file = tmp_path / "k.db"
    async with running_file(file) as store, living(KeptInFile(store)) as gateway:
        gateway.decide()
        await gateway.governance.keep_rating("acme", BOB, 20, 10, "task")
        assert gateway.known == ALL
    for _ in range(2):
        async with running_file(file) as store, living(KeptInFile(store)) as gateway:
            assert gateway.known == ALL
            await gateway.governance.keep_rating("acme", BOB, 20, 0, "task")
            assert gateway.known == ALL, "a task counts once"


class Unread(KeptInMemory):
    """A keeper that has not read what it keeps until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_read = asyncio.Event()
        self.asked = asyncio.Event()

    async def begun(self, seconds: float) -> bool:
        if self.asked.is_set():
            await self.is_read.wait()
        self.asked.set()
        return self.is_read.is_set()


async def test_tokens_are_sold_when_it_is_known_who_holds_some_and_not_before(
    tmp_path: Path,
) -> None:
    """A sale before would be kept in the place of what an earlier life had kept."""
    keeper, store, known = Unread(), MemoryStore(Writer("eu")), limits(tmp_path)
    budgets = KnownBudgets(store, lambda: NOW)
    market = SimpleNamespace(limits=known, store=store, settlement=SimpleNamespace(budgets=budgets))
    gateway = Gateway(keeper)
    governing = Governing(gateway.governance, "eu", keeper, cast(Any, market))
    async with asyncio.timeout(5), governing.running(gateway.parts.negotiations):
        await keeper.asked.wait()
        assert known.desk is None
        await keeper.put("tokens/default/search", msgspec.msgpack.encode({BOB: 3_000_000}))
        keeper.is_read.set()
        while known.desk is None:  # noqa: ASYNC110 - a desk that opens sets no event
            await asyncio.sleep(0)  # a turn of the loop: nothing here waits for a clock
        book = known.desk.books["default", "search"]
        assert book.market.held(BOB) == 3_000_000


async def test_gateways_of_a_cluster_know_what_the_others_decided() -> None:
    store = EtcdStore()
    one, two = in_etcd(store), in_etcd(store)
    async with living(one, "eu") as eu, living(two, "us") as us:
        eu.decide()
        await eu.governing._flush_once()
        await us.governance.keep_rating("acme", BOB, 20, 10, "task")
        for keeper in (one, two):
            client = keeper._client
            assert isinstance(client, FakeEtcd)
            client.stir()
        await _told(one, two)
        assert us.known == eu.known == ALL


async def _told(*keepers: KeptInEtcd) -> None:
    """Wait until each has heard what stands now, by a text of its own that comes last."""
    for number, keeper in enumerate(keepers):
        await keeper.put(f"last/{number}", b"x")
    for keeper in keepers:
        client = keeper._client
        assert isinstance(client, FakeEtcd)
        shelf = keeper._shelf
        while not all(f"last/{number}" in shelf._revisions for number in range(len(keepers))):
            client.stir()
            await asyncio.sleep(0)


async def test_what_happened_first_is_believed_first_whatever_page_has_it() -> None:
    """Else a fact of long ago would be remembered as long as the newest."""

    class Lasting(KeptInMemory):
        outlives = True

    keeper = Lasting()
    async with living(keeper, "us") as us:
        us.governance.tell(Awarded("acme", BOB, 1.0, NOW - 10))
    async with living(keeper, "eu") as eu:
        eu.governance.tell(Awarded("acme", ALICE, 1.0, NOW - 3_000))
    texts = dict(keeper._texts)

    class Told(KeptInMemory):
        async def run(self) -> None:
            for name, text in texts.items():
                self.on_text(name, text)

        async def begun(self, seconds: float) -> bool:
            await asyncio.sleep(0)
            return True

    async with living(Told(), "ap") as ap:
        book = ap.governance.book("acme")
        assert book.winners(NOW) == {ALICE, BOB}
        assert book.winners(NOW + 700) == {BOB}


async def test_a_gateway_whose_keeper_is_away_serves_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Away(KeptInMemory):
        outlives = True

        async def run(self) -> None:
            raise KeepError("away")

        async def begun(self, seconds: float) -> bool:
            await asyncio.sleep(0)
            return False

        async def put(self, name: str, text: bytes) -> None:
            raise KeepError("away")

        async def remove(self, name: str) -> None:
            raise KeepError("away")

    async with living(Away()) as gateway:
        gateway.decide()
        gateway.governing.ratings.hear("reported/n", b"1.0")
        assert gateway.known[:3] == ALL[:3]
    assert "is not read yet" in capsys.readouterr().out


async def test_what_ends_with_the_gateway_is_not_written_on_pages() -> None:
    keeper = KeptInMemory()
    async with living(keeper) as gateway:
        gateway.decide()
    assert repr(keeper) == "<KeptInMemory: 0 texts>"


def test_what_is_known_is_in_etcd_where_there_is_one_else_in_the_file(tmp_path: Path) -> None:
    etcd = FakeEtcd(EtcdStore(), lambda: 0.0)
    assert isinstance(keeper_of(None, etcd, "llmx"), KeptInEtcd)
    assert isinstance(keeper_of(None, None, "llmx"), KeptInMemory)
    assert shared_limits(None, "eu").of("default") == []
    assert "Governing" in repr(Gateway(KeptInMemory()).governing)
