"""What a scrape asks the parts of a gateway."""

from __future__ import annotations

from gateway.exchange import Exchange
from gateway.governance import Governance
from gateway.mailbox import Mailbox
from gateway.members import Members
from gateway.metrics import Metrics
from gateway.negotiations import Negotiations
from gateway.store import Store


def add_gauges(
    metrics: Metrics,
    exchange: Exchange,
    members: Members,
    negotiations: Negotiations,
    mailbox: Mailbox,
) -> None:
    metrics.gauges.update(
        {
            "llmx_streams": ("Open streams.", lambda: len(exchange.sessions)),
            "llmx_agents": ("Agents known.", lambda: members.count),
            "llmx_mailbox_messages": (
                "Messages kept for agents that are away, and durable ones.",
                lambda: mailbox.index.messages,
            ),
            "llmx_mailbox_bytes": ("Bytes of those.", lambda: mailbox.index.bytes),
            "llmx_negotiations": ("Negotiations remembered.", lambda: len(negotiations)),
            "llmx_shard_queue": (
                "Events waiting for shards.",
                lambda: sum(shard.queued for shard in negotiations.shards),
            ),
            "llmx_outbox_messages": (
                "Messages not yet acknowledged.",
                lambda: sum(
                    len(member.outbox)
                    for tenant in list(members.tenants.values())
                    for member in list(tenant.members.values())
                ),
            ),
        }
    )


def add_store_figures(metrics: Metrics, store: Store) -> None:
    metrics.gauges.update(
        {
            "llmx_store_available": (
                "1 while the store takes durable messages, else 0.",
                lambda: float(store.is_available),
            ),
            "llmx_store_bytes": ("Bytes in use in the store's file.", lambda: store.used_bytes),
        }
    )
    metrics.sums.update(
        {
            "llmx_store_commits_total": ("Transactions written.", lambda: store.commits),
            "llmx_store_commit_seconds_total": (
                "Seconds spent on writing them.",
                lambda: store.commit_seconds,
            ),
            "llmx_store_failures_total": ("Transactions not written.", lambda: store.failures),
        }
    )


def add_governance_figures(metrics: Metrics, governance: Governance) -> None:
    metrics.labelled.update(
        {
            "llmx_jain": (
                "Jain's index, 1 when all have the same, by tenant and by what is shared.",
                ("tenant", "of"),
                governance.figures,
            ),
        }
    )
    metrics.sums.update(
        {"llmx_probes_total": ("Rounds that were probed.", lambda: governance.probes_total)}
    )
