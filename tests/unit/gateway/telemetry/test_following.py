"""The parts of a gateway that makes traces."""

from __future__ import annotations

from pathlib import Path

from opentelemetry.trace import SpanKind

from gateway.outbox import Outbox
from gateway.settings import LimitSettings, ValidationSettings
from gateway.settings_telemetry import TelemetrySettings
from gateway.telemetry.following import following
from gateway.telemetry.names import plain
from gateway.telemetry.traced_parts import TracedOutbox, TracedRouter, TracedValidation
from tests.support.gateway_parts import Parts


def test_its_parts_make_spans_and_what_has_ended_is_exported_when_it_closes(
    tmp_path: Path,
) -> None:
    settings = TelemetrySettings(traces="file", traces_file=tmp_path / "spans.jsonl")
    traces = following(settings, "eu", "1.2", plain)
    parts = Parts()
    router = traces.router("eu", lambda: 0.0, parts.members, parts.metrics, 1.0, 9, parts.mailbox)
    validation = traces.validation(ValidationSettings(), LimitSettings(), parts.metrics)
    outbox = traces.outbox(10, 1_000, 1.0, 2.0, 10)
    assert isinstance(router, TracedRouter) and router.tracing is traces
    assert isinstance(validation, TracedValidation) and validation.tracing is traces
    assert isinstance(outbox, TracedOutbox) and isinstance(outbox, Outbox)
    traces.end(traces.begin("step", SpanKind.INTERNAL, None, {}))
    traces.close()
    assert (traces.ended, traces.exported, traces.failed) == (1, 1, 0)
    assert '"name": "step"' in (tmp_path / "spans.jsonl").read_text("utf-8")
