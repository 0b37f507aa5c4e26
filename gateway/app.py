"""Builds one gateway and runs it: everything is wired here, once, by constructor arguments.

Start: validation workers first (they are spawned before any channel is open), then the keys,
then the server. Stop: readiness off, no new calls, Goodbye to every stream, workers last.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from secrets import token_bytes
from typing import Any

import structlog
from grpc_health.v1 import health_pb2
from prometheus_client import CollectorRegistry, ProcessCollector

from federation.shelf import Shelf
from gateway import cluster_figures
from gateway.absences import Absences
from gateway.admin import AdminService
from gateway.app_figures import (
    add_gauges,
    add_governance_figures,
    add_store_figures,
    add_telemetry_figures,
)
from gateway.app_limits import admission_limits, call_limits, mailbox_limits, member_limits
from gateway.auth import build_authenticator
from gateway.balance import Balance
from gateway.clock import steady_clock
from gateway.cluster import Cluster
from gateway.cluster_parts import Parts
from gateway.cluster_view import ClusterView
from gateway.control import ControlService
from gateway.draining import Draining
from gateway.durability import Durability
from gateway.durable_negotiations import DurableNegotiations
from gateway.exchange import Exchange, StreamLimits
from gateway.governance import Governance, governance_rules
from gateway.governing.governing import Governing, keeper_of, shared_limits
from gateway.governing.token_service import TokenService
from gateway.known_resources import KnownResources
from gateway.ledger_service import LedgerService
from gateway.live_policies import LivePolicies
from gateway.mailbox import Mailbox
from gateway.market import Market
from gateway.market_service import MarketService
from gateway.members import Members
from gateway.metrics import Metrics
from gateway.negotiations import Negotiations
from gateway.own_protocols import protocols_of
from gateway.page.opening import operators_page
from gateway.policies import Policies
from gateway.policy_file import PolicyFile
from gateway.records import Recorder
from gateway.registration import RegistrationLimits
from gateway.restoration import restore
from gateway.roster import Roster
from gateway.scraping import ScrapePage
from gateway.server import built_server, listen, set_readiness
from gateway.settings import EngineSettings, Settings, SettingsError
from gateway.store_file import running_store
from gateway.telemetry.wiring import running_telemetry
from gateway.upkeep import Upkeep, UpkeepLimits
from policy.acceptance import PolicyError
from policy.probing import SECRET_BYTES

log = structlog.get_logger("llmx.gateway")


SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
POLICIES_SECONDS = 2.0
"""How long a gateway that starts waits for the profiles in etcd at most."""
AUDIENCE_MAX = 10_000
"""Agents that one message may reach through topics and groups."""


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that serves."""

    port: int
    metrics_port: int | None
    page: str | None
    exchange: Exchange
    metrics: Metrics
    recorder: Recorder


