"""What a scrape is told of a cluster."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from federation.peer_states import LinkState
from gateway.cluster import Cluster
from gateway.cluster_figures import (
    LEASE_SECONDS_MOST,
    add_to,
    gauges,
    labelled,
    labelled_sums,
    sums,
)
from gateway.metrics import Metrics


def link(state: str, queued: int, unconfirmed: int) -> LinkState:
    return LinkState("us-1", "us", state, 0.1, queued, unconfirmed, 0, 0, 0, 0.0)


def cluster(**changed: Any) -> Cluster:
    """Return a cluster that is well, but for what is changed."""
    well: dict[str, Any] = {
        "members": {"us-1": None, "ap-1": None},
        "links": lambda: [link("open", 2, 3), link("relayed by us-1", 1, 0)],
        "sees_etcd": True,
        "lease_seconds_left": 4.5,
        "lease_seconds": 10.0,
        "etcd": object(),
        "remote_agents": 12,
        "fence": SimpleNamespace(may_decide=lambda: True),
        "gate": None,
        "award_log": None,
    }
    return cast(Cluster, SimpleNamespace(**well | changed))


def read(**changed: Any) -> dict[str, float]:
    of = cluster(**changed)
    return {name: value() for name, (_, value) in (gauges(of) | sums(of)).items()}


def test_a_cluster_that_is_well() -> None:
    assert read() == {
        "llmx_cluster_members": 2,
        "llmx_links_open": 1,
        "llmx_link_messages_queued": 6,
        "llmx_discovery_reachable": 1.0,
        "llmx_lease_seconds_left": 4.5,
        "llmx_lease_age_seconds": 5.5,
        "llmx_fenced": 0.0,
        "llmx_remote_agents": 12,
        "llmx_awards_waiting": 0,
        "llmx_awards_written_total": 0,
        "llmx_awards_found_total": 0,
        "llmx_awards_superseded_total": 0,
        "llmx_awards_blind_total": 0,
        "llmx_awards_doubled_total": 0,
    }


@pytest.mark.parametrize(
    ("left", "told"), [(float("-inf"), 0.0), (-1.0, 0.0), (float("inf"), LEASE_SECONDS_MOST)]
)
def test_a_lease_that_is_over_or_never_ends_is_a_number_too(left: float, told: float) -> None:
    assert read(lease_seconds_left=left)["llmx_lease_seconds_left"] == told


def test_a_gateway_that_may_not_decide_is_fenced() -> None:
    assert read(fence=SimpleNamespace(may_decide=lambda: False))["llmx_fenced"] == 1.0
    assert read(fence=None)["llmx_fenced"] == 0.0, "members of a list are never taken for gone"


def test_awards_are_counted_where_they_are_written() -> None:
    class Gate:
        blind, doubled, superseded = 3, 1, 4

        def __len__(self) -> int:
            return 5

    told = read(gate=Gate(), award_log=SimpleNamespace(written=7, found=2))
    assert told["llmx_awards_waiting"] == 5
    assert told["llmx_awards_written_total"] == 7
    assert told["llmx_awards_found_total"] == 2
    assert told["llmx_awards_superseded_total"] == 4
    assert told["llmx_awards_blind_total"] == 3
    assert told["llmx_awards_doubled_total"] == 1


def test_every_figure_says_what_it_means() -> None:
    of = cluster()
    assert all(meaning.endswith(".") for meaning, _ in (gauges(of) | sums(of)).values())


@pytest.mark.parametrize(
    ("left", "told"), [(float("-inf"), LEASE_SECONDS_MOST), (float("inf"), 0.0), (10.5, 0.0)]
)
def test_a_lease_that_was_never_confirmed_is_as_old_as_can_be(left: float, told: float) -> None:
    assert read(lease_seconds_left=left)["llmx_lease_age_seconds"] == told


def test_without_etcd_no_lease_grows_old() -> None:
    told = read(etcd=None, lease_seconds_left=float("-inf"))
    assert told["llmx_lease_age_seconds"] == 0.0


def test_each_link_has_figures_of_its_own() -> None:
    far = LinkState("ap-1", "ap", "relayed by us-1", 0.25, 2, 3, 7, 5, 1, 0.0)
    of = cluster(links=lambda: [link("open", 0, 1), far])
    now = {name: dict(read_all()) for name, (_, _, read_all) in labelled(of).items()}
    assert now["llmx_link_open"] == {("us-1",): 1.0, ("ap-1",): 0.0}
    assert now["llmx_link_lag_messages"] == {("us-1",): 1.0, ("ap-1",): 5.0}
    assert now["llmx_link_round_trip_seconds"][("ap-1",)] == 0.25
    ever = {name: dict(read_all()) for name, (_, _, read_all) in labelled_sums(of).items()}
    assert ever["llmx_link_messages_total"][("ap-1", "sent")] == 7
    assert ever["llmx_link_messages_total"][("ap-1", "received")] == 5
    assert ever["llmx_link_resumed_total"] == {("us-1",): 0.0, ("ap-1",): 1.0}


def test_a_scrape_is_told_all_of_it() -> None:
    metrics = Metrics()
    add_to(metrics, cluster())
    names = {family.name for family in metrics.collect()}
    assert {"llmx_lease_age_seconds", "llmx_awards_written", "llmx_link_open"} <= names
    assert {"llmx_link_messages", "llmx_link_resumed"} <= names
