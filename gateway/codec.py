"""Between messages and the engine: acts become events, effects become messages.

An offer is one of three things. With a `value` it is what a contract net and its kin compare; with
`terms` alone a proposal, as a counter-offer is; with a `commitment` alone a sealed bid, which
a later offer opens.
"""

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
    # Every offer comes through here, and to ask for a member that is rarely there costs least so.
    if "value" not in body:
        if "commitment" in body:
            return events.CommitmentReceived(sender, msg_id, body["commitment"])
        return _counter(sender, msg_id, body, now)
    revocable = "revocable" in body and body["revocable"]
    if not revocable and "conditions" in body:
        conditions = body["conditions"]  # a list of comparisons under AlternatingOffer.json
        revocable = isinstance(conditions, dict) and conditions.get("revocable") is True
    valid_until: float | None = None  # it says nothing of its end
    if "valid_for" in body:
        valid_until = now + body["valid_for"]
    elif "valid_until" in body:  # by the gateway's clock too
        valid_until = seconds_of(body["valid_until"])
    hold = "hold" in body and body["hold"]
    valid_from = seconds_of(body["valid_from"]) if "valid_from" in body else None
    return events.OfferReceived(
        sender, msg_id, float(body["value"]), body, valid_until, revocable, False, hold, valid_from
    )


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
    said = body.get
    value, valid_for = said("value"), said("valid_for")
    valid_from, valid_until = said("valid_from"), said("valid_until")
    conditions = said("conditions")
    return events.CounterReceived(
        sender,
        msg_id,
        terms=said("terms", NO_TERMS),
        value=None if value is None else float(value),
        valid_from=None if valid_from is None else seconds_of(valid_from),
        valid_until=(
            now + valid_for
            if valid_for is not None
            else None
            if valid_until is None
            else seconds_of(valid_until)
        ),
        offer_id=said("offer_id", ""),
        round=None if "round" not in body else int(body["round"]),
        conditions=tuple(conditions) if isinstance(conditions, list) else (),
    )


NO_TERMS: Body = {}


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


def event_of(envelope: Envelope, sender: str, body: Body, now: float) -> events.Event:
    """Return what an act of an open negotiation means to the engine, a revised call among them."""
    if envelope.act != Act.ACT_CFP:
        return EVENT_OF[envelope.act](sender, envelope.msg_id, body, now)
    closes_at = reply_by(body, now) or now  # an unreadable deadline has passed
    return events.RevisedCallReceived(
        sender,
        envelope.msg_id,
        round=int(body.get("round", 0)),
        invited=tuple(dict.fromkeys(envelope.recipients)),
        closes_at=closes_at,
        deadline=closes_at,
        fields=body,
    )


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


ACT_FIELD_OF = {name: Envelope(act=act).SerializeToString() for name, act in TOLD_ACTS.items()}


class _Lead(dict[int, bytes]):
    """What goes before the bytes of one field of an envelope, by their length: tag and length."""

    def __init__(self, field: str) -> None:
        self._tag = Envelope.DESCRIPTOR.fields_by_name[field].number << 3 | 2

    def __missing__(self, length: int) -> bytes:
        lead, rest = bytearray((self._tag,)), length
        while rest > 0x7F:  # a varint: seven bits a byte, the lowest first
            lead.append(rest & 0x7F | 0x80)
            rest >>= 7
        lead.append(rest)
        if length < LEADS_KEPT:
            self[length] = bytes(lead)
        return bytes(lead)


LEADS_KEPT = 1_024
_MSG_ID, _RECIPIENT = _Lead("msg_id"), _Lead("recipients")
_IN_REPLY_TO, _PAYLOAD = _Lead("in_reply_to"), _Lead("payload")


class Teller:
    """Builds the messages that one step makes the exchange tell, which differ in little.

    What they share is serialised once. The rest is put together as bytes, at half the price of
    filling an Envelope for each: a message is its fields one after the other, in any order.
    """

    __slots__ = ("_shared",)

    def __init__(self, gateway: str, negotiation_id: str, ts: str) -> None:
        """Tell as `gateway`, in one negotiation, at one time."""
        shared = Envelope(ts=ts, sender=gateway, negotiation_id=negotiation_id)
        self._shared = shared.SerializeToString()

    def told(self, tell: Tell) -> bytes:
        """Return the envelope that carries out `tell`, serialised."""
        act, body = tell.act, tell.body
        msg_id, recipient = tell.msg_id.encode(), tell.recipient.encode()
        in_reply_to = tell.in_reply_to.encode()
        payload = (OUTCOME_HEAD if "outcome" in body else HEAD_OF[act]) + orjson.dumps(body)[1:]
        return b"".join(
            (
                _MSG_ID[len(msg_id)],
                msg_id,
                self._shared,
                _RECIPIENT[len(recipient)],
                recipient,
                ACT_FIELD_OF[act],
                _IN_REPLY_TO[len(in_reply_to)],
                in_reply_to,
                _PAYLOAD[len(payload)],
                payload,
            )
        )


def reply_by(body: Body, now: float) -> float | None:
    """Return when a call's last answer is taken, by the gateway's clock; None if unreadable."""
    within = body.get("reply_within")
    if within is not None:
        return now + float(within)
    return seconds_of(body["deadline"])
