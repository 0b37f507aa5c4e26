"""The parts of a gateway that makes traces."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
from opentelemetry.trace import SpanKind

from gateway.outbox import Outbox
from gateway.settings import LimitSettings, ValidationSettings
from gateway.settings_telemetry import TelemetrySettings
from gateway.telemetry.exporting import BATCH_MAX
from gateway.telemetry.following import following
from gateway.telemetry.names import plain
from gateway.telemetry.traced_outbox import TracedOutbox
from gateway.telemetry.traced_parts import TracedRouter, TracedValidation
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


@contextmanager
def silent_collector() -> Iterator[str]:
    """Listen as a collector does that hangs: it takes connections and says nothing, ever."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.slow
def test_a_collector_that_hangs_does_not_keep_a_gateway_from_ending() -> None:
    """Opentelemetry alone waits ten seconds for it, and up to thirty for more batches."""
    with silent_collector() as endpoint, structlog.testing.capture_logs() as logs:
        settings = TelemetrySettings(
            traces="otlp", traces_endpoint=endpoint, traces_flush_seconds=0.1
        )
        traces = following(settings, "eu", "1.2", plain)
        for _ in range(BATCH_MAX + 1):
            traces.end(traces.begin("step", SpanKind.INTERNAL, None, {}))
        began = time.monotonic()
        traces.close()
        assert time.monotonic() - began < 5.0
    assert traces.exported == 0
    (lost,) = [line for line in logs if "not exported" in line["event"]]
    assert lost["spans"] == BATCH_MAX + 1


def test_a_gateway_may_end_without_waiting_for_a_collector_at_all() -> None:
    with silent_collector() as endpoint:
        settings = TelemetrySettings(
            traces="otlp", traces_endpoint=endpoint, traces_flush_seconds=0.0
        )
        traces = following(settings, "eu", "1.2", plain)
        traces.close()
        traces.close()
    assert (traces.ended, traces.exported) == (0, 0)
