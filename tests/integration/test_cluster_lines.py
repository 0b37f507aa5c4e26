"""Lines of a cluster that break: between two gateways, and to etcd.

As in `test_cluster_gateways`, agents go on all the while, and afterwards all promises were kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from loadtest.cluster_faults.players import Load
from loadtest.cluster_faults.scene import Plan, play
from tests.support.cluster import Cluster, running_cluster
from tests.support.cluster_faults import (
    EtcdAway,
    EtcdRestarted,
    EtcdUnreached,
    Parted,
    PartedOneWay,
    Slowed,
)
from tests.support.cluster_promises import all_kept, patient
from tests.support.tcp_lines import Way

pytestmark = pytest.mark.slow

PLAN = patient(Plan())
LEASE_SECONDS = 2
LONG = replace(PLAN, lasts=3.0 * LEASE_SECONDS)
UNHURRIED = replace(LONG, load=Load(reply_seconds=(2.0, 4.0)))
"""All have time to answer, however busy the machine is; a call waits for nobody else."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three gateways, which each test leaves as it found them."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


async def test_the_third_gateway_carries_what_two_cannot_tell_each_other(cluster: Cluster) -> None:
    fault = Parted(cluster, "ap", "eu")
    result = await play(cluster, fault, PLAN, "parted", until=fault.is_relayed)
    all_kept(result)


@pytest.mark.parametrize("way", list(Way))
async def test_a_line_that_is_cut_one_way_is_taken_for_cut_by_both(
    cluster: Cluster, way: Way
) -> None:
    fault = PartedOneWay(cluster, "ap", "eu", way)
    result = await play(cluster, fault, PLAN, f"one-way-{way.value}", until=fault.is_relayed)
    all_kept(result)


async def test_a_slow_link_that_loses_packets_loses_no_message(cluster: Cluster) -> None:
    fault = Slowed(cluster, "ap", "eu")
    result = await play(cluster, fault, PLAN, "slowed")
    all_kept(result)
    assert result.slowest_message > fault.delay


async def test_a_gateway_that_cannot_reach_etcd_loses_nothing_of_its_agents(
    cluster: Cluster,
) -> None:
    """The others take it for gone when its lease has ended; it decides nothing from then on.

    Calls that come to it meanwhile are refused, and their agents send them again until it may.
    """
    result = await play(cluster, EtcdUnreached(cluster, "eu"), UNHURRIED, "unreached")
    all_kept(result)
    assert not result.verdict.counts["calls: no_award"], result.verdict.counts


async def test_nobody_notices_that_etcd_restarts(cluster: Cluster) -> None:
    all_kept(await play(cluster, EtcdRestarted(cluster), replace(PLAN, lasts=0.0), "restarted"))


async def test_the_exchange_goes_on_while_etcd_is_away_for_longer_than_any_lease(
    cluster: Cluster,
) -> None:
    result = await play(cluster, EtcdAway(cluster), LONG, "away")
    all_kept(result)
    assert result.verdict.counts["calls: committed"] > 0
