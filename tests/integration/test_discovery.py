"""Gateways that find each other in a real etcd, and are missed there when they die."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from federation.discovery import EtcdDiscovery
from federation.etcd import EtcdClient
from federation.membership import MemberInfo
from tests.support.etcd import Etcd

pytestmark = pytest.mark.slow
LEASE_SECONDS = 2
HEARTBEAT_SECONDS = 0.2
BOUND_SECONDS = 15.0


class MortalClient(EtcdClient):
    """A client that does not say goodbye when its process is killed."""

    is_dead = False

    async def revoke(self, lease: int) -> None:
        if not self.is_dead:
            await super().revoke(lease)


class Gateway:
    """Discovery of one gateway, with a client of its own."""

    def __init__(self, client: MortalClient, gateway_id: str) -> None:
        self.client = client
        self.discovery = EtcdDiscovery(
            client,
            "llmx",
            MemberInfo(gateway_id, "eu", "10.0.0.1:1", "10.0.0.1:2", started_at=time.time()),
            LEASE_SECONDS,
            time.monotonic,
            heartbeat_seconds=HEARTBEAT_SECONDS,
        )
        self.running: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self.discovery.on_change = self._changed.set

    async def knows(self, *others: str) -> None:
        """Wait until it knows these and no others."""
        async with asyncio.timeout(BOUND_SECONDS):
            while set(self.discovery.members) != set(others) or not self.discovery.own.epoch:
                self._changed.clear()
                await self._changed.wait()

    def die(self) -> None:
        """End as by kill -9: nobody revokes anything."""
        self.client.is_dead = True
        assert self.running is not None
        self.running.cancel()


@asynccontextmanager
async def gateways(
    etcd: Etcd, *names: str, beside: Sequence[str] = ()
) -> AsyncIterator[list[Gateway]]:
    """Run gateways that know each other, and those that are there."""
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        found = [Gateway(MortalClient([etcd.endpoint], attempt_seconds=1.0), one) for one in names]
        for gateway in found:
            gateway.running = tasks.create_task(gateway.discovery.run())
        for gateway, name in zip(found, names, strict=True):
            await gateway.knows(*beside, *(set(names) - {name}))
        yield found
        for gateway in found:
            assert gateway.running is not None
            gateway.running.cancel()
    for gateway in found:
        await gateway.client.close()


def play(tmp_path: Path, scene: Callable[[Etcd], Awaitable[None]]) -> None:
    async def run() -> None:
        async with Etcd(tmp_path) as etcd:
            await scene(etcd)

    asyncio.run(run())


def test_a_gateway_that_was_killed_is_gone_when_its_lease_is_over(tmp_path: Path) -> None:
    async def scene(etcd: Etcd) -> None:
        async with gateways(etcd, "ap", "eu", "us") as (ap, eu, us):
            ap.die()
            await eu.knows("us")
            await us.knows("eu")
            assert eu.discovery.may_decide() and us.discovery.may_decide()
            async with gateways(etcd, "ap", beside=["eu", "us"]) as (again,):
                await eu.knows("ap", "us")
                assert eu.discovery.members["ap"].epoch == again.discovery.own.epoch

    play(tmp_path, scene)


def test_after_etcd_was_killed_and_started_anew_everybody_is_there_in_the_same_epoch(
    tmp_path: Path,
) -> None:
    async def scene(etcd: Etcd) -> None:
        async with gateways(etcd, "eu", "us") as (eu, us):
            epochs = eu.discovery.own.epoch, us.discovery.own.epoch
            await etcd.kill()
            await etcd.restart()
            await eu.knows("us")
            await us.knows("eu")
            assert (eu.discovery.own.epoch, us.discovery.own.epoch) == epochs

    play(tmp_path, scene)
