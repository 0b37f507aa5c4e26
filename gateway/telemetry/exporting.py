"""Where spans go: a collector, standard error or a file, in batches and from a thread of its own.

At the bound of what waits, the newest spans are lost; opentelemetry warns of it in the log, and
`llmx_spans_ended_total` is ahead of `llmx_spans_exported_total` by as many.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from gateway.settings import SettingsError
from gateway.settings_telemetry import TelemetrySettings

BATCH_MAX = 512
EXPORT_SECONDS = 1.0
"""How long a span waits for others at most."""


class CountedExporter(SpanExporter):
    """Counts what an exporter takes."""

    def __init__(self, exporter: SpanExporter, file: TextIO | None = None) -> None:
        """Close `file` behind the exporter."""
        self._exporter = exporter
        self._file = file
        self._has_ended = False
        self.exported = 0
        self.failed = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans; after the end there is nowhere to."""
        result = SpanExportResult.FAILURE if self._has_ended else self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self.exported += len(spans)
        else:
            self.failed += len(spans)
        return result

    def shutdown(self) -> None:
        """End; what is being exported is given up."""
        if self._has_ended:
            return
        self._has_ended = True
        self._exporter.shutdown()
        if self._file is not None:
            self._file.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export what waits."""
        return self._exporter.force_flush(timeout_millis)


def exporter_of(settings: TelemetrySettings) -> CountedExporter:
    """Return what the settings ask for; raises SettingsError for what cannot be."""
    if settings.traces == "console":
        return CountedExporter(ConsoleSpanExporter(out=sys.stderr, formatter=_line))
    if settings.traces == "file":
        file = _opened(settings.traces_file)
        return CountedExporter(ConsoleSpanExporter(out=file, formatter=_line), file)
    # Not before it is asked for: it brings a second copy of grpc's machinery.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return CountedExporter(
        OTLPSpanExporter(
            endpoint=settings.traces_endpoint,
            insecure=not settings.traces_endpoint.startswith("https://"),
        )
    )


def _opened(path: Path | None) -> TextIO:
    assert path is not None, "the settings are consistent"
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"telemetry.traces_file={path}: {error.strerror}; name a file that can be written to"
        ) from error


def _line(span: ReadableSpan) -> str:
    return str(span.to_json(indent=None)) + "\n"


def provider_of(
    settings: TelemetrySettings,
    gateway_id: str,
    version: str,
    exporter: SpanExporter,
    ids: IdGenerator | None = None,
) -> TracerProvider:
    """Return what makes spans of this gateway, with random ids unless `ids` makes others.

    Whether a trace is kept follows from its id, the same way at every gateway; an agent that asks
    for its own to be kept does not decide that. One that asks for it to be left out does.
    """
    by_id = TraceIdRatioBased(settings.traces_ratio)
    provider = TracerProvider(
        resource=Resource(
            {
                "service.name": "llmx-gateway",
                "service.version": version,
                "service.instance.id": gateway_id,
            }
        ),
        sampler=ParentBased(by_id, remote_parent_sampled=by_id),
        shutdown_on_exit=False,
        id_generator=ids,
    )
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            max_queue_size=settings.traces_waiting_max,
            schedule_delay_millis=EXPORT_SECONDS * 1_000,
            max_export_batch_size=min(BATCH_MAX, settings.traces_waiting_max),
        )
    )
    return provider
