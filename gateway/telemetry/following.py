"""Traces of one gateway: what makes the spans, what takes them away, the parts that have some.

Nothing imports this module, nor opentelemetry, before traces are switched on.
"""

from __future__ import annotations

from threading import Thread
from typing import Any

import structlog
from opentelemetry.sdk.trace import TracerProvider

from gateway.handover import Handover
from gateway.inheritance import Inheritance
from gateway.outbox import Outbox
from gateway.peers import Peers
from gateway.router import Router
from gateway.settings_telemetry import TelemetrySettings
from gateway.telemetry.auditing import Naming
from gateway.telemetry.exporting import CountedExporter, exporter_of, provider_of
from gateway.telemetry.moved_traces import MovedTraces
from gateway.telemetry.trace_ids import TraceIds
from gateway.telemetry.traced_outbox import outboxes
from gateway.telemetry.traced_parts import TracedRouter, TracedValidation
from gateway.telemetry.tracing import Tracing
from gateway.validation import Validation

ENDING_SECONDS_MAX = 0.5
"""How long the exporter may take to give up, once it was told to."""

log = structlog.get_logger("llmx.traces")


class Following(Tracing):
    """Makes the spans of a gateway, and has them exported."""

    def __init__(
        self,
        provider: TracerProvider,
        exporter: CountedExporter,
        ids: TraceIds,
        named: Naming,
        flush_seconds: float,
    ) -> None:
        """Export what `provider` makes; at the end for so many seconds at most."""
        super().__init__(provider.get_tracer("llmx"), ids, named)
        self._flush_seconds = flush_seconds
        self._provider = provider
        self._exporter = exporter
        self.new_outbox = outboxes(self.end)

    @property
    def exported(self) -> int:
        """Return how many spans the exporter took."""
        return self._exporter.exported

    @property
    def failed(self) -> int:
        """Return how many it did not take."""
        return self._exporter.failed

    def router(self, *arguments: Any) -> Router:
        """Return a router whose deliveries have spans."""
        router = TracedRouter(*arguments)
        router.tracing = self
        return router

    def validation(self, *arguments: Any) -> Validation:
        """Return what judges payloads, with spans where workers do."""
        validation = TracedValidation(*arguments)
        validation.tracing = self
        return validation

    def outbox(self, *arguments: Any) -> Outbox:
        """Return an outbox that ends the spans of what is acknowledged."""
        return self.new_outbox(*arguments)

    def moving(self, peers: Peers, handover: Handover, inheritance: Inheritance) -> None:
        """Let traces go along with what these hand over."""
        MovedTraces(self).watch(peers, handover, inheritance)

    def close(self) -> None:
        """Export what waits, as long as the settings allow, and end.

        What a collector has not taken by then is lost, and the log says how many spans.
        """
        ending = Thread(target=self._provider.shutdown, name="llmx-last-spans", daemon=True)
        ending.start()
        ending.join(self._flush_seconds)
        if ending.is_alive():
            self._exporter.shutdown()  # which ends what the thread waits for
            ending.join(ENDING_SECONDS_MAX)
        lost = self.ended - self.exported
        if lost:
            log.warning("spans were not exported before the end", spans=lost)


def following(
    settings: TelemetrySettings, gateway_id: str, version: str, named: Naming
) -> Following:
    """Return what makes traces, as the settings say; raises SettingsError."""
    exporter, ids = exporter_of(settings), TraceIds()
    provider = provider_of(settings, gateway_id, version, exporter, ids)
    return Following(provider, exporter, ids, named, settings.traces_flush_seconds)
