"""Spans of messages, steps, awards, hops and deliveries, as their parents are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from federation.award_log import Entry
from gateway.headers import Sender
from gateway.telemetry.trace_context import read
from gateway.telemetry.tracing import CALLS_MAX, Tracing
from llmx.v1.envelope_pb2 import Act, Envelope
from llmx.v1.peering_pb2 import Delivery
from policy.judging import Writer
from policy.memory_store import MemoryStore
from policy.store import Commit, Committed, Decide, Refused
from tests.support.gateway_parts import Parts, envelope, received
from tests.support.traced_parts import Kept, parents, traced

BYTES_MAX = 100_000
OWN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def kept() -> Kept:
    return Kept()


def call(parts: Parts, kept: Kept, **fields: Any) -> tuple[Any, Any, Envelope]:
    """Let alice call bob; returns both and what bob has heard."""
    alice, bob = parts.join("alice"), parts.join("bob")
    body = {"act": "cfp", "reply_within": 5}
    message = envelope("alice", Act.ACT_CFP, "agent://bob", msg_id="call", body=body, **fields)
    send(parts, kept, alice, message)
    (heard,) = received(bob)
    return alice, bob, heard


def send(parts: Parts, kept: Kept, member: Any, message: Envelope) -> None:
    admit = kept.tracing.admitting(parts.admission.admit, BYTES_MAX)
    assert admit(Sender(member), message.SerializeToString()) is None
    parts.run()


def test_a_message_its_step_and_its_delivery_are_one_line(kept: Kept) -> None:
    parts = traced(Parts(), kept)
    _, bob, heard = call(parts, kept)
    bob.outbox.confirm(["call"], parts.now)
    assert parents(kept.spans) == {
        "admission": None,
        "step": "admission",
        "delivery": "step",
    }
    delivery = kept.named("delivery")
    context = read(heard.traceparent)
    assert context is not None
    assert context.span_id == delivery.get_span_context().span_id, "the agent can go on with it"


def test_an_envelope_without_room_for_a_context_goes_on_without_it(kept: Kept) -> None:
    """Else a message of the largest size that is allowed would be refused for our own bytes."""
    sender, raw, heard = Sender(Parts().join("alice")), envelope("alice").SerializeToString(), []

    def admit(_: Sender, came: bytes) -> None:
        heard.append(came)

    for bytes_max in (len(raw), len(raw) + 100):
        kept.tracing.admitting(admit, bytes_max)(sender, raw)
    bare, with_context = heard
    assert bare == raw and with_context.startswith(raw)
    assert read(Envelope.FromString(with_context).traceparent) is not None


def test_who_says_of_what_trace_it_is_stays_in_it(kept: Kept) -> None:
    parts = traced(Parts(), kept)
    call(parts, kept, traceparent=OWN)
    admission = kept.named("admission")
    own = read(OWN)
    assert own is not None and admission.parent is not None
    assert admission.parent.span_id == own.span_id
    assert {span.get_span_context().trace_id for span in kept.spans} == {own.trace_id}


def test_who_answers_without_a_context_goes_on_in_the_trace_of_the_call(kept: Kept) -> None:
    parts = traced(Parts(), kept)
    _, bob, heard = call(parts, kept)
    offer = envelope("bob", Act.ACT_OFFER, msg_id="o", body={"value": 7})
    offer.negotiation_id = heard.negotiation_id
    kept.spans.clear()
    send(parts, kept, bob, offer)
    assert len({span.get_span_context().trace_id for span in kept.spans}) == 1
    steps = [span for span in kept.spans if span.name == "step"]
    assert steps[0].attributes is not None
    assert steps[0].attributes["llmx.state"] == "committed"


def test_a_refused_message_says_its_code_and_is_an_error(kept: Kept) -> None:
    parts = traced(Parts(), kept)
    alice = parts.join("alice")
    send(parts, kept, alice, envelope("alice", Act.ACT_MESSAGE, "agent://nobody"))
    (span,) = kept.spans
    assert span.attributes is not None and span.attributes["llmx.code"] == "AGENT_ABSENT"
    assert span.status.status_code.name == "ERROR"


def test_what_cannot_be_read_has_no_span_and_is_refused(kept: Kept) -> None:
    parts = traced(Parts(), kept)
    alice = parts.join("alice")
    assert (
        kept.tracing.admitting(parts.admission.admit, BYTES_MAX)(Sender(alice), b"\xff\xff") is None
    )
    assert kept.spans == [] and parts.metrics.refused["MALFORMED_ENVELOPE"] == 1


def test_a_deadline_is_a_part_of_the_call_too(kept: Kept) -> None:
    """Nothing that comes bears a context then."""
    parts = traced(Parts(), kept)
    call(parts, kept)
    kept.spans.clear()
    parts.now += 6.0
    parts.run()
    step = kept.named("step")
    assert step.attributes is not None and step.attributes["llmx.event"] == "DeadlinePassed"
    assert step.parent is not None


def test_an_award_ends_when_it_is_known_which_one_stands(kept: Kept) -> None:
    asked = Entry("gw.0.x", "gw", b"{}", 1)
    waiting: list[Callable[[Entry], None]] = []
    heard: list[Entry] = []
    propose = kept.tracing.awarding(lambda key, entry, hear, again: waiting.append(hear))
    propose("key", asked, heard.append, False)
    assert kept.spans == []
    waiting[0](asked)
    assert heard == [asked]
    assert kept.named("award").attributes == {
        "llmx.negotiation": "gw.0.x",
        "llmx.stands": "gw.0.x",
    }


def test_an_award_that_holds_something_has_a_span_around_its_write(kept: Kept) -> None:
    """And what the ledger refuses says so; other writes have none."""
    context, store = read(OWN), MemoryStore(Writer("gw"))
    assert context is not None
    kept.tracing.remember("n1", context)
    commit = kept.tracing.settling(store.commit)

    def award(negotiation_id: str) -> Commit:
        return Commit(negotiation_id, 1.0, (Decide("call", negotiation_id, b"{}"),))

    assert isinstance(asyncio.run(commit(award("n1"))), Committed)
    assert isinstance(asyncio.run(commit(award("n2"))), Refused)
    asyncio.run(commit(Commit("void", 1.0)))
    first, second = kept.spans
    assert first.parent is not None and first.parent.span_id == context.span_id
    assert "llmx.code" not in (first.attributes or {})
    assert (second.attributes or {})["llmx.code"] == "ALREADY_DECIDED"


def test_what_comes_from_another_gateway_goes_on_with_its_context(kept: Kept) -> None:
    told = Delivery(envelope=Envelope(negotiation_id="n", traceparent=OWN).SerializeToString())
    told.is_call = True
    heard: list[Envelope] = []
    hear = kept.tracing.hopping(
        "delivery", lambda peer, one: heard.append(Envelope.FromString(one.envelope))
    )
    assert hear("eu", told) is None
    hop, context = kept.named("hop"), read(heard[0].traceparent)
    assert context is not None and hop.get_span_context().span_id == context.span_id
    assert kept.tracing.current("n") == hop.get_span_context()


def test_what_has_no_context_is_handed_on_as_it_came(kept: Kept) -> None:
    """Of another gateway that makes no traces, or has left this one out."""
    told = Delivery(envelope=Envelope(msg_id="m").SerializeToString())
    heard: list[bytes] = []
    kept.tracing.hopping("delivery", lambda peer, one: heard.append(one.envelope))("eu", told)
    assert heard == [Envelope(msg_id="m").SerializeToString()]
    assert kept.spans == []


def test_what_is_left_out_is_left_out_everywhere() -> None:
    """And what is delivered says so, else the next gateway would decide anew."""
    kept = Kept(ratio=0.0)
    parts = traced(Parts(), kept)
    _, _, heard = call(parts, kept, traceparent=OWN)
    assert kept.spans == []
    context = read(heard.traceparent)
    assert context is not None and not context.trace_flags.sampled
    assert kept.tracing.ended == 0


def test_only_so_many_calls_are_remembered(kept: Kept) -> None:
    context = read(OWN)
    assert context is not None
    for number in range(CALLS_MAX + 5):
        kept.tracing.remember(f"n{number}", context)
    assert kept.tracing.current("n4") is None
    assert kept.tracing.current("n5") == context


def test_agents_are_named_as_they_shall_be() -> None:
    kept = Kept(named=lambda name: "somebody")
    parts = traced(Parts(), kept)
    call(parts, kept)

    def words(span: ReadableSpan) -> str:
        return str(dict(span.attributes or {}))

    assert "agent://alice" not in "".join(map(words, kept.spans))
    assert isinstance(kept.tracing, Tracing)
