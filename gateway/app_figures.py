"""What a scrape asks the parts of a gateway."""

from __future__ import annotations

from gateway.exchange import Exchange
from gateway.governance import Governance
from gateway.mailbox import Mailbox
from gateway.members import Members
from gateway.metrics import Metrics
from gateway.negotiations import Negotiations
from gateway.records import Recorder
from gateway.store import Store
from gateway.telemetry.auditing import Naming
from gateway.telemetry.wiring import VERSION, Telemetry
from gateway.workers import ValidationPool


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
            "llmx_negotiations_open": (
                "Negotiations without an outcome.",
                lambda: sum(shard.table.open_count for shard in negotiations.shards),
            ),
            "llmx_outbox_fullest_ratio": (
                "The fullest outbox, 1 when it takes nothing more.",
                lambda: max(
                    (
                        len(member.outbox) / member.outbox.messages_max
                        for member in list(members.owing.values())
                    ),
                    default=0.0,
                ),
            ),
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


def add_governance_figures(metrics: Metrics, governance: Governance, named: Naming) -> None:
    """Have the figures of a market told, with tenants named as logs name them."""
    metrics.labelled.update(
        {
            "llmx_jain": (
                "Jain's index, 1 when all have the same, by tenant and by what is shared.",
                ("tenant", "of"),
                lambda: [
                    ((named(tenant), of), figure) for (tenant, of), figure in governance.figures()
                ],
            ),
        }
    )
    metrics.sums.update(
        {"llmx_probes_total": ("Rounds that were probed.", lambda: governance.probes_total)}
    )


def add_telemetry_figures(
    metrics: Metrics,
    telemetry: Telemetry,
    pool: ValidationPool,
    recorder: Recorder,
    negotiations: Negotiations,
) -> None:
    """Have everything told that is watched by act, class, method or shard."""
    traffic, methods, shards = telemetry.traffic, telemetry.methods, telemetry.shards
    audit, traces = telemetry.audit, telemetry.traces
    metrics.labelled_sums.update(
        {
            "llmx_acts_received_total": (
                "Messages that were looked at, by act and class of tenant.",
                ("act", "class"),
                traffic.received,
            ),
            "llmx_acts_admitted_total": (
                "Those of them that passed admission.",
                ("act", "class"),
                traffic.admitted,
            ),
            "llmx_methods_called_total": (
                "Calls that ended, by method and gRPC status.",
                ("method", "status"),
                methods.calls,
            ),
            "llmx_shard_events_total": (
                "Events that shards have applied.",
                ("shard",),
                lambda: [((str(one.number),), one.events_total) for one in negotiations.shards],
            ),
        }
    )
    metrics.timings.update(
        {
            "llmx_admission_seconds": (
                "Time to admit or refuse a message, waiting included; of one frame of 64.",
                ("act", "class"),
                traffic.timings,
            ),
            "llmx_method_seconds": (
                "Time to answer a call, by method.",
                ("method",),
                methods.timings,
            ),
            "llmx_shard_wait_seconds": (
                "From the receipt of an event to its shard; of one slice of 16.",
                (),
                lambda: [((), shards.waits)],
            ),
            "llmx_shard_step_seconds": (
                "Time to apply an event with its effects; of one slice of 16.",
                (),
                lambda: [((), shards.steps)],
            ),
            "llmx_loop_lag_seconds": (
                "How late the loop is.",
                (),
                lambda: [((), telemetry.lag.timing)],
            ),
        }
    )
    metrics.gauges.update(
        {
            "llmx_validation_waiting": ("Payloads that wait for a worker.", lambda: pool.waiting),
            "llmx_validation_workers": ("Workers that are up.", lambda: len(pool.pids)),
            "llmx_audit_waiting": (
                "Lines of the audit that wait for the disk.",
                lambda: 0 if audit is None else len(audit),
            ),
        }
    )
    metrics.labelled.update(
        {
            "llmx_build_info": (
                "1, with the version of this gateway.",
                ("version",),
                lambda: [((VERSION,), 1.0)],
            ),
        }
    )
    metrics.sums.update(
        {
            "llmx_validation_workers_replaced_total": (
                "Workers that were killed or died.",
                lambda: pool.replaced,
            ),
            "llmx_records_lost_total": (
                "Records of negotiations that could not be written.",
                lambda: recorder.lost,
            ),
            "llmx_audit_lines_total": (
                "Lines of the audit that were written.",
                lambda: 0 if audit is None else audit.lines,
            ),
            "llmx_audit_lost_total": (
                "Lines of the audit for which there was no room.",
                lambda: 0 if audit is None else audit.lost,
            ),
            "llmx_audit_failures_total": (
                "Writes of the audit that the disk did not take.",
                lambda: 0 if audit is None else audit.failures,
            ),
            "llmx_spans_ended_total": (
                "Spans of traces.",
                lambda: 0 if traces is None else traces.ended,
            ),
            "llmx_spans_exported_total": (
                "Those of them that were exported.",
                lambda: 0 if traces is None else traces.exported,
            ),
            "llmx_spans_failed_total": (
                "Those that could not be exported.",
                lambda: 0 if traces is None else traces.failed,
            ),
        }
    )
