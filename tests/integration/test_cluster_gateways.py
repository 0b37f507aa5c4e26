"""Gateways that join a cluster of real ones, leave it, die and freeze, while agents go on.

In each test agents that know all gateways send messages to each other and call for proposals all
the while. Then every message that was admitted has arrived, none twice where it was sent `once`,
every call has an outcome, and winners and initiator agree on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from loadtest.cluster_faults.players import Load
from loadtest.cluster_faults.scene import Plan, duel, play
from tests.support.cluster import Cluster, running_cluster
from tests.support.cluster_faults import Frozen, Joined, Killed, Left, Rolled
from tests.support.cluster_promises import all_kept, patient

pytestmark = pytest.mark.slow

PLAN = patient(Plan())
LONG_CALLS = replace(PLAN, load=Load(call_share=0.4, reply_seconds=(0.5, 2.0)))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three gateways, which each test leaves as it found them."""
    with running_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


async def test_a_gateway_that_joins_is_linked_with_all_and_nobody_notices(cluster: Cluster) -> None:
    all_kept(await play(cluster, Joined(cluster, "za"), PLAN, "joined"))


async def test_the_agents_and_calls_of_a_gateway_that_leaves_go_on_elsewhere(
    cluster: Cluster,
) -> None:
    """It has handed them over before its process ends, so nobody waits for its lease."""
    result = await play(cluster, Left(cluster, "eu"), LONG_CALLS, "left")
    all_kept(result)
    assert not [code for code in result.verdict.counts if code.startswith("calls: lost")]


async def test_the_agents_of_a_killed_gateway_go_on_elsewhere_and_what_was_durable_arrives(
    cluster: Cluster,
) -> None:
    """How soon that is noticed is measured by `make cluster-faults`."""
    all_kept(await play(cluster, Killed(cluster, "us"), LONG_CALLS, "killed"))


async def test_a_gateway_that_is_frozen_for_longer_than_its_lease_is_a_member_again_afterwards(
    cluster: Cluster,
) -> None:
    all_kept(await play(cluster, Frozen(cluster, "ap"), LONG_CALLS, "frozen"))


async def test_a_call_that_two_gateways_own_is_awarded_once(cluster: Cluster) -> None:
    """Its owner was frozen until its initiator had called again elsewhere, and then went on."""
    result = await duel(cluster, "us", PLAN, "duel")
    all_kept(result)
    assert result.owned_twice > 0


async def test_a_call_that_two_gateways_own_is_awarded_once_though_etcd_sleeps_meanwhile(
    cluster: Cluster,
) -> None:
    """One tells its award unwritten; the other one knows that its call was sent before."""
    result = await duel(cluster, "us", PLAN, "asleep", etcd_sleeps=PLAN.duel_seconds)
    all_kept(result)
    assert result.owned_twice > 0
    assert result.errors == (), "a gateway that told a second award says so"


async def test_nothing_is_lost_while_every_gateway_restarts_in_turn(cluster: Cluster) -> None:
    all_kept(await play(cluster, Rolled(cluster), PLAN, "rolled"))
