"""What an agent has not acknowledged, with the spans of these deliveries."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from opentelemetry.trace import Span

from gateway.outbox import Outbox

SPANS_MAX = 1_000
"""Deliveries to one agent that are followed; of more the first ones count as given up."""
NEGOTIATIONS_MAX = 64
"""Negotiations of one agent whose traces go with it; of more those it heard of last."""


class TracedOutbox(Outbox):
    """An outbox that ends the spans of what is acknowledged, and knows what its agent is in."""

    __slots__ = ("end", "negotiations", "spans")

    spans: dict[str, Span]
    negotiations: dict[str, None]
    """What the agent has called or heard of, the latest at the end."""
    end: Callable[[Span], None]

    def confirm(self, msg_ids: Iterable[str], now: float) -> int:
        """Forget what was acknowledged, and end its spans."""
        msg_ids = list(msg_ids)
        for msg_id in msg_ids:
            span = self.spans.pop(msg_id, None)
            if span is not None:
                self.end(span)
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
            self.end(span)

    def take_part(self, negotiation_id: str) -> None:
        """Know that the agent has to do with a negotiation."""
        self.negotiations.pop(negotiation_id, None)
        self.negotiations[negotiation_id] = None
        if len(self.negotiations) > NEGOTIATIONS_MAX:
            del self.negotiations[next(iter(self.negotiations))]


def outboxes(end: Callable[[Span], None]) -> Callable[[int, int, float, float, int], Outbox]:
    """Return what makes outboxes that are followed; `end` ends a span."""

    def made(
        messages_max: int, bytes_max: int, retry_first: float, retry_max: float, window: int
    ) -> Outbox:
        outbox = TracedOutbox(messages_max, bytes_max, retry_first, retry_max, window)
        outbox.spans, outbox.negotiations, outbox.end = {}, {}, end
        return outbox

    return made
