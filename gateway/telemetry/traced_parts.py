"""Parts of a gateway that make spans of what they do, in the place of those that do not."""

from __future__ import annotations

from gateway.members import Recipient
from gateway.outbox import Parcel, Pushed
from gateway.router import Router
from gateway.telemetry.traced_outbox import TracedOutbox
from gateway.telemetry.tracing import Tracing
from gateway.validation import Judgement, Validation


class TracedValidation(Validation):
    """Judges payloads; what goes to a worker has a span."""

    tracing: Tracing

    async def _judge_in_worker(self, payload: bytes, act: int, tenant: str) -> Judgement:
        with self.tracing.validating():
            return await super()._judge_in_worker(payload, act, tenant)


class TracedRouter(Router):
    """Delivers messages, each with a span."""

    tracing: Tracing

    def deliver(self, member: Recipient, parcel: Parcel) -> Pushed:
        """Deliver a message with the context of its delivery."""
        parcel, span = self.tracing.delivering(member, parcel)
        pushed = super().deliver(member, parcel)
        outbox = member.outbox
        if parcel.negotiation_id and isinstance(outbox, TracedOutbox):
            outbox.take_part(parcel.negotiation_id)
        if span is None:
            return pushed
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
