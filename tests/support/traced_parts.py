"""The inside of a gateway that makes spans, which are kept."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from gateway.telemetry.auditing import Naming
from gateway.telemetry.names import plain
from gateway.telemetry.trace_ids import TraceIds
from gateway.telemetry.traced_outbox import outboxes
from gateway.telemetry.traced_parts import TracedRouter
from gateway.telemetry.tracing import Tracing
from tests.support.gateway_parts import Parts
from tests.support.observed_parts import observed


class Kept(SpanExporter):
    """Makes spans, and keeps those that have ended."""

    def __init__(self, *, ratio: float = 1.0, named: Naming = plain) -> None:
        self.spans: list[ReadableSpan] = []
        sampler = ParentBased(
            TraceIdRatioBased(ratio), remote_parent_sampled=TraceIdRatioBased(ratio)
        )
        ids = TraceIds()
        provider = TracerProvider(
            resource=Resource({}), sampler=sampler, shutdown_on_exit=False, id_generator=ids
        )
        provider.add_span_processor(SimpleSpanProcessor(self))
        self.tracing = Tracing(provider.get_tracer("test"), ids, named)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """There is nothing to end."""

    def named(self, name: str) -> ReadableSpan:
        """Return the one span of a name."""
        (span,) = [span for span in self.spans if span.name == name]
        return span


def traced(parts: Parts, kept: Kept) -> Parts:
    """Let a gateway make spans."""
    router = parts.router
    router.__class__ = TracedRouter
    assert isinstance(router, TracedRouter)
    router.tracing = kept.tracing
    parts.members.new_outbox = outboxes(kept.tracing.end)
    for shard in parts.negotiations.shards:
        shard.perform = kept.tracing.performing(shard.perform)
    return observed(parts, kept.tracing)


def parents(spans: Sequence[ReadableSpan]) -> dict[str, str | None]:
    """Return the name of the parent of each span, by its name."""
    names = {span.get_span_context().span_id: span.name for span in spans}
    return {
        span.name: None if span.parent is None else names.get(span.parent.span_id) for span in spans
    }
