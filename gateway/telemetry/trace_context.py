"""The W3C trace context of an envelope: `00-<trace id>-<span id>-<flags>`.

A gateway appends it to the serialised envelope, which protobuf takes for the field's value, the
last one for the field. So nothing is parsed and written anew. What an agent has written itself is
read like that of a gateway; what is no trace context is as if it were not there.
"""

from __future__ import annotations

import re

from opentelemetry.trace import SpanContext, TraceFlags, TraceState

from llmx.v1.envelope_pb2 import Envelope

_TEXT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
)
_FIELD = Envelope(traceparent="-" * 55).SerializeToString()[:-55]
"""What stands before the text: the number of the field, and its length."""


def read(traceparent: str) -> SpanContext | None:
    """Return what a traceparent means, or None when it means nothing."""
    match = _TEXT.fullmatch(traceparent)
    if match is None:
        return None
    context = SpanContext(
        int(match["trace"], 16),
        int(match["span"], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(match["flags"], 16) & TraceFlags.SAMPLED),
        trace_state=TraceState(),
    )
    return context if context.is_valid else None


def text(context: SpanContext) -> str:
    """Return a context as W3C writes it, which `read` understands."""
    flags = context.trace_flags & TraceFlags.SAMPLED
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags:02x}"


def written(context: SpanContext) -> bytes:
    """Return a context as it is appended to an envelope."""
    return _FIELD + text(context).encode()
