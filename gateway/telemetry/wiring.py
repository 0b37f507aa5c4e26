"""What watches a gateway, made as the settings ask for, and where it is put.

`app` asks this to make some parts, and shows it others when they are made. What is switched off is
not there at all: then the parts are those that know nothing of being watched.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Any, Protocol

from gateway.admission import Admission
from gateway.awards import Propose
from gateway.clock import Clock
from gateway.exchange import Exchange
from gateway.handover import Handover
from gateway.inheritance import Inheritance
from gateway.live_policies import LivePolicies
from gateway.members import Members
from gateway.negotiations import Negotiations
from gateway.outbox import Outbox
from gateway.peers import Heard, Peers
from gateway.policy_books import Book
from gateway.records import Recorder
from gateway.router import Router
from gateway.settings import Settings, SettingsError
from gateway.telemetry.admitting import Admit, Admits, Admitting
from gateway.telemetry.audit_file import AuditFile, AuditLimits, key_in
from gateway.telemetry.auditing import Auditor, Naming, Perform
from gateway.telemetry.loop_lag import LoopLag
from gateway.telemetry.method_watch import MethodWatch
from gateway.telemetry.names import hashed, plain
from gateway.telemetry.observing import ObservedAdmission, Observer
from gateway.telemetry.shard_watch import ShardWatch
from gateway.telemetry.traffic import TrafficByClass, classes_in
from gateway.validation import Validation
from policy.store import Commit, Committed, Refused
from policy.table import Record

WriteLedger = Callable[[Commit], Coroutine[Any, Any, Committed | Refused]]
VERSION = version("llmx-gateway")


class Traces(Observer, Protocol):
    """What makes traces, as far as it is put around something here."""

    ended: int
    new_outbox: Callable[[int, int, float, float, int], Outbox]

    @property
    def exported(self) -> int:
        """Return how many spans the exporter took."""

    @property
    def failed(self) -> int:
        """Return how many it did not take."""

    def router(self, *arguments: Any) -> Router:
        """Return a router."""

    def validation(self, *arguments: Any) -> Validation:
        """Return what judges payloads."""

    def admitting(self, admit: Admit, bytes_max: int) -> Admit:
        """Return what admits envelopes of so many bytes at most."""

    def performing(self, perform: Perform) -> Perform:
        """Return what carries out a step."""

    def awarding(self, propose: Propose) -> Propose:
        """Return what has an award written."""

    def settling(self, commit: WriteLedger) -> WriteLedger:
        """Return what writes to the ledger."""

    def hopping(self, kind: str, hear: Heard) -> Heard:
        """Return what hears another gateway."""

    def moving(self, peers: Peers, handover: Handover, inheritance: Inheritance) -> None:
        """Let traces go along with what these hand over."""

    def close(self) -> None:
        """Export what waits, and end."""


class Telemetry:
    """What watches one gateway."""

    def __init__(self, settings: Settings, now: Clock) -> None:
        """Watch as the settings say; raises SettingsError for what cannot be."""
        given = settings.telemetry
        self.named: Naming = hashed if settings.log.names == "hashed" else plain
        self.gateway_id = settings.server.gateway_id
        self.methods = MethodWatch()
        self.shards = ShardWatch(now)
        self.lag = LoopLag()
        self.traffic = TrafficByClass(_classes(given.tenant_classes))
        self.audit: AuditFile | None = None
        self.auditor: Auditor | None = None
        self.traces: Traces | None = None
        if given.traces != "none":
            self.traces = _traces(settings, self.named)
        if given.audit is not None:
            limits = AuditLimits(
                given.audit_file_bytes_max,
                given.audit_files_max,
                given.audit_flush_seconds,
                given.audit_waiting_max,
            )
            self.audit = AuditFile(given.audit, limits, key_in(given.audit_key_file))
            self.auditor = Auditor(self.audit, now, self.named)
            self.methods.on_ended = self.auditor.command
        observers: list[Observer] = [] if self.traces is None else [self.traces]
        if self.auditor is not None and given.audit_messages:
            observers.append(self.auditor)
        self._observers = tuple(observers)

    # ------------------------------------------------------------------ parts that it makes

    def router(self, *arguments: Any) -> Router:
        """Return a router."""
        return Router(*arguments) if self.traces is None else self.traces.router(*arguments)

    def validation(self, *arguments: Any) -> Validation:
        """Return what judges payloads."""
        make = Validation if self.traces is None else self.traces.validation
        return make(*arguments)

    def admission(self, *arguments: Any) -> Admission:
        """Return what lets messages in."""
        if not self._observers:
            return Admission(*arguments)
        admission = ObservedAdmission(*arguments)
        admission.observers = self._observers
        return admission

    def admits(self, admission: Admission, bytes_max: int) -> Admits:
        """Return what streams ask to let messages in, envelopes of so many bytes at most."""
        admit: Admit = admission.admit
        if self.traces is not None:
            admit = self.traces.admitting(admit, bytes_max)
        return Admitting(admit, self.traffic)

    # ------------------------------------------------------------------ parts that it watches

    def watch_members(self, members: Members) -> None:
        """Count what members send; to be called before there is one."""
        members.traffic = self.traffic
        if self.traces is not None:
            members.new_outbox = self.traces.new_outbox

    def watch_negotiations(self, negotiations: Negotiations, recorder: Recorder) -> None:
        """Look at what shards do."""
        for shard in negotiations.shards:
            shard.apply_slice = self.shards.around(shard)
            if self.auditor is not None and self.auditor in self._observers:
                shard.perform = self.auditor.around(shard.perform)
            if self.traces is not None:
                shard.perform = self.traces.performing(shard.perform)
        if self.auditor is not None:
            auditor, heard = self.auditor, recorder.heard

            def hear(record: Record | None, outcome: Mapping[str, Any]) -> None:
                heard(record, outcome)
                auditor.decided(record, outcome)

            recorder.heard = hear

    def watch_operators(self, exchange: Exchange, policies: LivePolicies) -> None:
        """Hear of streams and of profiles."""
        authenticate = self.methods.around(exchange.authenticate)
        exchange.authenticate = authenticate  # type: ignore[assignment, method-assign]  # for all
        if self.auditor is not None:
            exchange.on_stream = self.auditor.stream
            policies.on_change = self._profiles

    def _profiles(self, tenant: str, book: Book) -> None:
        assert self.auditor is not None, "only who audits hears of profiles"
        self.auditor.profiles(tenant, book)

    def watch_peers(self, peers: Peers, handover: Handover, inheritance: Inheritance) -> None:
        """Look at what other gateways say, and let traces go along with what moves to them."""
        if self.traces is not None:
            for kind in ("act", "delivery"):
                peers.heard[kind] = self.traces.hopping(kind, peers.heard[kind])
            self.traces.moving(peers, handover, inheritance)

    def watch_ledger(self, ledger: Any) -> None:
        """Look at awards that hold something; `ledger` is a `policy.store.Store`."""
        if self.traces is not None:
            ledger.commit = self.traces.settling(ledger.commit)

    def awarding(self, propose: Propose) -> Propose:
        """Return what has awards written."""
        return propose if self.traces is None else self.traces.awarding(propose)

    def say(self, kind: str) -> None:
        """Have the audit say that something happened to the gateway."""
        if self.auditor is not None:
            self.auditor.say(kind, {"gateway": self.gateway_id, "version": VERSION})


@asynccontextmanager
async def running_telemetry(settings: Settings, now: Clock) -> AsyncIterator[Telemetry]:
    """Watch a gateway until the block ends; then write and export what waits."""
    telemetry = Telemetry(settings, now)
    async with AsyncExitStack() as stack:
        if telemetry.traces is not None:
            # It may wait for a collector; the loop does not.
            stack.push_async_callback(asyncio.to_thread, telemetry.traces.close)
        if telemetry.audit is not None:
            stack.enter_context(telemetry.audit)
        telemetry.say("started")
        try:
            yield telemetry
        finally:
            telemetry.say("stopped")


def _classes(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    try:
        return classes_in(text)
    except ValueError as error:
        raise SettingsError(
            f"telemetry.tenant_classes={text[:80]}: {error}, for example acme=gold,initech=gold"
        ) from error


def _traces(settings: Settings, named: Naming) -> Traces:
    try:
        from gateway.telemetry.following import following
    except ImportError as error:
        raise SettingsError(
            f"telemetry.traces={settings.telemetry.traces}: {error.name} is not installed; "
            "pip install 'llmx-gateway[traces]', or set it to none"
        ) from error
    return following(settings.telemetry, settings.server.gateway_id, VERSION, named)
