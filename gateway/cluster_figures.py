"""What a scrape asks a cluster."""

from __future__ import annotations

from collections.abc import Callable

from gateway.cluster import Cluster
from gateway.metrics import Labelled, Metrics

LEASE_SECONDS_MOST = 86_400.0
"""What is said of a lease that never ends."""

Figures = dict[str, tuple[str, Callable[[], float]]]
LabelledFigures = dict[str, tuple[str, tuple[str, ...], Labelled]]


def add_to(metrics: Metrics, cluster: Cluster) -> None:
    """Have a scrape ask the cluster too."""
    metrics.gauges.update(gauges(cluster))
    metrics.sums.update(sums(cluster))
    metrics.labelled.update(labelled(cluster))
    metrics.labelled_sums.update(labelled_sums(cluster))


def gauges(cluster: Cluster) -> Figures:
    """Return what is so now, each with its meaning."""
    return {
        "llmx_cluster_members": ("Other gateways.", lambda: len(cluster.members)),
        "llmx_links_open": (
            "Links with a stream of their own.",
            lambda: sum(link.state == "open" for link in cluster.links()),
        ),
        "llmx_link_messages_queued": (
            "Messages that wait for other gateways.",
            lambda: sum(link.queued + link.unconfirmed for link in cluster.links()),
        ),
        "llmx_discovery_reachable": (
            "1 while etcd answers, or is not needed, else 0.",
            lambda: float(cluster.sees_etcd),
        ),
        "llmx_lease_seconds_left": (
            "Seconds until others may take this gateway for gone.",
            lambda: min(max(cluster.lease_seconds_left, 0.0), LEASE_SECONDS_MOST),
        ),
        "llmx_lease_age_seconds": (
            "Seconds since etcd has last confirmed the lease; 0 where there is none.",
            lambda: _lease_age(cluster),
        ),
        "llmx_fenced": (
            "1 while nothing is decided because others may have taken this gateway for gone.",
            lambda: float(cluster.fence is not None and not cluster.fence.may_decide()),
        ),
        "llmx_remote_agents": ("Agents of other gateways.", lambda: cluster.remote_agents),
        "llmx_awards_waiting": (
            "Negotiations whose award waits for etcd.",
            lambda: 0 if cluster.gate is None else len(cluster.gate),
        ),
    }


def sums(cluster: Cluster) -> Figures:
    """Return what has been counted, each with its meaning."""
    return {
        "llmx_awards_written_total": (
            "Awards written to etcd.",
            lambda: 0 if cluster.award_log is None else cluster.award_log.written,
        ),
        "llmx_awards_found_total": (
            "Awards of calls that had one already.",
            lambda: 0 if cluster.award_log is None else cluster.award_log.found,
        ),
        "llmx_awards_superseded_total": (
            "Negotiations that found another award of their call, and told that one.",
            lambda: 0 if cluster.gate is None else cluster.gate.superseded,
        ),
        "llmx_awards_blind_total": (
            "Awards told before they were written, because nobody saw etcd.",
            lambda: 0 if cluster.gate is None else cluster.gate.blind,
        ),
        "llmx_awards_doubled_total": (
            "Those of them whose call turned out to have another award.",
            lambda: 0 if cluster.gate is None else cluster.gate.doubled,
        ),
    }


def labelled(cluster: Cluster) -> LabelledFigures:
    """Return what is so of each link; there are as many as members."""
    return {
        "llmx_link_open": (
            "1 while the link to a gateway has a stream of its own, else 0.",
            ("peer",),
            lambda: [((one.gateway_id,), float(one.state == "open")) for one in cluster.links()],
        ),
        "llmx_link_round_trip_seconds": (
            "Seconds to a gateway and back, by heartbeats; 0 while it is not known.",
            ("peer",),
            lambda: [((one.gateway_id,), one.round_trip) for one in cluster.links()],
        ),
        "llmx_link_lag_messages": (
            "Messages that wait for a gateway, or for its confirmation.",
            ("peer",),
            lambda: [
                ((one.gateway_id,), float(one.queued + one.unconfirmed)) for one in cluster.links()
            ],
        ),
    }


def labelled_sums(cluster: Cluster) -> LabelledFigures:
    """Return what has been counted of each link."""
    return {
        "llmx_link_messages_total": (
            "Messages that crossed a link, by direction; from 0 again when a gateway starts anew.",
            ("peer", "direction"),
            lambda: [
                ((one.gateway_id, direction), float(count))
                for one in cluster.links()
                for direction, count in (("sent", one.sent), ("received", one.received))
            ],
        ),
        "llmx_link_resumed_total": (
            "How often a link went on where a stream had broken.",
            ("peer",),
            lambda: [((one.gateway_id,), float(one.resumed)) for one in cluster.links()],
        ),
    }


def _lease_age(cluster: Cluster) -> float:
    if cluster.etcd is None:
        return 0.0
    age = cluster.lease_seconds - cluster.lease_seconds_left
    return min(max(age, 0.0), LEASE_SECONDS_MOST)
