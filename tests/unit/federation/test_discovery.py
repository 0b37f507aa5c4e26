"""Gateways that find each other in etcd, and what they may do when it goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from federation.discovery import EtcdDiscovery, StaticDiscovery
from federation.membership import MemberInfo, written
from federation.peer_states import UNHEARD, PeerView
from tests.support.etcd_store import EtcdStore
from tests.support.fake_etcd import FakeEtcd

LEASE = 5
KEY = "llmx/gateways/eu"
BOUND_SECONDS = 5.0
HEARTBEAT = 0.1
"""Of real time: discovery looks twice in each."""


class Cluster:
    """A store, a clock, and gateways that run."""

    def __init__(self) -> None:
        self.store = EtcdStore()
        self.clock = 100.0
        self.gateways: dict[str, Gateway] = {}

    @asynccontextmanager
    async def gateway(self, gateway_id: str, started_at: float = 1.0) -> AsyncIterator[Gateway]:
        """Run one, and let it leave at the end."""
        gateway = self.gateways[gateway_id] = Gateway(self, gateway_id, started_at)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(gateway.discovery.run())
            await gateway.until(lambda: gateway.discovery.own.epoch > 0)
            try:
                yield gateway
            finally:
                running.cancel()
                del self.gateways[gateway_id]
        self.stir()

    def stir(self) -> None:
        for gateway in self.gateways.values():
            gateway.client.stir()


class Gateway:
    """One gateway, with a client of its own."""

    def __init__(self, cluster: Cluster, gateway_id: str, started_at: float) -> None:
        self._cluster = cluster
        self.client = FakeEtcd(cluster.store, lambda: cluster.clock)
        self.own = MemberInfo(
            gateway_id, "eu", "10.0.0.1:7700", "10.0.0.1:7600", started_at=started_at
        )
        self.said: dict[str, PeerView] = {}
        self.changes = 0
        self.discovery = EtcdDiscovery(
            self.client,
            "llmx",
            self.own,
            LEASE,
            lambda: cluster.clock,
            said=lambda gateway_id: self.said.get(gateway_id, UNHEARD),
            heartbeat_seconds=HEARTBEAT,
        )
        self.discovery.on_change = self._changed

    def _changed(self) -> None:
        self.changes += 1

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds, with all watches looking meanwhile."""
        async with asyncio.timeout(BOUND_SECONDS):
            while not holds():
                self._cluster.stir()
                await self._turn()

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        passed = asyncio.Event()
        loop.call_later(0.005, passed.set)
        await passed.wait()

    async def knows(self, *others: str) -> None:
        await self.until(lambda: set(self.discovery.members) == set(others))


@asynccontextmanager
async def listening() -> AsyncIterator[str]:
    """Listen on a port, and return its address."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"


def play(scene: Callable[[Cluster], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scene(Cluster()))


def test_gateways_find_each_other_and_notice_at_once_who_leaves() -> None:
    async def scene(cluster: Cluster) -> None:
        async with cluster.gateway("eu") as eu:
            async with cluster.gateway("us") as us:
                await eu.knows("us")
                await us.knows("eu")
                assert eu.discovery.members["us"] == us.discovery.own
                assert eu.changes
            await eu.knows()
        assert not cluster.store.pairs

    play(scene)


def test_what_a_gateway_announces_is_seen_by_the_others() -> None:
    async def scene(cluster: Cluster) -> None:
        async with cluster.gateway("eu") as eu, cluster.gateway("us") as us:
            us.discovery.announce(0.75)
            await eu.knows("us")
            await eu.until(lambda: eu.discovery.members["us"].load == 0.75)
            assert eu.discovery.members["us"].epoch == us.discovery.own.epoch

    play(scene)


def test_the_members_stay_known_while_etcd_is_away() -> None:
    async def scene(cluster: Cluster) -> None:
        async with cluster.gateway("eu") as eu, cluster.gateway("us"):
            await eu.knows("us")
            eu.client.is_away = True
            cluster.clock += 2 * LEASE
            assert set(eu.discovery.members) == {"us"}
            assert eu.discovery.state is not None and not eu.discovery.state.reachable
            eu.client.is_away = False

    play(scene)


def test_who_is_cut_off_alone_stops_deciding_before_its_lease_can_end() -> None:
    async def scene(cluster: Cluster) -> None:
        async with cluster.gateway("eu") as eu, cluster.gateway("us"):
            await eu.knows("us")
            assert eu.discovery.may_decide() and eu.discovery.say_sight()
            eu.client.is_away = True
            eu.said["us"] = PeerView(cluster.clock, True, frozenset(), cluster.clock)
            cluster.clock = eu.discovery.sure_until + 0.001
            assert not eu.discovery.may_decide() and not eu.discovery.say_sight()
            eu.client.is_away = False

    play(scene)


def test_while_all_have_lost_sight_of_etcd_they_go_on() -> None:
    async def scene(cluster: Cluster) -> None:
        async with cluster.gateway("eu") as eu, cluster.gateway("us"):
            await eu.knows("us")
            eu.client.is_away = True
            for _ in range(100):
                eu.said["us"] = PeerView(cluster.clock, False, frozenset(), cluster.clock)
                assert eu.discovery.may_decide()
                cluster.clock += HEARTBEAT
            assert cluster.clock > eu.discovery.sure_until
            eu.client.is_away = False

    play(scene)


def test_a_process_with_the_id_of_one_that_lives_waits_and_takes_nothing_away() -> None:
    async def scene(cluster: Cluster) -> None:
        async with listening() as address, cluster.gateway("eu") as eu:
            eu.discovery._own = msgspec.structs.replace(eu.own, peer_address=address)
            eu.discovery.announce(1.0)
            await eu.until(lambda: address.encode() in cluster.store.pairs[KEY].value)
            epoch = eu.discovery.own.epoch
            twin = Gateway(cluster, "eu", started_at=2.0)
            registration = twin.discovery._registration
            with capture_logs() as logs:
                await registration.look()
                await registration.look()
            assert [line["log_level"] for line in logs] == ["warning"], "said once"
            assert "somebody else" in registration.fault and twin.discovery.own.epoch == 0
            assert eu.discovery.own.epoch == epoch

    play(scene)


def test_the_next_life_of_a_gateway_that_died_takes_its_place_at_once() -> None:
    async def scene(cluster: Cluster) -> None:
        lease = cluster.store.grant(60, cluster.clock)
        first = Gateway(cluster, "eu", started_at=1.0)
        await first.client.put(KEY, written(first.own), lease)
        async with cluster.gateway("eu", started_at=2.0) as eu:
            assert eu.discovery.own.epoch > 1

    play(scene)


def test_something_else_under_the_prefix_is_no_member(capsys: pytest.CaptureFixture[str]) -> None:
    async def scene(cluster: Cluster) -> None:
        async with cluster.gateway("eu") as eu:
            await eu.client.put("llmx/gateways/odd", b"nonsense")
            await eu.until(lambda: "odd" in eu.discovery._standing.others)
            assert not eu.discovery.members

    play(scene)


def test_it_tells_its_state_in_words() -> None:
    async def scene(cluster: Cluster) -> None:
        async with cluster.gateway("eu") as eu:
            assert repr(eu.discovery).startswith("<EtcdDiscovery: <Membership of eu: nobody else>")

    play(scene)


def test_a_list_of_members_is_a_discovery_too() -> None:
    assert StaticDiscovery(MemberInfo("eu", "eu", "", ""), []).may_decide()
