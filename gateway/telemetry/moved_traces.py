"""Traces of what goes on at another gateway: negotiations that change their owner, and agents.

An heir hears with the story of a negotiation what it was a part of at its last owner, and goes on
below that: its deadlines and awards come of no message, so no envelope would tell it. A gateway
that an agent has come to hears the same of the negotiations that the agent took part in last,
because the agent may answer a call there that this gateway never saw.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from itertools import islice
from typing import Any

from opentelemetry.trace import SpanKind

from gateway.handover import Handover
from gateway.inheritance import Inheritance
from gateway.members import Member
from gateway.peers import Heard, Peers
from gateway.telemetry.names import negotiation
from gateway.telemetry.trace_context import read, text
from gateway.telemetry.traced_outbox import NEGOTIATIONS_MAX, TracedOutbox
from gateway.telemetry.tracing import Tracing
from llmx.v1.peering_pb2 import NegotiationTrace


class MovedTraces:
    """Tells other gateways of the traces of one, and hears of theirs."""

    def __init__(self, tracing: Tracing) -> None:
        """Tell what `tracing` knows."""
        self._tracing = tracing

    def watch(self, peers: Peers, handover: Handover, inheritance: Inheritance) -> None:
        """Let traces go along with what these hand over."""
        inheritance.trace_of = self.trace_of
        handover.traces_of = self.traces_of
        handover.on_traces = self.arrived
        peers.heard["negotiation"] = self.inheriting(peers.heard["negotiation"])

    def trace_of(self, negotiation_id: str) -> str:
        """Return what a negotiation is a part of, empty when that is not known."""
        context = self._tracing.known(negotiation_id)
        return "" if context is None else text(context)

    def traces_of(self, member: Member) -> list[NegotiationTrace]:
        """Return the traces of the negotiations that an agent took part in last."""
        if not isinstance(member.outbox, TracedOutbox):
            return []
        told = [(one, self.trace_of(one)) for one in member.outbox.negotiations]
        return [NegotiationTrace(negotiation_id=one, traceparent=of) for one, of in told if of]

    def inheriting(self, hear: Heard) -> Heard:
        """Return what hears of negotiations that are handed over, with a span for the move."""

        def heard(gateway_id: str, told: Any) -> Awaitable[None] | None:
            parent = read(told.traceparent) if told.record else None
            if parent is None:
                return hear(gateway_id, told)
            said: dict[str, str | int] = {
                "llmx.peer": gateway_id,
                "llmx.carried": "negotiation",
                "llmx.negotiation": negotiation(told.negotiation_id),
            }
            span = self._tracing.begin("hop", SpanKind.CONSUMER, parent, said)
            self._tracing.remember(told.negotiation_id, span.get_span_context())
            with self._tracing.within(span):
                return hear(gateway_id, told)

        return heard

    def arrived(self, member: Member, traces: Iterable[NegotiationTrace]) -> None:
        """Know the traces of an agent that has come, and hand them on when it goes further."""
        for one in islice(traces, NEGOTIATIONS_MAX):
            context = read(one.traceparent)
            if context is None:
                continue
            if self._tracing.known(one.negotiation_id) is None:
                self._tracing.remember(one.negotiation_id, context)
            if isinstance(member.outbox, TracedOutbox):
                member.outbox.take_part(one.negotiation_id)
