"""Builds one gateway and runs it: everything is wired here, once, by constructor arguments.

Start: validation workers first (they are spawned before any channel is open), then the keys,
then the server. Stop: readiness off, no new calls, Goodbye to every stream, workers last.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from wsgiref.simple_server import WSGIServer

import structlog
from grpc_health.v1 import health_pb2
from prometheus_client import CollectorRegistry, start_http_server

from gateway.absences import Absences
from gateway.admission import Admission
from gateway.allowances import AllowanceLimits
from gateway.auth import build_authenticator
from gateway.calls import CallLimits
from gateway.clock import steady_clock
from gateway.control import ControlService
from gateway.durability import Durability
from gateway.durable_negotiations import DurableNegotiations
from gateway.exchange import Exchange, StreamLimits
from gateway.headers import AdmissionLimits
from gateway.mailbox import Mailbox, MailboxLimits
from gateway.members import MemberLimits, Members
from gateway.metrics import Metrics
from gateway.negotiations import Negotiations
from gateway.policies import Policies
from gateway.records import Recorder
from gateway.registration import RegistrationLimits
from gateway.restoration import restore
from gateway.roster import Roster
from gateway.router import Router
from gateway.server import built_server, listen, set_readiness
from gateway.settings import (
    ENVELOPE_HEADER_BYTES_MAX,
    EngineSettings,
    LimitSettings,
    MailboxSettings,
    Settings,
    SettingsError,
)
from gateway.store import Store
from gateway.store_file import running_store
from gateway.upkeep import Upkeep, UpkeepLimits
from gateway.validation import Validation
from policy.acceptance import PolicyError

log = structlog.get_logger("llmx.gateway")


AUDIENCE_MAX = 10_000
"""Agents that one message may reach through topics and groups."""


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that serves."""

    port: int
    metrics_port: int | None
    exchange: Exchange
    metrics: Metrics
    recorder: Recorder


@asynccontextmanager
async def running_gateway(settings: Settings) -> AsyncIterator[Running]:
    """Serve until the block ends, then stop gracefully."""
    now = steady_clock()
    limits, engine, gateway_id = settings.limits, settings.engine, settings.server.gateway_id
    policies = _policies(engine)
    metrics = Metrics()
    recorder = Recorder(engine.records_kept, engine.records)
    members = Members(_member_limits(limits), now())
    metrics.limits_reached = members.allowances.over  # counted where they are reached
    authenticator = build_authenticator(settings.auth)
    async with (
        Validation(settings.validation, limits, metrics) as validation,
        running_store(settings.mailbox) as store,
    ):
        await authenticator.start(now())
        mailbox = Mailbox(_mailbox_limits(settings.mailbox), store)
        router = Router(
            gateway_id, now, members, metrics, limits.ttl_default, AUDIENCE_MAX, mailbox
        )
        roster = None if store is None else Roster(store)
        absences = Absences(mailbox, members, router, settings.mailbox.keep_seconds, roster, store)
        negotiations = (Negotiations if store is None else DurableNegotiations)(
            gateway_id,
            now,
            members,
            router,
            metrics,
            recorder,
            engine.shards,
            engine.shard_queue_max,
            limits.negotiations_open_max,
            limits.negotiations_finished_max,
            limits.ttl_default,
            limits.negotiations_open_per_tenant_max,
            limits.negotiations_open_per_agent_max,
        )
        admission = Admission(
            AdmissionLimits(
                envelope_bytes_max=limits.payload_bytes_max + ENVELOPE_HEADER_BYTES_MAX,
                payload_bytes_max=limits.payload_bytes_max,
                recipients_max=limits.envelope_recipients_max,
                capabilities_max=limits.capabilities_max,
                ttl_default=limits.ttl_default,
                ttl_max=limits.ttl_max,
                clock_skew_max=limits.clock_skew_seconds_max,
            ),
            CallLimits(limits.deadline_seconds_max, limits.linger_seconds),
            now,
            metrics,
            validation,
            policies,
            router,
            negotiations,
            members.duplicates,
            members.once,
        )
        registration = RegistrationLimits(
            capabilities_max=limits.capabilities_max,
            topics_max=limits.topics_max,
            consents_max=limits.consents_per_agent_max,
            group_members_max=limits.group_members_max,
            groups_max=limits.groups_per_tenant_max,
        )
        exchange = Exchange(
            gateway_id,
            StreamLimits(
                limits.sessions_max,
                limits.frame_bytes_max,
                limits.payload_bytes_max,
                limits.reconnect_grace_seconds,
                limits.window_messages,
                limits.heartbeat_seconds,
            ),
            registration,
            authenticator,
            members,
            admission,
            router,
            absences,
            metrics,
            now,
        )
        upkeep = Upkeep(
            UpkeepLimits(
                limits.reconnect_grace_seconds,
                limits.heartbeat_seconds,
                limits.stream_age_seconds_max,
                limits.repeats_per_second,
            ),
            authenticator,
            members,
            exchange.sessions,
            exchange.left,
            negotiations,
            router,
            absences,
            metrics,
            now,
        )
        control = ControlService(
            exchange.authenticate,
            members,
            registration,
            policies,
            validation,
            negotiations,
            router,
            now,
        )
        _add_gauges(metrics, exchange, members, negotiations, mailbox)
        durability: Durability | None = None
        if store is not None and roster is not None:
            assert isinstance(negotiations, DurableNegotiations), "it is made for the store"
            remember_seconds = max(limits.duplicates_seconds, limits.once_seconds)
            durability = Durability(
                store, mailbox, members, router, remember_seconds, limits.duplicates_ids_max, now
            )
            negotiations.durability = admission.durability = durability
            router.tell_durably = durability.tell
            members.on_change.append(roster.note)
            await restore(store, roster, mailbox, members, negotiations, now())
            _add_store_figures(metrics, store)
        server, readiness = built_server(exchange, control, limits.sessions_max)
        port = listen(server, settings.server)
        registry = CollectorRegistry()
        registry.register(metrics)
        scrape = None
        if settings.server.metrics_port is not None:
            scrape = _scrape(settings.server.metrics_port, settings.server.host, registry)
        await server.start()
        gc.collect()
        gc.freeze()  # what is alive now stays: a full collection must not walk it every time
        gc.set_threshold(10_000, 20, 100)  # 3 ms a pause; at 50,000 it was 55, for one in a hundred
        tasks = asyncio.TaskGroup()
        async with tasks:
            chores: list[Coroutine[Any, Any, None]]
            chores = [shard.run() for shard in negotiations.shards]
            chores += [exchange.confirm(), upkeep.run(), absences.run()]
            chores.append(authenticator.run(now))
            if durability is not None:
                chores.append(durability.purge(negotiations.is_known))
            running = [tasks.create_task(chore) for chore in chores]
            await set_readiness(readiness, health_pb2.HealthCheckResponse.SERVING)
            try:
                metrics_port = scrape.server_port if scrape else None
                _log_listening(settings, port, metrics_port)
                yield Running(port, metrics_port, exchange, metrics, recorder)
            finally:
                stopping_at, vanished = now(), metrics.streams_ended["client_vanished"]
                log.info("stopping", streams=len(exchange.sessions))
                await set_readiness(readiness, health_pb2.HealthCheckResponse.NOT_SERVING)
                admission.stopping = True
                move_to = settings.server.move_to
                exchange.stop(tuple(move_to.split(",")) if move_to else (), random.random)
                await server.stop(settings.server.shutdown_grace)
                for task in running:
                    task.cancel()
                await absences.stop()
                if scrape is not None:
                    scrape.shutdown()
                    scrape.server_close()
                recorder.close()
                log.info(
                    "stopped",
                    seconds=round(now() - stopping_at, 3),
                    streams_cut=metrics.streams_ended["client_vanished"] - vanished,
                )


