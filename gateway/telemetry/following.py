"""Traces of one gateway: what makes the spans, what takes them away, the parts that have some.

Nothing imports this module, nor opentelemetry, before traces are switched on.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import TracerProvider

from gateway.outbox import Outbox
from gateway.router import Router
from gateway.settings_telemetry import TelemetrySettings
from gateway.telemetry.auditing import Naming
from gateway.telemetry.exporting import CountedExporter, exporter_of, provider_of
from gateway.telemetry.traced_parts import TracedRouter, TracedValidation, outboxes
from gateway.telemetry.tracing import Tracing
from gateway.validation import Validation


class Following(Tracing):
    """Makes the spans of a gateway, and has them exported."""

    def __init__(self, provider: TracerProvider, exporter: CountedExporter, named: Naming) -> None:
        """Export what `provider` makes."""
        super().__init__(provider.get_tracer("llmx"), named)
        self._provider = provider
        self._exporter = exporter
        self.new_outbox = outboxes(self)

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

    def close(self) -> None:
        """Export what waits, which may take seconds, and end."""
        self._provider.shutdown()


def following(
    settings: TelemetrySettings, gateway_id: str, version: str, named: Naming
) -> Following:
    """Return what makes traces, as the settings say; raises SettingsError."""
    exporter = exporter_of(settings)
    return Following(provider_of(settings, gateway_id, version, exporter), exporter, named)