@asynccontextmanager
async def running_gateway(settings: Settings) -> AsyncIterator[Running]:
    """Serve until the block ends, then stop gracefully."""
    now = steady_clock()
    limits, engine, gateway_id = settings.limits, settings.engine, settings.server.gateway_id
    policies = _policies(engine)
    live_policies = LivePolicies(policies)
    policy_file = None if engine.policies is None else PolicyFile(engine.policies)
    if policy_file is not None:
        live_policies.move_to(policy_file)
        policy_file.look()
    metrics = Metrics()
    recorder = Recorder(engine.records_kept, engine.records)
    members = Members(member_limits(limits), now())
    metrics.limits_reached = members.allowances.over  # counted where they are reached
    authenticator = build_authenticator(settings.auth)
    async with (
        running_telemetry(settings, now) as telemetry,
        telemetry.validation(settings.validation, limits, metrics) as validation,
        running_store(settings.mailbox) as store,
    ):
        await authenticator.start(now())
        mailbox = Mailbox(mailbox_limits(settings.mailbox), store)
        telemetry.watch_members(members)
        router = telemetry.router(
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
            protocols_of(engine.protocols),
        )
        governance = Governance(
            governance_rules(settings.governance),
            gateway_id,
            token_bytes(SECRET_BYTES),
            members,
            now,
        )
        governance.rule(negotiations, recorder)
        telemetry.watch_negotiations(negotiations, recorder)
        resources = KnownResources()
        admission = telemetry.admission(
            admission_limits(limits),
            call_limits(limits, settings.market, settings.mailbox, resources),
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
            telemetry.admits(admission, admission_limits(limits).envelope_bytes_max),
            router,
            absences,
            metrics,
            now,
        )
        telemetry.watch_operators(exchange, live_policies)
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
            live_policies,
            validation,
            negotiations,
            router,
            now,
        )
        add_gauges(metrics, exchange, members, negotiations, mailbox)
        add_governance_figures(metrics, governance, telemetry.named)
        add_telemetry_figures(metrics, telemetry, validation.pool, recorder, negotiations)
        market: Market | None = None
        if settings.market.is_on:
            market = Market(settings.market, gateway_id, members, negotiations, now, resources)
            market.figures.register(metrics)
            telemetry.watch_ledger(market.store)
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
            add_store_figures(metrics, store)
        draining = Draining(
            gateway_id,
            exchange.sessions,
            lambda: sum(shard.table.open_count for shard in negotiations.shards),
            now,
        )
        view = ClusterView(gateway_id, members, negotiations, draining, durability, now)
        admin = AdminService(exchange.authenticate, view)
        server, readiness = built_server(
            exchange,
            control,
            limits.sessions_max,
            admin,
            LedgerService(exchange.authenticate, None if market is None else market.view),
            MarketService(exchange.authenticate, governance),
            TokenService(exchange.authenticate, shared_limits(market, gateway_id), now),
            shares_port=settings.server.shared_port is not None,
            interceptors=(telemetry.methods,),
        )
        port = listen(server, settings.server)
        view.agents_address = f"{settings.server.host}:{port}"
        named = tuple((settings.server.move_to or "").split(",")) if settings.server.move_to else ()
        draining.addresses = lambda: named
        parts = Parts(
            members,
            router,
            negotiations,
            absences,
            mailbox,
            admission,
            exchange,
            control,
            validation,
            metrics,
            durability,
            telemetry,
        )
        registry = CollectorRegistry()
        registry.register(metrics)
        ProcessCollector(registry=registry)
        scrape = None
        if settings.server.metrics_port is not None:
            scrape = ScrapePage.served(settings.server.metrics_port, settings.server.host, registry)
        await server.start()
        gc.collect()
        gc.freeze()  # what is alive now stays: a full collection must not walk it every time
        gc.set_threshold(10_000, 20, 100)  # 3 ms a pause; at 50,000 it was 55, for one in a hundred
        tasks = asyncio.TaskGroup()
        async with tasks:
            chores: list[Coroutine[Any, Any, None]]
            chores = [shard.run() for shard in negotiations.shards]
            chores += [upkeep.run(), absences.run(), telemetry.lag.run()]
            chores.append(authenticator.run(now))
            if durability is not None:
                chores.append(durability.purge(negotiations.is_known))
            chores.append(draining.run())
            if policy_file is not None:
                chores.append(policy_file.run())
            running = [tasks.create_task(chore) for chore in chores]

            def open_door(is_open: bool) -> None:
                exchange.is_closed = not is_open
                if view.known_cluster is not None:
                    view.known_cluster.is_leaving = not is_open
                tasks.create_task(set_readiness(readiness, SERVING if is_open else NOT_SERVING))

            draining.on_change = open_door
            joined = AsyncExitStack()
            page = await joined.enter_async_context(
                operators_page(settings, authenticator, view, parts, recorder, market, now)
            )
            cluster: Cluster | None = None
            if settings.federation.is_on:
                cluster = Cluster(settings, parts, view.agents_address, now)
                await joined.enter_async_context(cluster.running())
                view.known_cluster = cluster
                if cluster.etcd is not None:
                    shelf = Shelf(cluster.etcd, f"{settings.federation.cluster}/policies/")
                    live_policies.move_to(shelf)
                    reading = tasks.create_task(shelf.run())
                    joined.push_async_callback(_ended, reading)  # while the client lives
                    await shelf.begun(POLICIES_SECONDS)
                draining.addresses = lambda: named or cluster.addresses()
                draining.hand_over = cluster.inheritance.hand_over
                cluster_figures.add_to(metrics, cluster)
                if settings.server.shared_port is not None:
                    balance = Balance(exchange.sessions, members.tenants, cluster.siblings, now)
                    balance.is_paused = lambda: draining.is_moving
                    running.append(tasks.create_task(balance.run()))
            if market is not None:
                if cluster is not None:
                    market.join(cluster)
                await joined.enter_async_context(market.running())
            etcd = None if cluster is None else cluster.etcd
            kept = keeper_of(store, etcd, settings.federation.cluster)
            governing = Governing(governance, gateway_id, kept, market)
            await joined.enter_async_context(governing.running(negotiations))
            await set_readiness(readiness, SERVING)
            try:
                metrics_port = scrape.port if scrape else None
                _log_listening(settings, port, metrics_port)
                yield Running(port, metrics_port, page, exchange, metrics, recorder)
            finally:
                stopping_at, vanished = now(), metrics.streams_ended["client_vanished"]
                log.info("stopping", streams=len(exchange.sessions))
                await set_readiness(readiness, NOT_SERVING)
                admission.stopping = exchange.is_closed = True
                if cluster is not None:
                    named = named or cluster.addresses(without_siblings=True)
                exchange.stop(named, random.random)
                if cluster is not None and named:
                    await cluster.emptied(settings.server.shutdown_grace)
                await server.stop(settings.server.shutdown_grace)
                await joined.aclose()
                for task in running:
                    task.cancel()
                await absences.stop()
                if scrape is not None:
                    scrape.close()
                recorder.close()
                log.info(
                    "stopped",
                    seconds=round(now() - stopping_at, 3),
                    streams_cut=metrics.streams_ended["client_vanished"] - vanished,
                )


async def _ended(task: asyncio.Task[None]) -> None:
    """Cancel a task, and wait until it is over."""
    task.cancel()
    await asyncio.wait([task])


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
