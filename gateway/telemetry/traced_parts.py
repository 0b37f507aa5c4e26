"""Parts of a gateway that make spans of what they do, in the place of those that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from opentelemetry.trace import Span

from gateway.members import Recipient
from gateway.outbox import Outbox, Parcel, Pushed
from gateway.router import Router
from gateway.telemetry.tracing import Tracing
from gateway.validation import Judgement, Validation

SPANS_MAX = 1_000
"""Deliveries to one agent that are followed; of more the first ones count as given up."""


class TracedValidation(Validation):
    """Judges payloads; what goes to a worker has a span."""

    tracing: Tracing

    async def _judge_in_worker(self, payload: bytes, act: int, tenant: str) -> Judgement:
        with self.tracing.validating():
            return await super()._judge_in_worker(payload, act, tenant)


class TracedOutbox(Outbox):
    """What an agent has not acknowledged, with the spans of these deliveries."""

    __slots__ = ("spans", "tracing")

    spans: dict[str, Span]
    tracing: Tracing

    def confirm(self, msg_ids: Iterable[str], now: float) -> int:
        """Forget what was acknowledged, and end its spans."""
        msg_ids = list(msg_ids)
        for msg_id in msg_ids:
            span = self.spans.pop(msg_id, None)
            if span is not None:
                self.tracing.end(span)
        return super().confirm(msg_ids, now)

    def follow(self, msg_id: str, span: Span) -> None:
        """End a span when its message is acknowledged."""
        self.spans[msg_id] = span
        if len(self.spans) > SPANS_MAX:
            self.give_up(next(iter(self.spans)), "too many deliveries wait")

    def give_up(self, msg_id: str, reason: str) -> None:
        """End the span of a message that will not be acknowledged."""
        span = self.spans.pop(msg_id, None)
        if span is not None:
            span.set_attribute("llmx.undelivered", reason)
            self.tracing.end(span)


def outboxes(tracing: Tracing) -> Callable[[int, int, float, float, int], Outbox]:
    """Return what makes outboxes that are followed."""

    def made(
        messages_max: int, bytes_max: int, retry_first: float, retry_max: float, window: int
    ) -> Outbox:
        outbox = TracedOutbox(messages_max, bytes_max, retry_first, retry_max, window)
        outbox.spans, outbox.tracing = {}, tracing
        return outbox

    return made


class TracedRouter(Router):
    """Delivers messages, each with a span."""

    tracing: Tracing

    def deliver(self, member: Recipient, parcel: Parcel) -> Pushed:
        """Deliver a message with the context of its delivery."""
        parcel, span = self.tracing.delivering(member, parcel)
        pushed = super().deliver(member, parcel)
        if span is None:
            return pushed
        outbox = member.outbox
        if pushed in (Pushed.QUEUED, Pushed.CROWDED) and isinstance(outbox, TracedOutbox):
            outbox.follow(parcel.msg_id, span)
        else:
            span.set_attribute("llmx.undelivered", pushed.name.lower())
            self.tracing.end(span)
        return pushed

    def undelivered(self, member: Recipient, parcels: list[Parcel], reason: str) -> None:
        """Account for messages that will not reach `member` any more."""
        if isinstance(member.outbox, TracedOutbox):
            for parcel in parcels:
                member.outbox.give_up(parcel.msg_id, reason)
        super().undelivered(member, parcels, reason)
