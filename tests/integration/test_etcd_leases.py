"""What a lease and a registration under it do on a real etcd, and when the process ends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from federation.etcd import (
    EtcdClient,
    EtcdNoLease,
    Put,
    Registration,
    Snapshot,
    created,
)
from tests.support.etcd import Etcd, passed
from tests.support.gateways import ROOT, is_running

pytestmark = pytest.mark.slow


@pytest.fixture
def etcd(tmp_path: Path) -> Etcd:
    """A fresh one; it is started when the test begins and ends with it."""
    return Etcd(tmp_path)


async def until_registered(registration: Registration, after: int = 0) -> None:
    """Wait until it is, with a younger epoch."""
    async with asyncio.timeout(5):
        while registration.epoch <= after:
            await passed(0.01)


async def test_a_lease_that_is_lost_is_not_an_error_but_a_zero(etcd: Etcd) -> None:
    """etcd answers a keepalive for it like any other, with a time of 0."""
    async with EtcdClient([etcd.endpoint]) as client:
        lease = (await client.grant(5)).lease
        assert await client.keep_alive(lease) == 5
        await client.revoke(lease)
        assert await client.keep_alive(lease) == 0
        with pytest.raises(EtcdNoLease):
            await client.put("key", b"", lease)
        with pytest.raises(EtcdNoLease):
            await client.revoke(lease)


async def test_a_lease_shorter_than_an_election_is_granted_for_longer(tmp_path: Path) -> None:
    """What counts is what was granted."""
    async with Etcd(tmp_path, flags=()) as etcd, EtcdClient([etcd.endpoint]) as client:
        assert (await client.grant(1)).seconds == 2
        asked = time.monotonic()
        registration = Registration(client, "me", bytes, 1, time.monotonic)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(registration.run())
            await until_registered(registration)
            assert registration.sure_until >= asked + 2
            running.cancel()


async def test_who_leaves_is_gone_at_once_and_what_hangs_on_no_lease_stays(etcd: Etcd) -> None:
    """What is held for others, such as credit in escrow, must outlive its writer."""
    async with EtcdClient([etcd.endpoint]) as client:
        registration = Registration(client, "gateways/me", lambda: b"me", 60, time.monotonic)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(registration.run())
            await until_registered(registration)
            mine = created("gateways/me") == registration.epoch
            assert (await client.commit([mine], [Put("escrow/me", b"10")])).succeeded
            running.cancel()
        assert registration.epoch == 0 and registration.sure_until < time.monotonic()
        assert await client.get("gateways/me") is None
        assert await client.get("escrow/me") is not None


async def test_who_was_killed_takes_its_own_place_when_it_comes_back(etcd: Etcd) -> None:
    """It does not wait until the lease of its earlier life is over."""
    async with EtcdClient([etcd.endpoint]) as client:
        earlier = await client.put("me", b"dead", (await client.grant(60)).lease)
        registration = Registration(client, "me", lambda: b"alive", 60, time.monotonic)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(registration.run())
            await until_registered(registration)
            assert registration.epoch > earlier
            found = await client.get("me")
            assert found is not None and found.value == b"alive"
            running.cancel()


async def test_of_two_under_one_name_the_one_that_was_started_last_stays(etcd: Etcd) -> None:
    """They do not take each other's place for ever; the other one waits, and says why."""
    async with EtcdClient([etcd.endpoint]) as client:
        first = Registration(client, "me", lambda: b"first", 1, time.monotonic)
        second = Registration(client, "me", lambda: b"second", 1, time.monotonic)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(first.run())]
            await until_registered(first)
            epoch = first.epoch
            running.append(tasks.create_task(second.run()))
            await until_registered(second)
            async with asyncio.timeout(5):
                while "somebody else" not in first.fault:
                    await passed(0.01)
            assert first.epoch == 0 and first.sure_until < time.monotonic()
            running[1].cancel()
            await until_registered(first, after=epoch)
            running[0].cancel()


async def test_what_a_registration_says_is_written_again_when_it_changes(etcd: Etcd) -> None:
    async with EtcdClient([etcd.endpoint]) as client:
        load = [b"idle"]
        registration = Registration(client, "me", lambda: load[0], 60, time.monotonic)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(registration.run())
            await until_registered(registration)
            async with asyncio.timeout(5), aclosing(client.observe("me")) as told:
                assert isinstance(await anext(told), Snapshot)
                load[0] = b"busy"
                registration.announce()
                news = await anext(told)
            assert not isinstance(news, Snapshot)
            pair = news.changes[0].pair
            assert pair is not None and pair.value == b"busy"
            assert pair.create_revision == registration.epoch
            running.cancel()


# ------------------------------------------------------------------ processes

STARTS_ONE = """
import asyncio, sys
from pathlib import Path
from tests.support.etcd import Etcd

async def main():
    async with Etcd(Path(sys.argv[1])) as etcd:
        print(etcd.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_an_etcd_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Otherwise it outlives a parent that is killed, on its port, for ever."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'client'}"}
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTS_ONE, tmp_path, stdout=subprocess.PIPE, env=environment
    )
    assert parent.stdout is not None, "it was started with a pipe"
    pid = int(await parent.stdout.readline())
    assert is_running(pid)
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(5):
        while is_running(pid):
            await passed(0.01)


async def test_an_etcd_is_not_started_by_a_thread_that_will_end(etcd: Etcd, tmp_path: Path) -> None:
    """The kernel would kill it as soon as that thread does."""
    other = Etcd(tmp_path / "other")
    with pytest.raises(AssertionError, match="dies with its thread"):
        await asyncio.to_thread(other.start)
    assert not other.is_alive and etcd.is_alive
