"""Between messages and the engine: acts become events, effects become messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from gateway.clock import seconds_of
from llmx.v1.envelope_pb2 import Act, Envelope
from policy import events
from policy.effects import Tell

NEGOTIATION_SCHEMA = "https://llm-x.org/schemas/v1/Negotiation.json"
OUTCOME_SCHEMA = "https://llm-x.org/schemas/v1/Outcome.json"
THINKING_SECONDS_DEFAULT = 30.0
"""For how long to wait for an agent that thinks and does not say for how long."""

Body = Mapping[str, Any]
"""A payload that its schema has accepted."""


def _offer(sender: str, msg_id: str, body: Body, now: float) -> events.Event:
    conditions = body.get("conditions")  # a list of comparisons under AlternatingOffer.json
    revocable = body.get("revocable", False) or (
        isinstance(conditions, Mapping) and conditions.get("revocable") is True
    )
    return events.OfferReceived(
        sender,
        msg_id,
        float(body["value"]),
        body,
        _valid_until(body, now),
        revocable,
    )


def _valid_until(body: Body, now: float) -> float | None:
    """Return when an offer ends, by the gateway's clock; None when it says nothing of it."""
    valid_for, until = body.get("valid_for"), body.get("valid_until")
    if valid_for is not None:
        return now + float(valid_for)
    return None if until is None else seconds_of(until)


def _accept(sender: str, msg_id: str, body: Body, now: float) -> events.Event:
    return events.AcceptReceived(sender, msg_id, body["offer_id"])


def _reject(sender: str, msg_id: str, body: Body, now: float) -> events.Event:
    return events.RejectReceived(sender, msg_id, body.get("offer_id", ""))


def _confirm(sender: str, msg_id: str, body: Body, now: float) -> events.Event:
    return events.ConfirmReceived(sender, msg_id, body["offer_id"])


def _refuse(sender: str, msg_id: str, body: Body, now: float) -> events.Event:
    return events.RefusalReceived(sender, msg_id, body.get("reason", ""))


def _not_understood(sender: str, msg_id: str, body: Body, now: float) -> events.Event:
    return events.NotUnderstoodReceived(sender, msg_id)


def _cancel(sender: str, msg_id: str, body: Body, now: float) -> events.Event:
    return events.CancelReceived(sender, msg_id, body.get("reason", ""))


def _inform(sender: str, msg_id: str, body: Body, now: float) -> events.Event:
    return events.ReportReceived(sender, msg_id, succeeded=body.get("done", True))


def _failure(sender: str, msg_id: str, body: Body, now: float) -> events.Event:
    return events.ReportReceived(sender, msg_id, succeeded=False)


def _counter(sender: str, msg_id: str, body: Body, now: float) -> events.Event:
    return events.CounterReceived(sender, msg_id)


def _thinking(sender: str, msg_id: str, body: Body, now: float) -> events.Event:
    seconds = float(body.get("seconds", THINKING_SECONDS_DEFAULT))
    return events.ThinkingReceived(sender, msg_id, seconds)


EVENT_OF: dict[int, Callable[[str, str, Body, float], events.Event]] = {
    Act.ACT_OFFER: _offer,
    Act.ACT_COUNTER: _counter,
    Act.ACT_ACCEPT: _accept,
    Act.ACT_REJECT: _reject,
    Act.ACT_CONFIRM: _confirm,
    Act.ACT_REFUSE: _refuse,
    Act.ACT_NOT_UNDERSTOOD: _not_understood,
    Act.ACT_CANCEL: _cancel,
    Act.ACT_INFORM: _inform,
    Act.ACT_FAILURE: _failure,
    Act.ACT_THINKING: _thinking,
}
"""What an act of an open negotiation means to the engine: sender, msg_id, body, now."""

TOLD_ACTS = {
    "accept": Act.ACT_ACCEPT,
    "reject": Act.ACT_REJECT,
    "inform": Act.ACT_INFORM,
    "failure": Act.ACT_FAILURE,
    "cancel": Act.ACT_CANCEL,
    "confirm": Act.ACT_CONFIRM,
}


def _head(schema: str, act: str) -> bytes:
    """Return a payload up to where its body begins; no body is empty."""
    return orjson.dumps({"$schema": schema, "act": act})[:-1] + b","


HEAD_OF = {act: _head(NEGOTIATION_SCHEMA, act) for act in TOLD_ACTS}
OUTCOME_HEAD = _head(OUTCOME_SCHEMA, "inform")


class Teller:
    """Builds the messages that one step makes the exchange tell, which differ in little."""

    __slots__ = ("_envelope", "_recipients")

    def __init__(self, gateway: str, negotiation_id: str, ts: str) -> None:
        """Tell as `gateway`, in one negotiation, at one time."""
        self._envelope = Envelope(
            ts=ts, sender=gateway, negotiation_id=negotiation_id, recipients=("",)
        )
        self._recipients = self._envelope.recipients

    def told(self, tell: Tell) -> bytes:
        """Return the envelope that carries out `tell`, serialised."""
        envelope, body = self._envelope, tell.body
        envelope.msg_id = tell.msg_id
        self._recipients[0] = tell.recipient
        envelope.act = TOLD_ACTS[tell.act]
        envelope.in_reply_to = tell.in_reply_to
        head = OUTCOME_HEAD if "outcome" in body else HEAD_OF[tell.act]
        envelope.payload = head + orjson.dumps(body)[1:]
        return envelope.SerializeToString()


def reply_by(body: Body, now: float) -> float | None:
    """Return when a call's last answer is taken, by the gateway's clock; None if unreadable."""
    within = body.get("reply_within")
    if within is not None:
        return now + float(within)
    return seconds_of(body["deadline"])
