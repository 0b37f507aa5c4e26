"""Deliveries are followed until they are acknowledged, or given up."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.trace import SpanKind

from gateway.settings import LimitSettings, ValidationSettings
from gateway.telemetry import traced_outbox
from gateway.telemetry.traced_outbox import TracedOutbox
from gateway.telemetry.traced_parts import TracedValidation
from gateway.validation import Judgement
from llmx.v1.envelope_pb2 import Act
from tests.support.gateway_parts import Parts, envelope
from tests.support.traced_parts import Kept, traced


def deliver(parts: Parts, kept: Kept, count: int = 1) -> TracedOutbox:
    """Let alice send bob messages m0, m1 and so on; returns what bob has not acknowledged."""
    alice, bob = parts.join("alice"), parts.join("bob")
    span = kept.tracing.begin("test", SpanKind.INTERNAL, None, {})
    with kept.tracing.within(span):
        for number in range(count):
            message = envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id=f"m{number}")
            parts.admit(alice, message)
    kept.spans.clear()
    assert isinstance(bob.outbox, TracedOutbox)
    return bob.outbox


def said(kept: Kept) -> list[object]:
    return [(span.attributes or {}).get("llmx.undelivered") for span in kept.spans]


def test_a_delivery_lasts_until_it_is_acknowledged() -> None:
    kept = Kept()
    outbox = deliver(traced(Parts(), kept), kept, 2)
    assert (kept.spans, len(outbox.spans)) == ([], 2)
    assert len(outbox.take(0.0, 1 << 20)) == 2
    assert outbox.confirm(iter(["m1", "nothing"]), 0.0) == 1
    assert said(kept) == [None]
    assert list(outbox.spans) == ["m0"]


def test_what_is_given_up_says_why() -> None:
    kept, parts = Kept(), Parts()
    outbox = deliver(traced(parts, kept), kept)
    bob = parts.members.find("acme|agent://bob|")
    assert bob is not None
    parts.router.undelivered(bob, outbox.empty(), "expired")
    assert said(kept) == ["expired"] and not outbox.spans


def test_what_finds_no_room_ends_at_once() -> None:
    kept = Kept()
    deliver(traced(Parts(outbox_messages_max=1), kept), kept, 1)
    parts = traced(Parts(outbox_messages_max=1), kept)
    alice, bob = parts.join("alice"), parts.join("bob")
    span = kept.tracing.begin("test", SpanKind.INTERNAL, None, {})
    with kept.tracing.within(span):
        for name in ("a", "b"):
            parts.admit(alice, envelope("alice", Act.ACT_MESSAGE, "agent://bob", msg_id=name))
    assert "full" in said(kept) and len(bob.outbox) == 1


def test_an_agent_that_acknowledges_nothing_holds_only_so_many_spans(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(traced_outbox, "SPANS_MAX", 3)
    kept = Kept()
    outbox = deliver(traced(Parts(), kept), kept, 4)
    assert list(outbox.spans) == ["m1", "m2", "m3"]


def test_only_what_a_worker_judges_has_a_span() -> None:
    """Inline it is a part of admission, and shorter than a span."""
    kept, parts = Kept(), Parts()

    async def judge() -> Judgement:
        settings = ValidationSettings(inline_bytes_max=0)
        validation = TracedValidation(settings, LimitSettings(), parts.metrics)
        validation.tracing = kept.tracing
        judged = validation.judge(b"[]", Act.ACT_OFFER, parts.members.tenant("acme"))
        assert not isinstance(judged, Judgement)
        return await judged

    assert asyncio.run(judge()).fault is not None
    assert [span.name for span in kept.spans] == ["validation"]
    validation = TracedValidation(ValidationSettings(), LimitSettings(), parts.metrics)
    assert isinstance(
        validation.judge(b"[]", Act.ACT_OFFER, parts.members.tenant("acme")), Judgement
    )
    assert len(kept.spans) == 1
