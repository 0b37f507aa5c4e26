"""Spans: what became of a message, on every gateway that it crossed.

    admission ─┬─ validation            in a worker
               ├─ step ─┬─ delivery     of the call, to each agent, until it acknowledges
               │        ├─ award        its write, where awards are written before they are told
               │        └─ hop ── …     at the gateway that a message went to
               └─ hop ── step ── …      an act that another gateway's shard judges

The context travels in the envelope, so a hop needs nothing else. Whoever answers a call without a
context of its own goes on in the trace of that call: each gateway remembers the context under
which it last saw a call, of `CALLS_MAX` of them. When a negotiation or an agent goes on at another
gateway, `moved_traces` has that one know it too.

Put around the parts of a gateway when it is wired; without traces nothing of it is there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry import context as contexts
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    Tracer,
    set_span_in_context,
)

from federation.award_log import Entry
from gateway.acts import ACT_NAMES
from gateway.awards import Propose
from gateway.causes import Cause
from gateway.envelope_head import Head, head_of
from gateway.headers import Sender
from gateway.members import Member, Recipient
from gateway.outbox import Parcel
from gateway.peers import Heard
from gateway.refusals import Fault
from gateway.telemetry.admitting import Admit, Waiting
from gateway.telemetry.auditing import Naming, Perform
from gateway.telemetry.names import negotiation, plain
from gateway.telemetry.trace_context import read, written
from gateway.telemetry.trace_ids import TraceIds, trace_of_call
from gateway.telemetry.traced_outbox import TracedOutbox
from llmx.v1.envelope_pb2 import Act, Envelope
from policy.call import Call
from policy.effects import Effect, Finish
from policy.events import Event
from policy.shard import Shard
from policy.store import Commit, Committed, Decide, Refused

CALLS_MAX = 10_000
"""Negotiations whose trace is known; of more, those that were seen first are forgotten."""

WriteLedger = Callable[[Commit], Coroutine[Any, Any, Committed | Refused]]

_CURRENT: ContextVar[Span | None] = ContextVar("llmx_span", default=None)


class Tracing:
    """Makes the spans of one gateway."""

    def __init__(self, tracer: Tracer, ids: TraceIds, named: Naming = plain) -> None:
        """Name agents in spans as they shall be named; `ids` makes those of `tracer`."""
        self._tracer = tracer
        self._ids = ids
        self._named = named
        self._calls: dict[str, SpanContext] = {}
        self.ended = 0
        """Spans that have ended and are exported, or lost."""

    # ------------------------------------------------------------------ spans

    def begin(
        self,
        name: str,
        kind: SpanKind,
        parent: SpanContext | None,
        said: dict[str, str | int],
        at: float | None = None,
    ) -> Span:
        """Begin a span, now or `at` seconds since 1970."""
        above = contexts.Context()
        if parent is not None:
            above = set_span_in_context(NonRecordingSpan(parent), above)
        nanoseconds = None if at is None else int(at * 1e9)
        return self._tracer.start_span(name, above, kind, said, start_time=nanoseconds)

    def end(self, span: Span) -> None:
        """End a span."""
        if span.is_recording():
            self.ended += 1
        span.end()

    @contextmanager
    def within(self, span: Span) -> Iterator[None]:
        """Let what is begun meanwhile be a part of a span, and end it."""
        token = _CURRENT.set(span)
        try:
            yield
        finally:
            _CURRENT.reset(token)
            self.end(span)

    def current(self, negotiation_id: str = "") -> SpanContext | None:
        """Return what is going on, or what a negotiation is a part of."""
        span = _CURRENT.get()
        return self._calls.get(negotiation_id) if span is None else span.get_span_context()

    def known(self, negotiation_id: str) -> SpanContext | None:
        """Return what a negotiation is a part of, None when that is not known here."""
        return self._calls.get(negotiation_id)

    def remember(self, negotiation_id: str, context: SpanContext) -> None:
        """Let what comes of a negotiation be a part of this."""
        self._calls[negotiation_id] = context
        if len(self._calls) > CALLS_MAX:
            del self._calls[next(iter(self._calls))]

    # ------------------------------------------------------------------ admission

    def admitting(self, admit: Admit, bytes_max: int) -> Admit:
        """Return what admits, in a span.

        An envelope that would be larger than `bytes_max` with our context goes on without it.
        """

        def admitted(sender: Sender, raw: bytes) -> Waiting | None:
            try:
                head = head_of(raw)
            except DecodeError:
                return admit(sender, raw)
            member = sender.member
            said: dict[str, str | int] = {
                "llmx.act": ACT_NAMES.get(head.act, "unknown"),
                "llmx.agent": self._named(member.agent_id),
                "llmx.tenant": self._named(member.tenant.name),
                "llmx.bytes": len(raw),
            }
            parent = self._parent_of(head)
            if parent is None and head.act == Act.ACT_CFP:
                self._ids.next_trace = trace_of_call(
                    member.tenant.name, member.agent_id, head.msg_id, head.ts
                )
            span = self.begin("admission", SpanKind.SERVER, parent, said)
            context = written(span.get_span_context())
            if len(raw) + len(context) <= bytes_max:
                raw += context
            token = _CURRENT.set(span)
            try:
                waiting = admit(sender, raw)
            finally:
                _CURRENT.reset(token)
            if waiting is not None:
                return self._wait(waiting, span)
            self.end(span)
            return None

        return admitted

    async def _wait(self, waiting: Awaitable[None], span: Span) -> None:
        with self.within(span):
            await waiting

    def _parent_of(self, head: Head) -> SpanContext | None:
        return read(head.traceparent) or self._calls.get(head.negotiation_id)

    def admitted(self, member: Member, head: Head | Envelope, negotiation_id: str) -> None:
        """Hear that the message at hand was let in."""
        span = _CURRENT.get()
        if span is not None and negotiation_id:
            span.set_attribute("llmx.negotiation", negotiation_id)
            self.remember(negotiation_id, span.get_span_context())
            if isinstance(member.outbox, TracedOutbox):
                member.outbox.take_part(negotiation_id)

    def refused(self, member: Member, msg_id: str, fault: Fault, negotiation_id: str) -> None:
        """Hear that the message at hand was refused."""
        span = _CURRENT.get()
        if span is not None:
            span.set_attribute("llmx.code", fault.code)
            span.set_status(StatusCode.ERROR, fault.code)

    @contextmanager
    def validating(self) -> Iterator[None]:
        """Make a span of what a worker judges."""
        span = self.begin("validation", SpanKind.INTERNAL, self.current(), {})
        with self.within(span):
            yield

    # ------------------------------------------------------------------ negotiations

    def performing(self, perform: Perform) -> Perform:
        """Return what carries out a step, in a span that begins when its message was received."""

        def performed(
            shard: Shard[Cause],
            negotiation_id: str,
            event: Event | Call,
            effects: list[Effect] | None,
            cause: Cause | None,
        ) -> None:
            parent = None
            if cause is not None and cause.parcel.envelope:
                parent = read(head_of(cause.parcel.envelope).traceparent)
            said: dict[str, str | int] = {
                "llmx.negotiation": negotiation(negotiation_id),
                "llmx.shard": shard.number,
                "llmx.event": type(event).__name__,
            }
            for effect in effects or ():
                if type(effect) is Finish:
                    said["llmx.state"] = str(effect.outcome["state"])
            parent = parent or self._calls.get(negotiation_id)
            span = self.begin("step", SpanKind.INTERNAL, parent, said, shard.at)
            with self.within(span):
                perform(shard, negotiation_id, event, effects, cause)

        return performed

    def awarding(self, propose: Propose) -> Propose:
        """Return what has an award written, in a span that ends when it is known which stands."""

        def proposed(
            key: str, asked: Entry, hear: Callable[[Entry], None], is_repeated: bool
        ) -> None:
            above = self.current(asked.negotiation_id)
            said: dict[str, str | int] = {"llmx.negotiation": asked.negotiation_id}
            span = self.begin("award", SpanKind.CLIENT, above, said)

            def heard(stands: Entry) -> None:
                span.set_attribute("llmx.stands", stands.negotiation_id)
                with self.within(span):
                    hear(stands)

            propose(key, asked, heard, is_repeated)

        return proposed

    def settling(self, commit: WriteLedger) -> WriteLedger:
        """Return what writes to the ledger; an award that holds something has a span."""

        async def committed(asked: Commit) -> Committed | Refused:
            decision = next((one for one in asked.changes if isinstance(one, Decide)), None)
            if decision is None:
                return await commit(asked)
            above = self.current(decision.negotiation_id)
            said: dict[str, str | int] = {"llmx.negotiation": decision.negotiation_id}
            span = self.begin("award", SpanKind.CLIENT, above, said)
            with self.within(span):
                answer = await commit(asked)
                if isinstance(answer, Refused):
                    span.set_attribute("llmx.code", answer.code)
                return answer

        return committed

    # ------------------------------------------------------------------ other gateways

    def hopping(self, kind: str, hear: Heard) -> Heard:
        """Return what hears what another gateway says of a message, in a span."""

        def heard(gateway_id: str, told: Any) -> Awaitable[None] | None:
            head = head_of(told.envelope)
            parent = self._parent_of(head)
            if parent is None:
                return hear(gateway_id, told)
            said: dict[str, str | int] = {
                "llmx.peer": gateway_id,
                "llmx.carried": kind,
                "llmx.act": ACT_NAMES.get(head.act, "unknown"),
                "llmx.negotiation": negotiation(head.negotiation_id),
            }
            span = self.begin("hop", SpanKind.CONSUMER, parent, said)
            context = span.get_span_context()
            told.envelope += written(context)
            if kind == "delivery" and told.is_call:
                self.remember(head.negotiation_id, context)
            with self.within(span):
                return hear(gateway_id, told)

        return heard

    # ------------------------------------------------------------------ delivery

    def delivering(self, member: Recipient, parcel: Parcel) -> tuple[Parcel, Span | None]:
        """Return a message with its context, and the span of its delivery if it ends here."""
        parent = self.current(parcel.negotiation_id)
        if parent is None or not parent.trace_flags.sampled:
            return parcel, None
        span = None
        if isinstance(member, Member):
            said: dict[str, str | int] = {"llmx.agent": self._named(member.agent_id)}
            if parcel.negotiation_id:
                said["llmx.negotiation"] = parcel.negotiation_id
            span = self.begin("delivery", SpanKind.PRODUCER, parent, said)
            parent = span.get_span_context()
        envelope = parcel.envelope + written(parent)
        return msgspec.structs.replace(parcel, envelope=envelope), span
