"""A trace context in an envelope, without writing the envelope anew."""

from __future__ import annotations

import pytest

from gateway.envelope_head import head_of
from gateway.telemetry.trace_context import read, written
from llmx.v1.envelope_pb2 import Envelope

TEXT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_what_is_appended_is_what_the_envelope_says() -> None:
    context = read(TEXT)
    assert context is not None
    plain = Envelope(msg_id="m", payload=b"{}").SerializeToString()
    marked = plain + written(context)
    assert marked.startswith(plain)
    assert Envelope.FromString(marked) == Envelope(msg_id="m", payload=b"{}", traceparent=TEXT)
    assert head_of(marked).traceparent == TEXT


def test_the_last_one_counts() -> None:
    context, other = read(TEXT), read(TEXT.replace("b7-01", "b8-00"))
    assert context is not None and other is not None
    both = Envelope(traceparent="agent's own").SerializeToString() + written(context)
    assert read(head_of(both + written(other)).traceparent) == other


def test_whether_it_is_kept_travels_along() -> None:
    kept, left = read(TEXT), read(TEXT[:-1] + "0")
    assert kept is not None and kept.trace_flags.sampled and kept.is_remote
    assert left is not None and not left.trace_flags.sampled
    assert read(TEXT[:-2] + "03") == kept, "other flags mean nothing to us"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        TEXT.upper(),
        TEXT[:-1],
        TEXT + "0",
        f"ff{TEXT[2:]}",
        TEXT.replace("-", "_"),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TEXT[3:35]}-{'0' * 16}-01",
    ],
)
def test_what_is_no_context_is_none(text: str) -> None:
    assert read(text) is None
