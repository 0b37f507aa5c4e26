"""An etcd with users: tokens, rights, and rights that are taken away."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from federation.etcd import (
    Changes,
    EtcdClient,
    EtcdDenied,
    Registration,
    Snapshot,
)
from tests.support.etcd import FAST, Etcd, passed, permission

pytestmark = pytest.mark.slow


async def test_an_observer_that_may_not_observe_hears_of_it(tmp_path: Path) -> None:
    """The server refuses a watch on a stream that stays open; one can wait there for ever."""
    async with Etcd(tmp_path, flags=[*FAST, "--bcrypt-cost=4"]) as etcd:
        await etcd.demand_passwords("gateway", "secret", "mine/")
        async with EtcdClient([etcd.endpoint], user="gateway", password="secret") as client:
            async with aclosing(client.observe("mine/")) as told:
                assert isinstance(await anext(told), Snapshot)
            async with asyncio.timeout(5), aclosing(client.observe("yours/")) as told:
                with pytest.raises(EtcdDenied):
                    await anext(told)
            with pytest.raises(EtcdDenied):
                await client.put("yours/key", b"")
            with pytest.raises(EtcdDenied):
                await Registration(client, "yours/me", bytes, 5, time.monotonic).run()
        for user, password in [("gateway", "wrong"), ("nobody", "secret"), ("", "")]:
            async with EtcdClient([etcd.endpoint], user=user, password=password) as client:
                with pytest.raises(EtcdDenied):
                    await client.get("mine/key")


async def test_rights_that_are_taken_away_are_waited_for(tmp_path: Path) -> None:
    """Who knew something goes on with what it knows: somebody may put that right."""
    async with Etcd(tmp_path, flags=[*FAST, "--bcrypt-cost=4"]) as etcd:
        await etcd.demand_passwords("gateway", "secret", "mine/")
        told: list[Snapshot | Changes] = []

        async def observe(client: EtcdClient) -> None:
            async with aclosing(client.observe("mine/")) as all_news:
                async for news in all_news:
                    told.append(news)  # noqa: PERF401  # it never ends

        async def until_told(number: int) -> None:
            async with asyncio.timeout(5):
                while len(told) < number:
                    await passed(0.01)

        async with (
            EtcdClient([etcd.endpoint], user="gateway", password="secret") as client,
            asyncio.TaskGroup() as tasks,
        ):
            observing = tasks.create_task(observe(client))
            await until_told(1)
            await etcd.as_root("auth/role/revoke", role="gateway", **_whole("mine/"))
            await etcd.kill()
            await etcd.restart()
            with pytest.raises(EtcdDenied):
                await client.put("mine/key", b"")
            await passed(0.3)
            assert not observing.done() and len(told) == 1
            await etcd.as_root("auth/role/grant", name="gateway", perm=permission("mine/"))
            await client.put("mine/key", b"")
            await until_told(2)
            observing.cancel()


def _whole(prefix: str) -> dict[str, str]:
    return {name: text for name, text in permission(prefix).items() if name != "permType"}
