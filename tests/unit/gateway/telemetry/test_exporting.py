"""Spans leave the gateway: to a collector, to standard error, to a file."""

from __future__ import annotations

import json
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.trace import NonRecordingSpan, SpanKind, set_span_in_context

from gateway.settings import SettingsError
from gateway.settings_telemetry import TelemetrySettings
from gateway.telemetry.exporting import CountedExporter, exporter_of, provider_of
from gateway.telemetry.trace_context import read

OWN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes what is exported, as a collector does."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    def Export(self, request: Any, context: Any) -> Any:
        self.requests.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()


def export(settings: TelemetrySettings, name: str = "step") -> CountedExporter:
    """Make a span, and end."""
    exporter = exporter_of(settings)
    provider = provider_of(settings, "eu", "1.2", exporter)
    provider.get_tracer("llmx").start_span(name).end()
    provider.shutdown()
    return exporter


def test_a_collector_gets_spans_with_the_gateway_that_made_them() -> None:
    collector = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        endpoint = f"http://127.0.0.1:{port}"
        exporter = export(TelemetrySettings(traces="otlp", traces_endpoint=endpoint))
    finally:
        server.stop(None)
    (spans,) = collector.requests[0].resource_spans
    named = {one.key: one.value.string_value for one in spans.resource.attributes}
    assert named["service.instance.id"] == "eu" and named["service.version"] == "1.2"
    assert spans.scope_spans[0].spans[0].name == "step"
    assert (exporter.exported, exporter.failed) == (1, 0)


def test_a_file_gets_a_line_for_each_span_and_keeps_those_that_it_has(tmp_path: Path) -> None:
    settings = TelemetrySettings(traces="file", traces_file=tmp_path / "spans.jsonl")
    export(settings)
    assert export(settings, "award").exported == 1
    lines = (tmp_path / "spans.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["step", "award"]


def test_the_console_gets_them_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    export(TelemetrySettings(traces="console"))
    told = capsys.readouterr()
    assert json.loads(told.err)["name"] == "step" and not told.out


def test_a_file_that_cannot_be_is_told(tmp_path: Path) -> None:
    settings = TelemetrySettings(traces="file", traces_file=tmp_path / "no" / "spans.jsonl")
    with pytest.raises(SettingsError, match=r"telemetry.traces_file=.*can be written to"):
        exporter_of(settings)


@pytest.mark.parametrize(("ratio", "kept"), [(0.0, False), (1.0, True)])
def test_an_agent_does_not_decide_whether_its_trace_is_kept(
    tmp_path: Path, ratio: float, kept: bool
) -> None:
    settings = TelemetrySettings(
        traces="file", traces_file=tmp_path / "spans.jsonl", traces_ratio=ratio
    )
    provider = provider_of(settings, "eu", "1.2", exporter_of(settings))
    own = read(OWN)
    assert own is not None and own.trace_flags.sampled
    above = set_span_in_context(NonRecordingSpan(own))
    span = provider.get_tracer("llmx").start_span("admission", above, SpanKind.SERVER)
    assert span.is_recording() is kept
    provider.shutdown()
