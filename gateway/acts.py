"""The acts by their names on the wire, which JSON payloads and people use."""

from __future__ import annotations

from llmx.v1.envelope_pb2 import (
    ACT_ACCEPT,
    ACT_CANCEL,
    ACT_CFP,
    ACT_CONFIRM,
    ACT_COUNTER,
    ACT_FAILURE,
    ACT_INFORM,
    ACT_MESSAGE,
    ACT_NOT_UNDERSTOOD,
    ACT_OFFER,
    ACT_REFUSE,
    ACT_REJECT,
    ACT_THINKING,
)

ACT_NAMES: dict[int, str] = {
    ACT_MESSAGE: "message",
    ACT_CFP: "cfp",
    ACT_OFFER: "offer",
    ACT_COUNTER: "counter",
    ACT_ACCEPT: "accept",
    ACT_REJECT: "reject",
    ACT_CONFIRM: "confirm",
    ACT_REFUSE: "refuse",
    ACT_NOT_UNDERSTOOD: "not-understood",
    ACT_CANCEL: "cancel",
    ACT_INFORM: "inform",
    ACT_FAILURE: "failure",
    ACT_THINKING: "thinking",
}
"""Every act that can be sent, by its number."""

ACTS: dict[str, int] = {name: act for act, name in ACT_NAMES.items()}
"""The same, by name in lower case."""


def act_named(name: str) -> int | None:
    """Return the act of that name in any spelling of the paper ("CFP", "Offer"), or None."""
    return ACTS.get(name.lower())