def _log_listening(settings: Settings, port: int, metrics_port: int | None) -> None:
    """Tell where the gateway serves, and what matters for what it can promise."""
    server = settings.server
    log.info(
        "listening",
        gateway_id=server.gateway_id,
        host=server.host,
        port=port,
        metrics_port=metrics_port,
        version=version("llmx-gateway"),
        store=str(settings.mailbox.file) if settings.mailbox.file else "none",
        move_to=server.move_to or "none",
    )


def _policies(engine: EngineSettings) -> Policies:
    """Return the profiles of the settings; raises SettingsError for what cannot be used."""
    try:
        return Policies(engine.default_policy, engine.profiles)
    except PolicyError as error:
        raise SettingsError(
            f"engine.default_policy={engine.default_policy} and engine.profiles: {error}"
        ) from error


def _scrape(port: int, host: str, registry: CollectorRegistry) -> WSGIServer:
    """Serve the metrics; raises SettingsError when the port is taken."""
    try:
        server, _ = start_http_server(port, host, registry)
    except OSError as error:
        raise SettingsError(
            f"server.metrics_port={port}: {error.strerror} on {host}; "
            "--metrics-port 0 takes a free port, none does without"
        ) from error
    return server


def _member_limits(limits: LimitSettings) -> MemberLimits:
    return MemberLimits(
        agents_max=limits.agents_max,
        allowance=AllowanceLimits(
            rate=limits.rate_per_second,
            burst=limits.burst,
            tenant_rate=limits.tenant_rate_per_second,
            tenant_burst=limits.tenant_burst,
            reserve=limits.rate_reserve,
            quota_messages=limits.quota_messages_per_hour,
            quota_bytes=limits.quota_bytes_per_hour,
            tenant_quota_messages=limits.tenant_quota_messages_per_hour,
            tenant_quota_bytes=limits.tenant_quota_bytes_per_hour,
        ),
        outbox_messages_max=limits.outbox_messages_max,
        outbox_bytes_max=limits.outbox_bytes_max,
        window_messages=limits.window_messages,
        retry_first=limits.retry_initial,
        retry_max=limits.retry_max,
        duplicates_window=limits.duplicates_seconds,
        duplicates_ids_max=limits.duplicates_ids_max,
        once_window=limits.once_seconds,
        once_ids_max=limits.once_ids_max,
    )


def _mailbox_limits(settings: MailboxSettings) -> MailboxLimits:
    return MailboxLimits(
        settings.messages_per_agent_max,
        settings.bytes_per_agent_max,
        settings.messages_max,
        settings.bytes_max,
        settings.tenant_share,
    )


def _add_gauges(
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


def _add_store_figures(metrics: Metrics, store: Store) -> None:
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
