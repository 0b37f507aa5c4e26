"""What a scrape asks a cluster."""

from __future__ import annotations

from collections.abc import Callable

from gateway.cluster import Cluster

LEASE_SECONDS_MOST = 86_400.0
"""What is said of a lease that never ends."""

Figures = dict[str, tuple[str, Callable[[], float]]]


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
        "llmx_awards_blind_total": (
            "Awards told before they were written, because nobody saw etcd.",
            lambda: 0 if cluster.gate is None else cluster.gate.blind,
        ),
        "llmx_awards_doubled_total": (
            "Those of them whose call turned out to have another award.",
            lambda: 0 if cluster.gate is None else cluster.gate.doubled,
        ),
    }
