"""What admission answers when a message may not enter, beside what others find."""

from __future__ import annotations

from gateway.refusals import Fault

UNREADABLE = Fault(
    "MALFORMED_ENVELOPE",
    "the bytes are not an llmx.v1.Envelope",
    "serialise llmx.v1.Envelope with strings in UTF-8",
)

DUPLICATE = Fault(
    "DUPLICATE",
    "this msg_id was admitted before",
    "nothing is lost if this is a repeat; use a new msg_id for a new message",
    "/envelope/msg_id",
)
OVERLOADED_RECIPIENT = Fault(
    "RECIPIENT_OVERLOADED",
    "the recipient has more unconfirmed messages than it may",
    "wait until it has caught up, and send again",
    "/envelope/to",
    retry_after=1.0,
)
ID_TAKEN = Fault(
    "DUPLICATE",
    "the recipient has not yet acknowledged another agent's message with this msg_id",
    "send it under a new msg_id; random ones do not meet",
    "/envelope/msg_id",
)
ONLY_ITSELF = Fault(
    "NO_RECIPIENTS",
    "the call names nobody but its initiator",
    "call a topic or other agents",
    "/envelope/to",
)
ALL_AWAY = Fault(
    "NO_RECIPIENTS",
    "everybody whom the call could reach is away",
    "call again when they are back, or call others; a plain message would wait for them",
    "/envelope/to",
)
NOT_DURABLE = Fault(
    "STORE_UNAVAILABLE",
    "the negotiation was not called as a durable one, so no act in it can be",
    "leave durable out here, or set it on the call",
    "/envelope/durable",
)
MISSED = {"recipient_overloaded": OVERLOADED_RECIPIENT, "msg_id_taken": ID_TAKEN}
"""What the sender hears when a message reached nobody, by why."""
STOPPING = Fault(
    "STOPPING",
    "the gateway is stopping and takes no new calls",
    "connect again, and send the call there",
    retry_after=1.0,
)
FENCED = Fault(
    "FENCED",
    "the gateway must not decide now: others may have taken it for gone",
    "send the call again in a moment, or connect with another gateway",
    retry_after=0.5,
)
