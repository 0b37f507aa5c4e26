"""Taking negotiations over: one has them, the others find who."""

from __future__ import annotations

import asyncio

from federation.claims import Claim, Claims
from federation.etcd import Delete
from federation.standing import Standing
from tests.support.etcd_store import EtcdStore
from tests.support.fake_etcd import FakeEtcd

LEASE = 10.0
CALL = "gone.0.x"
KEY = f"llmx/claims/{CALL}"


class Scene:
    """One gateway, registered, with a clock of the test."""

    def __init__(self, store: EtcdStore, gateway_id: str) -> None:
        self.store = store
        self.clock = 100.0
        self.client = FakeEtcd(store, lambda: 0.0)
        self.standing = stands = Standing("llmx", gateway_id, 1, LEASE, 1.0, 100.0)
        self.claims = Claims(self.client, stands, lambda: self.clock)

    async def register(self) -> None:
        stands = self.standing
        self.lease = (await self.client.grant(10)).lease
        stands.epoch = await self.client.put(stands.succession.own_key, b"{}", self.lease)
        stands.sure_until = self.clock + LEASE
        self.look()

    def look(self) -> None:
        self.standing.begin_anew(self.store.under("llmx/gateways/"), self.store.revision)

    async def claim(self) -> Claim:
        async with asyncio.timeout(5):
            return await self.claims.claim(CALL)


async def two() -> tuple[Scene, Scene]:
    """Return two that know each other."""
    store = EtcdStore()
    eu, us = Scene(store, "eu"), Scene(store, "us")
    await eu.register()
    await us.register()
    eu.look()
    return eu, us


def test_the_first_has_it_and_the_second_is_told_who() -> None:
    async def play() -> None:
        eu, us = await two()
        assert await eu.claim() == Claim("ours", "eu", eu.standing.epoch)
        assert await us.claim() == Claim("theirs", "eu", eu.standing.epoch)
        assert await eu.claim() == Claim("ours", "eu", eu.standing.epoch), "asked twice"

    asyncio.run(play())


def test_what_is_released_is_for_the_next() -> None:
    async def play() -> None:
        eu, us = await two()
        await eu.claim()
        await us.claims.release(CALL)
        assert KEY in eu.store.pairs, "it is not theirs to release"
        await eu.claims.release(CALL)
        assert (await us.claim()).outcome == "ours"

    asyncio.run(play())


def test_without_a_sure_registration_it_waits() -> None:
    async def play() -> None:
        eu, _ = await two()
        eu.clock += LEASE
        claim = await eu.claim()
        assert claim.outcome == "wait" and "not registered" in claim.reason
        assert KEY not in eu.store.pairs

    asyncio.run(play())


def test_while_etcd_is_away_it_waits() -> None:
    async def play() -> None:
        eu, _ = await two()
        eu.client.is_away = True
        assert (await eu.claim()).outcome == "wait"

    asyncio.run(play())


def test_an_answer_that_is_lost_is_asked_for_until_it_comes() -> None:
    """The claim may stand, and nobody else will ever have it."""

    async def play() -> None:
        eu, _ = await two()
        eu.client.is_mute = True
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(eu.claim())
            await eu.client.next_commit()
            assert KEY in eu.store.pairs
            eu.client.is_mute = False
        assert asked.result() == Claim("ours", "eu", eu.standing.epoch)

    asyncio.run(play())


def test_an_answer_that_is_lost_with_the_registration_is_not_asked_for() -> None:
    async def play() -> None:
        eu, _ = await two()
        eu.client.is_mute = True
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(eu.claim())
            await eu.client.next_commit()
            assert KEY in eu.store.pairs
            eu.standing.epoch = 0
        assert asked.result().outcome == "wait"

    asyncio.run(play())


def test_somebody_who_is_not_known_yet_makes_it_wait() -> None:
    async def play() -> None:
        eu, us = await two()
        await Scene(eu.store, "ap").register()
        claim = await us.claim()
        assert claim.outcome == "wait" and "not known here" in claim.reason
        us.look()
        assert (await us.claim()).outcome == "ours"

    asyncio.run(play())


def test_a_claim_counts_when_nothing_is_promised_any_more() -> None:
    async def play() -> None:
        eu, _ = await two()
        eu.standing.word.binds_until = eu.clock + 0.05
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(eu.claim())
            await eu.client.next_commit()
            assert KEY in eu.store.pairs
            assert not asked.done()
            eu.clock += 0.05
        assert asked.result().outcome == "ours"

    asyncio.run(play())


def test_a_claim_does_not_count_when_the_registration_was_lost_meanwhile() -> None:
    async def play() -> None:
        eu, _ = await two()
        eu.standing.word.binds_until = eu.clock + 0.05
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(eu.claim())
            await eu.client.next_commit()
            assert KEY in eu.store.pairs
            eu.standing.epoch = 0
        assert asked.result().outcome == "wait"

    asyncio.run(play())


def test_a_claim_of_an_earlier_life_of_this_gateway_makes_it_wait() -> None:
    """It ends with that one's lease."""

    async def play() -> None:
        eu, us = await two()
        await eu.claim()
        again = Scene(eu.store, "eu")
        await again.client.commit([], [Delete("llmx/gateways/eu")])
        await again.register()
        claim = await again.claim()
        assert claim.outcome == "wait" and "earlier life" in claim.reason
        assert us.standing.epoch

    asyncio.run(play())


def test_a_claim_that_nobody_can_read_makes_it_wait() -> None:
    async def play() -> None:
        eu, _ = await two()
        await eu.client.put(KEY, b"nonsense")
        assert (await eu.claim()).outcome == "wait"

    asyncio.run(play())
