"""What happens to etcd, and that nothing it acknowledged is missed by who observes it.

Each is a row of a table that was measured first. The short variants run with all tests, those of
the length that was measured with `make etcd-faults`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from federation.etcd import EtcdClient, EtcdTls, EtcdUnavailable, Prefix
from federation.etcd.calls import WATCH, Calls
from federation.etcd.endpoints import Endpoints
from federation.etcd.transactions import bounds
from federation.etcd.v1.watch_pb2 import WatchCreateRequest, WatchRequest, WatchResponse
from tests.support.etcd import Etcd, EtcdCluster, EtcdTlsFiles, passed
from tests.support.etcd_witness import (
    ATTEMPT_SECONDS,
    REGISTERED,
    WRITTEN,
    Witness,
    witnessed,
)
from tests.support.fault_proxy import FaultProxy

pytestmark = pytest.mark.slow

IS_LONG = "LLMX_ETCD_FAULTS" in os.environ
AWAY_SECONDS = 5.0 if IS_LONG else 0.5
FROZEN_SECONDS = 8.0 if IS_LONG else 2.8
FROZEN_LEASE_SECONDS = 5 if IS_LONG else 2
NO_QUORUM_SECONDS = 7.0 if IS_LONG else 1.5
FROZEN_FOLLOWER_SECONDS = 14.0 if IS_LONG else 2.0


async def test_a_server_that_is_killed_is_missed_only_while_it_is_away(tmp_path: Path) -> None:
    """Its restart lets leases begin anew, so the epoch survives; but nobody is sure of it."""
    async with Etcd(tmp_path) as etcd, witnessed([etcd.endpoint]) as witness:
        await etcd.kill()
        await passed(AWAY_SECONDS)
        assert not witness.observer.state.reachable
        assert witness.is_sure is (not IS_LONG)
        await etcd.restart()
        back = time.monotonic()
        await witness.runs()
        assert time.monotonic() - back < 2
        await witness.settled()
        assert len(witness.snapshots) == 1
        assert len(witness.epochs) == 1


async def test_a_server_that_was_frozen_for_longer_than_the_lease_sees_a_new_epoch(
    tmp_path: Path,
) -> None:
    """Its connections stay and nothing raises by itself; the lease is over when it wakes up."""
    lease = FROZEN_LEASE_SECONDS
    async with (
        Etcd(tmp_path) as etcd,
        witnessed([etcd.endpoint], lease_seconds=lease) as witness,
    ):
        etcd.freeze()
        thaws_at = time.monotonic() + FROZEN_SECONDS
        await witness.until(lambda: not witness.observer.state.reachable, 3 * ATTEMPT_SECONDS)
        await passed(thaws_at - time.monotonic())
        assert not witness.is_sure
        etcd.thaw()
        first = witness.epochs[0]
        await witness.until(lambda: witness.registration.epoch > first, lease + 2.0)
        await witness.settled()
        assert len(witness.snapshots) == 1
        assert witness.epochs[1] == 0, "it was told that it was lost"


async def test_a_leader_that_is_killed_is_replaced_and_nobody_misses_anything(
    tmp_path: Path,
) -> None:
    async with EtcdCluster(tmp_path) as cluster:
        leader = await cluster.leader()
        others = [member.endpoint for member in cluster.members if member is not leader]
        async with witnessed([leader.endpoint, *others]) as witness:
            await leader.kill()
            await witness.runs()
            await leader.restart()
            await witness.settled()
            assert len(witness.snapshots) == 1
            assert len(witness.epochs) == 1
            assert witness.gap_seconds < 5


async def test_a_member_without_a_quorum_says_so_and_goes_on_when_there_is_one(
    tmp_path: Path,
) -> None:
    """It would answer a progress request all the same; `hasleader` is what ends the stream."""
    async with EtcdCluster(tmp_path) as cluster:
        left, *others = cluster.members
        async with witnessed(cluster.endpoints) as witness:
            for member in others:
                await member.kill()
            await witness.until(lambda: not witness.observer.state.reachable, 4.0)
            await passed(NO_QUORUM_SECONDS)
            with pytest.raises(EtcdUnavailable):
                await witness.observer.get("anything")
            for member in others:
                member.start()
            for member in cluster.members:
                await member.ready()
            assert left.is_alive
            await witness.settled()
            assert len(witness.snapshots) == 1


async def test_a_follower_that_freezes_is_left_for_another_member(tmp_path: Path) -> None:
    """It keeps its connections and says nothing; only its silence after a question shows it."""
    async with EtcdCluster(tmp_path) as cluster:
        follower = await cluster.follower()
        others = [member.endpoint for member in cluster.members if member is not follower]
        async with witnessed(others, observes=[follower.endpoint, *others]) as witness:
            follower.freeze()
            frozen_at = time.monotonic()
            written = len(witness.acknowledged)
            await witness.runs()
            assert time.monotonic() - frozen_at < 6 * ATTEMPT_SECONDS
            await passed(FROZEN_FOLLOWER_SECONDS - (time.monotonic() - frozen_at))
            assert len(witness.acknowledged) > written + 20, "writes go on elsewhere"
            await witness.until(lambda: witness.observer.state.reachable)  # or they elect just now
            follower.thaw()
            await witness.settled()
            assert len(witness.snapshots) == 1
            assert len(witness.epochs) == 1


@asynccontextmanager
async def away(proxy: FaultProxy) -> AsyncIterator[None]:
    """Keep whoever connects through the proxy from doing so meanwhile."""
    proxy.refuse()
    yield
    proxy.heal()


async def test_who_was_away_while_the_past_was_forgotten_begins_anew(tmp_path: Path) -> None:
    async with (
        Etcd(tmp_path) as etcd,
        FaultProxy(etcd.port) as proxy,
        witnessed([etcd.endpoint], observes=[proxy.address]) as witness,
    ):
        async with away(proxy):
            written = len(witness.acknowledged)
            await witness.until(lambda: len(witness.acknowledged) > written + 10)
            await witness.writer.delete(forgotten := min(witness.acknowledged))
            del witness.acknowledged[forgotten]
            _, revision = await witness.writer.get_prefix(WRITTEN)
            await witness.writer.compact(revision)
        await witness.settled()
        assert len(witness.snapshots) == 2
        assert witness.snapshots[1].reason
        assert len(witness.epochs) == 1


async def test_tokens_that_expire_or_are_forgotten_are_replaced(tmp_path: Path) -> None:
    flags = ["--auth-token-ttl=1", "--bcrypt-cost=4", "--heartbeat-interval=20"]
    async with Etcd(tmp_path, flags=[*flags, "--election-timeout=200"]) as etcd:
        await etcd.demand_passwords("gateway", "secret", "")
        async with witnessed([etcd.endpoint], user="gateway", password="secret") as witness:
            witness.is_writing = False
            await passed(2.5)  # a server looks for old tokens every second
            witness.is_writing = True
            await witness.runs()
            await etcd.kill()  # it keeps tokens in memory only
            await etcd.restart()
            await witness.settled()
            assert len(witness.snapshots) == 1
            assert len(witness.epochs) == 1


async def gone_back(etcd: Etcd, copy: Path, witness: Witness) -> set[str]:
    """Replace the data by an older copy, start, and return the keys that are lost with it."""
    await etcd.kill()
    shutil.rmtree(etcd.data)
    shutil.copytree(copy, etcd.data)
    await etcd.restart()
    async with EtcdClient([etcd.endpoint]) as client:
        pairs, _ = await client.get_prefix(WRITTEN)
    lost = witness.acknowledged.keys() - {pair.key for pair in pairs}
    for key in lost:
        del witness.acknowledged[key]
    return lost


async def copied(etcd: Etcd, copy: Path) -> None:
    """Copy the data as they are now."""
    await etcd.stop()
    shutil.copytree(etcd.data, copy)
    await etcd.restart()


async def test_a_store_that_was_replaced_by_an_older_copy_is_noticed(tmp_path: Path) -> None:
    """Whoever waited for the next revision would wait until the store has caught up."""
    copy = tmp_path / "copy"
    async with Etcd(tmp_path / "etcd") as etcd:
        await copied(etcd, copy)
        async with witnessed([etcd.endpoint]) as witness:
            await witness.runs(20)
            assert await gone_back(etcd, copy, witness)
            await witness.until(lambda: len(witness.epochs) >= 3)  # it was lost too
            await witness.settled()
            assert len(witness.snapshots) == 2
            registered = await witness.observer.get(f"{REGISTERED}me")
            assert registered is not None
            assert registered.create_revision == witness.registration.epoch


async def test_an_older_copy_that_has_caught_up_in_numbers_is_noticed_too(
    tmp_path: Path,
) -> None:
    copy = tmp_path / "copy"
    async with Etcd(tmp_path / "etcd") as etcd, FaultProxy(etcd.port) as proxy:
        await copied(etcd, copy)
        async with witnessed([etcd.endpoint], observes=[proxy.address]) as witness:
            async with away(proxy):
                told = max(witness.told.values())
                assert await gone_back(etcd, copy, witness)
                await witness.until(
                    lambda: max(witness.acknowledged.values(), default=0) > told + 5
                )
            await witness.settled()
            assert len(witness.snapshots) == 2
            assert "lost" in witness.snapshots[1].reason


async def test_with_mutual_tls_all_is_the_same(tmp_path: Path) -> None:
    files = EtcdTlsFiles(tmp_path / "tls")
    async with Etcd(tmp_path / "etcd", tls=files) as etcd:
        async with witnessed([etcd.endpoint], tls=files.of_clients) as witness:
            await etcd.kill()
            await etcd.restart()
            await witness.settled()
            assert len(witness.snapshots) == 1
        stranger = EtcdTls(files.of_clients.ca)
        async with EtcdClient([etcd.endpoint], tls=stranger, attempt_seconds=1) as client:
            with pytest.raises(EtcdUnavailable):
                await client.get("anything")


if IS_LONG:

    async def test_a_frozen_server_that_nobody_asks_anything_is_noticed_by_its_connection(
        tmp_path: Path,
    ) -> None:
        """By grpc's own keepalive, once it is told how long to wait for a ping."""
        key, end = bounds(Prefix(WRITTEN))
        create = WatchRequest(create_request=WatchCreateRequest(key=key, range_end=end))

        async def once() -> AsyncIterator[WatchRequest]:
            yield create
            await asyncio.Event().wait()

        async with Etcd(tmp_path) as etcd:
            endpoints = Endpoints([etcd.endpoint], None, ATTEMPT_SECONDS, time.monotonic)
            calls = Calls(endpoints, "", "", ATTEMPT_SECONDS)
            call = calls.stream(WATCH, once(), 0, "")
            first = await call.read()
            assert isinstance(first, WatchResponse) and first.created
            etcd.freeze()
            frozen_at = time.monotonic()
            with pytest.raises(grpc.RpcError, match="ping timeout"):
                await call.read()
            assert time.monotonic() - frozen_at < 12
            etcd.thaw()
            await endpoints.close()
